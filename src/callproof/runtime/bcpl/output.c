/* Output: characters as UTF-8 into a buffer, which goes out when it is full, at the
 * end of the program, before input is read, and after each line on a terminal.
 *
 * Programs that call C functions print through C's buffer instead: see stdio.c, which
 * takes the place of the two weak functions here. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bcpl.h"

enum {
    BUFFER_SIZE = 8192,
    UNKNOWN = -1,
    LONGEST_PRECISION = 999, /* digits of k in `%.kf`: at most three */
    LONGEST_DOUBLE = 1 + 309 + 1 + LONGEST_PRECISION + 1, /* sign, digits, point, digits, 0 */
};

static char buffer[BUFFER_SIZE];
static size_t used;
static int on_terminal = UNKNOWN;

__attribute__((weak)) void bcpl_flush(void) {
    size_t done = 0;
    while (done < used) {
        ssize_t written = write(STDOUT_FILENO, buffer + done, used - done);
        if (written < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) { /* somebody made it non-blocking */
                struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
                poll(&ready, 1, -1);
                continue;
            }
            used = 0; /* so that the message's own flush has nothing to do */
            lost_output(errno);
        }
        done += (size_t)written;
    }
    used = 0;
}

__attribute__((weak)) void bcpl_put_byte(char byte) {
    if (used == BUFFER_SIZE) bcpl_flush();
    buffer[used++] = byte;
    if (byte == '\n') {
        if (on_terminal == UNKNOWN) on_terminal = isatty(STDOUT_FILENO);
        if (on_terminal) bcpl_flush();
    }
}

void bcpl_put_bytes(const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) bcpl_put_byte(data[i]);
}

static void put_text(const char *text) { bcpl_put_bytes(text, strlen(text)); }

static void put_character(word code) {
    char bytes[4];
    bcpl_put_bytes(bytes, (size_t)encode_utf8(code, bytes));
}

/* Digits of a number in a base from 2 to 16, at least `width` of them. */
static void put_unsigned(uint64_t value, unsigned base, int width, int upper) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[64];
    int at = sizeof text;
    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value != 0);
    while ((int)sizeof text - at < width) text[--at] = '0';
    bcpl_put_bytes(text + at, sizeof text - (size_t)at);
}

static void put_signed(word value) {
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        bcpl_put_byte('-');
        magnitude = 0 - magnitude;
    }
    put_unsigned(magnitude, 10, 1, 0);
}

/* `%.*f` or `%.*g`; a NaN has no sign, as its bit differs from machine to machine. */
static void put_double(const char *format, int precision, double value) {
    char text[LONGEST_DOUBLE];
    if (value != value) {
        put_text("nan");
        return;
    }
    int size = snprintf(text, sizeof text, format, precision, value);
    if (size > 0) bcpl_put_bytes(text, (size_t)size);
}

void bcpl_writes(const character *text) {
    if (text == NULL) {
        put_text("(null)");
        return;
    }
    while (*text != 0) put_character(*text++);
}

void bcpl_writen(word value) { put_signed(value); }

void bcpl_writec(word code) { put_character(code); }

void bcpl_newline(void) { bcpl_put_byte('\n'); }

void bcpl_fwrite(double value) { put_double("%.*g", 6, value); }

static double as_double(word bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Integer lanes of a pack: `count` of 64 / count bits each, lane 0 in the low bits. */
static void put_lanes(word pack, int count) {
    int bits = 64 / count;
    bcpl_put_byte('(');
    for (int lane = 0; lane < count; lane++) {
        if (lane > 0) put_text(", ");
        put_signed((word)((uint64_t)pack << (64 - bits * (lane + 1))) >> (64 - bits));
    }
    bcpl_put_byte(')');
}

static void put_float_lanes(word pack) {
    float lanes[2];
    memcpy(lanes, &pack, sizeof lanes);
    bcpl_put_byte('(');
    put_double("%.*g", 6, lanes[0]);
    put_text(", ");
    put_double("%.*g", 6, lanes[1]);
    bcpl_put_byte(')');
}

/* One directive that takes a value; 0 if the letter is none. */
static int put_directive(character letter, word value) {
    switch (letter) {
    case 'd': case 'i': case 'N': case 'n': put_signed(value); return 1;
    case 'x': put_unsigned((uint64_t)value, 16, 1, 0); return 1;
    case 'X': put_unsigned((uint64_t)value, 16, 16, 1); return 1;
    case 'o': put_unsigned((uint64_t)value, 8, 1, 0); return 1;
    case 'f': case 'F': put_double("%.*f", 6, as_double(value)); return 1;
    case 'c': put_character(value); return 1;
    case 's': case 'S': bcpl_writes((const character *)value); return 1;
    case 'P': put_lanes(value, 2); return 1;
    case 'Q': put_float_lanes(value); return 1;
    case 'R': put_lanes(value, 4); return 1;
    default: return 0;
    }
}

/* The length of `.digits f` behind a percent sign, 0 if that is not what stands there. */
static int precision_at(const character *text, int *precision) {
    int length = 1, value = 0;
    if (text[0] != '.') return 0;
    while (text[length] >= '0' && text[length] <= '9' && length < 4)
        value = value * 10 + (text[length++] - '0');
    if (length == 1 || (text[length] != 'f' && text[length] != 'F')) return 0;
    *precision = value;
    return length + 1;
}

/* What is no directive, and every directive without a value left, is printed as it stands;
 * a `%n` without a value is a new line. */
void bcpl_writef(const character *format, word count, const word *values) {
    if (format == NULL) {
        put_text("(null)");
        return;
    }
    word next = 0;
    while (*format != 0) {
        character here = *format++;
        if (here != '%' || *format == 0) {
            put_character(here);
            continue;
        }
        character letter = *format;
        int precision = 0;
        int length = precision_at(format, &precision);
        if (letter == '%') {
            bcpl_put_byte('%');
            format++;
        } else if (length > 0 && next < count) {
            put_double("%.*f", precision, as_double(values[next++]));
            format += length;
        } else if (next < count && put_directive(letter, values[next])) {
            next++;
            format++;
        } else if (letter == 'n' && next >= count) {
            bcpl_put_byte('\n');
            format++;
        } else {
            bcpl_put_byte('%');
        }
    }
}
