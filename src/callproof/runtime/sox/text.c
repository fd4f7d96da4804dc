/* Numbers, types and values as text. */
#include <math.h>
#include <stdio.h>

#include "runtime.h"

/* Small integers, most of what programs print, without the C library's long way. */
static int integer_text(char *text, int64_t x) {
    char digits[24];
    int at = 0, length = 0;
    uint64_t magnitude = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    do {
        digits[at++] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    if (x < 0) text[length++] = '-';
    while (at > 0) text[length++] = digits[--at];
    text[length] = 0;
    return length;
}

/* A NaN has no sign, as that differs from machine to machine. */
int number_text(char text[NUMBER_TEXT], double x, int digits) {
    if (x != x) {
        memcpy(text, "nan", 4);
        return 3;
    }
    if (x > -1e6 && x < 1e6 && x == (double)(int64_t)x && !(x == 0 && signbit(x)))
        return integer_text(text, (int64_t)x);
    return snprintf(text, NUMBER_TEXT, "%.*g", digits, x);
}

static const char *const TYPE_NAMES[] = {
    [NIL] = "<nil>",
    [BOOL] = "<bool>",
    [NUMBER] = "<number>",
    [STRING] = "String",
    [CLOSURE] = "Closure",
    [NATIVE] = "Native function",
    [CLASS] = "Class",
    [INSTANCE] = "Instance",
    [BOUND] = "Bound Method",
    [TABLE] = "Table",
    [ARRAY] = "Array",
    [RANGE] = "Range",
    [ITERATOR] = "Iterator",
};

const char *type_name(value v) {
    return v.tag <= ITERATOR ? TYPE_NAMES[v.tag] : "<undefined>";
}

struct text value_text(value v, char room[NUMBER_TEXT], int digits) {
    switch (v.tag) {
    case NIL: return (struct text){"nil", 3};
    case BOOL: return v.payload ? (struct text){"true", 4} : (struct text){"false", 5};
    case NUMBER: {
        struct text small = small_text(v, room);
        if (small.length > 0) return small;
        int length = number_text(room, to_number(v), digits);
        return (struct text){room, (uint64_t)length};
    }
    case STRING: {
        const struct string *string = to_string(v);
        return (struct text){string->bytes, string->length};
    }
    default: return (struct text){"<object>", 8};
    }
}
