/* Natives on strings, which are bytes: case and white space are ASCII's. */
#include <math.h>
#include <stdlib.h>

#include "runtime.h"

/* The first place of `part` in `whole` from `from` on; -1 if there is none. */
static int64_t find(const struct string *whole, const struct string *part, uint64_t from) {
    if (part->length > whole->length) return -1;
    if (part->length == 0) return (int64_t)from;
    for (uint64_t last = whole->length - part->length; from <= last; from++) {
        const char *start =
            memchr(whole->bytes + from, part->bytes[0], last - from + 1);
        if (start == NULL) return -1;
        from = (uint64_t)(start - whole->bytes);
        if (memcmp(start, part->bytes, part->length) == 0) return (int64_t)from;
    }
    return -1;
}

static const struct string *one_string(uint64_t count, const value *a, const char *few,
                                       const char *wrong) {
    need(count == 1, few);
    need(a->tag == STRING, wrong);
    return to_string(*a);
}

/* Each byte between `from` and `to` with `change` added. */
static value map_case(const struct string *string, char from, char to, int change) {
    char *bytes;
    const char *old = string->bytes;
    struct string *mapped = blank_string(string->length, &bytes);
    for (uint64_t i = 0; i < string->length; i++)
        bytes[i] = old[i] >= from && old[i] <= to ? (char)(old[i] + change) : old[i];
    return finished_string(mapped);
}

DEFINE_NATIVE(stringUpper) {
    const struct string *string = one_string(count, a, "stringUpper(): invalid parameter count",
                                             "stringUpper(): parameter must be a string");
    return map_case(string, 'a', 'z', 'A' - 'a');
}

