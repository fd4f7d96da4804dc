/* Natives on numbers. */
#include <math.h>
#include <stdlib.h>

#include "runtime.h"

static double one_number(uint64_t count, const value *a, const char *few, const char *wrong) {
    need(count == 1, few);
    need(a->tag == NUMBER, wrong);
    return to_number(*a);
}

#define MATH_NATIVE(name, function)                                                      \
    DEFINE_NATIVE(name) {                                                                \
        return number_value(function(one_number(count, a, #name "(): invalid parameter count", \
                                                #name "(): parameter must be a number"))); \
    }

MATH_NATIVE(mathFloor, floor)
MATH_NATIVE(mathCeil, ceil)
MATH_NATIVE(mathRound, round)
MATH_NATIVE(mathSin, sin)
MATH_NATIVE(mathCos, cos)
MATH_NATIVE(mathTan, tan)

DEFINE_NATIVE(mathSqrt) {
    double x = one_number(count, a, "mathSqrt(): invalid parameter count",
                          "mathSqrt(): parameter must be a number");
    need(!(x < 0), "mathSqrt(): cannot take square root of negative number");
    return number_value(sqrt(x));
}

DEFINE_NATIVE(mathPow) {
    need(count == 2, "mathPow(): requires 2 parameters");
    need(a[0].tag == NUMBER && a[1].tag == NUMBER, "mathPow(): both parameters must be numbers");
    return number_value(pow(to_number(a[0]), to_number(a[1])));
}

DEFINE_NATIVE(mathRandom) {
    need(count == 0, "mathRandom(): takes no parameters");
    return number_value((double)rand() / RAND_MAX);
}

/* Truncated to 64 bits; what does not fit is the nearest that does, no number is 0. */
static int64_t whole(double x) {
    if (x != x) return 0;
    if (x >= 0x1p63) return INT64_MAX;
    return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

DEFINE_NATIVE(mathRandomInt) {
    need(count == 2, "mathRandomInt(): requires 2 parameters");
    need(a[0].tag == NUMBER && a[1].tag == NUMBER,
         "mathRandomInt(): both parameters must be numbers");
    int64_t least = whole(to_number(a[0])), most = whole(to_number(a[1]));
    need(least <= most, "mathRandomInt(): min must be <= max");
    uint64_t choices = (uint64_t)most - (uint64_t)least + 1; /* 0: all 2^64 */
    uint64_t number = (uint64_t)rand();
    if (choices != 0) number %= choices;
    return number_value((double)(int64_t)((uint64_t)least + number));
}

DEFINE_NATIVE(mathSrand) {
    need(count == 1, "mathSrand(): requires 1 parameter");
    need(a->tag == NUMBER, "mathSrand(): seed must be a number");
    srand((unsigned)whole(to_number(*a)));
    return nil_value();
}

enum { MOST_DIGITS = 17 };

/* The fewest digits that read back as the same number; whole ones without an exponent. */
DEFINE_NATIVE(numberToString) {
    need(count == 1, "numberToString(): requires 1 parameter");
    need(a->tag == NUMBER, "numberToString(): parameter must be a number");
    double x = to_number(*a);
    char text[NUMBER_TEXT];
    int digits = x == x && fabs(x) < 1e15 && x == floor(x) ? 15 : 1;
    int length = number_text(text, x, digits);
    while (digits < MOST_DIGITS && x == x && strtod(text, NULL) != x)
        length = number_text(text, x, ++digits);
    return string_value(text, (uint64_t)length);
}
