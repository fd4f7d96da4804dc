/* Operators on values of any type; compiled code does numbers itself and comes here else. */
#include <math.h>

#include "runtime.h"

static int are_numbers(value a, value b) { return a.tag == NUMBER && b.tag == NUMBER; }

static value concatenate(value a, value b) {
    char room_a[NUMBER_TEXT], room_b[NUMBER_TEXT];
    struct text left = value_text(a, room_a, 6), right = value_text(b, room_b, 6);
    if (right.length == 0 && a.tag == STRING) return a;
    if (left.length == 0 && b.tag == STRING) return b;
    return object_value(STRING, join(a.tag == STRING ? to_string(a) : NULL, left, right));
}

value sox_add(value a, value b) {
    if (are_numbers(a, b)) return number_value(to_number(a) + to_number(b));
    if (a.tag == STRING || b.tag == STRING) return concatenate(a, b);
    sox_fail("Operands must be two numbers or involve a string.");
}

static void need_numbers(value a, value b) {
    if (!are_numbers(a, b)) sox_fail("Operands must be numbers.");
}

value sox_subtract(value a, value b) {
    need_numbers(a, b);
    return number_value(to_number(a) - to_number(b));
}

value sox_multiply(value a, value b) {
    need_numbers(a, b);
    return number_value(to_number(a) * to_number(b));
}

value sox_divide(value a, value b) {
    need_numbers(a, b);
    return number_value(to_number(a) / to_number(b));
}

value sox_remainder(value a, value b) {
    need_numbers(a, b);
    return number_value(fmod(to_number(a), to_number(b)));
}

value sox_negate(value a) {
    if (a.tag != NUMBER) sox_fail("Operand must be a number.");
    return number_value(-to_number(a));
}

uint64_t sox_less(value a, value b) {
    need_numbers(a, b);
    return to_number(a) < to_number(b);
}

uint64_t sox_less_equal(value a, value b) {
    need_numbers(a, b);
    return to_number(a) <= to_number(b);
}

uint64_t sox_greater(value a, value b) {
    need_numbers(a, b);
    return to_number(a) > to_number(b);
}

uint64_t sox_greater_equal(value a, value b) {
    need_numbers(a, b);
    return to_number(a) >= to_number(b);
}

uint64_t sox_equal(value a, value b) {
    if (a.tag != b.tag) return 0;
    if (a.tag == NUMBER) return to_number(a) == to_number(b);
    if (a.tag == STRING) return (uint64_t)same_string(to_string(a), to_string(b));
    return a.payload == b.payload;
}