DEFINE_NATIVE(stringLower) {
    const struct string *string = one_string(count, a, "stringLower(): invalid parameter count",
                                             "stringLower(): parameter must be a string");
    return map_case(string, 'A', 'Z', 'a' - 'A');
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

DEFINE_NATIVE(stringTrim) {
    const struct string *string = one_string(count, a, "stringTrim(): invalid parameter count",
                                             "stringTrim(): parameter must be a string");
    uint64_t from = 0, to = string->length;
    while (from < to && is_space(string->bytes[from])) from++;
    while (to > from && is_space(string->bytes[to - 1])) to--;
    return string_value(string->bytes + from, to - from);
}

DEFINE_NATIVE(stringIndexOf) {
    need(count == 2, "stringIndexOf(): invalid parameter count");
    need(a[0].tag == STRING && a[1].tag == STRING,
         "stringIndexOf(): both parameters must be strings");
    return number_value((double)find(to_string(a[0]), to_string(a[1]), 0));
}

DEFINE_NATIVE(stringSubstring) {
    need(count == 2 || count == 3, "stringSubstring(): requires 2 or 3 parameters");
    need(a[0].tag == STRING && a[1].tag == NUMBER, "stringSubstring(): invalid parameter types");
    need(count == 2 || a[2].tag == NUMBER, "stringSubstring(): end parameter must be a number");
    const struct string *string = to_string(a[0]);
    uint64_t start = clamp(to_number(a[1]), string->length);
    uint64_t end = count == 3 ? clamp(to_number(a[2]), string->length) : string->length;
    return string_value(string->bytes + start, end > start ? end - start : 0);
}

DEFINE_NATIVE(stringReplace) {
    need(count == 3, "stringReplace(): requires 3 parameters");
    need(a[0].tag == STRING && a[1].tag == STRING && a[2].tag == STRING,
         "stringReplace(): all parameters must be strings");
    const struct string *string = to_string(a[0]), *old = to_string(a[1]), *new = to_string(a[2]);
    int64_t found = old->length > 0 ? find(string, old, 0) : -1;
    if (found < 0) return a[0];
    uint64_t at = (uint64_t)found, behind = at + old->length;
    char *bytes;
    struct string *result = blank_string(string->length - old->length + new->length, &bytes);
    memcpy(bytes, string->bytes, at);
    memcpy(bytes + at, new->bytes, new->length);
    memcpy(bytes + at + new->length, string->bytes + behind, string->length - behind);
    return finished_string(result);
}

DEFINE_NATIVE(stringStartsWith) {
    need(count == 2, "stringStartsWith(): requires 2 parameters");
    need(a[0].tag == STRING && a[1].tag == STRING,
         "stringStartsWith(): both parameters must be strings");
    const struct string *string = to_string(a[0]), *part = to_string(a[1]);
    return bool_value(part->length <= string->length &&
                      memcmp(string->bytes, part->bytes, part->length) == 0);
}

DEFINE_NATIVE(stringEndsWith) {
    need(count == 2, "stringEndsWith(): requires 2 parameters");
    need(a[0].tag == STRING && a[1].tag == STRING,
         "stringEndsWith(): both parameters must be strings");
    const struct string *string = to_string(a[0]), *part = to_string(a[1]);
    if (part->length > string->length) return bool_value(0);
    const char *end = string->bytes + string->length - part->length;
    return bool_value(memcmp(end, part->bytes, part->length) == 0);
}

/* An empty piece at the end is left out, elsewhere not. */
DEFINE_NATIVE(stringSplit) {
    need(count == 2, "stringSplit(): requires 2 parameters");
    need(a[0].tag == STRING && a[1].tag == STRING,
         "stringSplit(): both parameters must be strings");
    const struct string *string = to_string(a[0]), *delimiter = to_string(a[1]);
    struct array *pieces = new_array(0);
    if (delimiter->length == 0) {
        array_push(pieces, a[0]);
        return object_value(ARRAY, pieces);
    }
    uint64_t from = 0;
    while (from < string->length) {
        int64_t found = find(string, delimiter, from);
        uint64_t to = found < 0 ? string->length : (uint64_t)found;
        array_push(pieces, string_value(string->bytes + from, to - from));
        from = found < 0 ? to : to + delimiter->length;
    }
    return object_value(ARRAY, pieces);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 'a' - 'A';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape after a backslash, at `from`; the bytes it takes, 0 if it is none. */
static uint64_t escape_at(const char *from, uint64_t left, char *to) {
    static const char LETTERS[] = "nt\"\\", BYTES[] = "\n\t\"\\";
    if (left == 0) return 0;
    for (int i = 0; LETTERS[i] != 0; i++) {
        if (from[0] == LETTERS[i]) {
            *to = BYTES[i];
            return 1;
        }
    }
    if (from[0] != 'x' || left < 3) return 0;
    int high = hex_digit(from[1]), low = hex_digit(from[2]);
    if (high < 0 || low < 0) return 0;
    *to = (char)(high << 4 | low);
    return 3;
}

DEFINE_NATIVE(stringEscape) {
    const struct string *string = one_string(count, a, "stringEscape(): requires 1 parameter",
                                             "stringEscape(): parameter must be a string");
    char *to;
    const char *from = string->bytes;
    struct string *result = blank_string(string->length, &to);
    uint64_t length = 0;
    for (uint64_t i = 0; i < string->length; i++) {
        uint64_t taken = 0;
        if (from[i] == '\\') taken = escape_at(from + i + 1, string->length - i - 1, to + length);
        if (taken == 0) to[length] = from[i];
        length++;
        i += taken;
    }
    result->length = length;
    return finished_string(result);
}

static const char *digits(const char *text) {
    while (*text >= '0' && *text <= '9') text++;
    return text;
}

/* Whether a text is [+-] digits [. digits] [e [+-] digits], or what we print for no such. */
static int is_number(const char *text) {
    if (strcmp(text, "nan") == 0) return 1;
    if (*text == '-' || *text == '+') text++;
    if (strcmp(text, "inf") == 0) return 1;
    const char *end = digits(text);
    if (end == text) return 0;
    if (*end == '.') {
        const char *fraction = end + 1;
        end = digits(fraction);
        if (end == fraction) return 0;
    }
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end + 1;
        if (*exponent == '-' || *exponent == '+') exponent++;
        end = digits(exponent);
        if (end == exponent) return 0;
    }
    return *end == 0;
}

DEFINE_NATIVE(stringToNumber) {
    const struct string *string = one_string(count, a, "stringToNumber(): requires 1 parameter",
                                             "stringToNumber(): parameter must be a string");
    char *text = zero_ended(string);
    if (strlen(text) != string->length || !is_number(text)) return nil_value();
    return number_value(strtod(text, NULL));
}
