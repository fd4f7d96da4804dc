/* The rest of the library, and the start of a program. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bcpl.h"

int main(void) {
    bcpl_start();
    bcpl_finish();
}

void bcpl_finish(void) { bcpl_exit(0); }

void (*bcpl_last_words)(void);

/* stdio.c has another one. */
__attribute__((weak)) void bcpl_exit(word status) {
    bcpl_flush();
    if (bcpl_last_words != NULL) bcpl_last_words();
    _exit((int)status);
}

static char *append(char *to, const char *text) {
    while (*text != 0) *to++ = *text++;
    return to;
}

/* Ends the program with one line on standard error: the message, and if `unit` is not NULL
 * also ": NUMBER UNIT".  What was printed before comes out before. */
void bcpl_fatal(int status, const char *message, uint64_t number, const char *unit) {
    char line[160], digits[24];
    char *end = append(append(line, "callproof: "), message);
    bcpl_flush();
    if (unit != NULL) {
        char *digit = digits + sizeof digits - 1;
        *digit = 0;
        do {
            *--digit = (char)('0' + number % 10);
            number /= 10;
        } while (number != 0);
        end = append(append(append(append(end, ": "), digit), " "), unit);
    }
    end = append(end, "\n");
    ssize_t written = write(STDERR_FILENO, line, (size_t)(end - line));
    (void)written; /* the exit status says it too */
    _exit(status);
}

/* The next byte of standard input, -1 at its end.  stdio.c has another one. */
__attribute__((weak)) word bcpl_rdch(void) {
    static unsigned char input[4096];
    static ssize_t size, at;
    if (at == size) {
        bcpl_flush();
        do
            size = read(STDIN_FILENO, input, sizeof input);
        while (size < 0 && errno == EINTR);
        at = 0;
        if (size <= 0) {
            size = 0;
            return -1;
        }
    }
    return input[at++];
}

word bcpl_strlen(const character *text) {
    word length = 0;
    if (text != NULL)
        while (text[length] != 0) length++;
    return length;
}

word bcpl_strcmp(const character *a, const character *b) {
    static const character empty[1];
    if (a == NULL) a = empty;
    if (b == NULL) b = empty;
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (word)(*a > *b) - (word)(*a < *b);
}

character *bcpl_strcopy(character *to, const character *from) {
    character *start = to;
    while ((*to++ = *from++) != 0) continue;
    return start;
}

word bcpl_abs(word value) { return value < 0 ? (word)(0 - (uint64_t)value) : value; }

/* xorshift64*: the seed is CALLPROOF_SEED where it is set, else the time. */
static uint64_t random_bits(void) {
    static uint64_t state;
    if (state == 0) {
        const char *seed = getenv("CALLPROOF_SEED");
        struct timespec now = {0};
        if (seed == NULL) clock_gettime(CLOCK_REALTIME, &now);
        uint64_t from = seed != NULL ? strtoull(seed, NULL, 10)
                                     : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        state = from * 0x9E3779B97F4A7C15u | 1;
    }
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}

word bcpl_rand(word maximum) {
    return maximum <= 0 ? 0 : (word)(random_bits() % ((uint64_t)maximum + 1));
}

double bcpl_frnd(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

double bcpl_rnd(word maximum) { return bcpl_frnd() * (double)maximum; }

double bcpl_fabs(double x) { return fabs(x); }
double bcpl_fsin(double x) { return sin(x); }
double bcpl_fcos(double x) { return cos(x); }
double bcpl_ftan(double x) { return tan(x); }
double bcpl_flog(double x) { return log(x); }
double bcpl_fexp(double x) { return exp(x); }
