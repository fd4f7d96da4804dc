/* Operators on values of any type; compiled code does numbers itself and comes here else. */
#include <math.h>

#include "runtime.h"

static int are_numbers(value a, value b) { return a.tag == NUMBER && b.tag == NUMBER; }

/* The text of one piece, which for most is there already. */
static inline struct text piece_text(value v, char room[NUMBER_TEXT]) {
    if (v.tag == NUMBER) {
        struct text small = small_text(v, room);
        if (small.length > 0) return small;
    }
    if (v.tag != STRING) return value_text(v, room, 6);
    const struct string *string = to_string(v);
    return (struct text){string->bytes, string->length};
}

/* Two strings that make one of moderate size: what is by far the most. */
static inline int are_flat(const struct string *a, const struct string *b) {
    return a->length != 0 && b->length != 0 && a->length + b->length < LEAST_BUFFER &&
           !has_buffer(a);
}

static value join_flat(const struct string *a, const struct string *b) {
    struct string *string = string_with_room(a->length + b->length);
    char *to = (char *)(string + 1);
    if (a->length <= 8 && b->length <= 8) { /* there is room for 16 bytes, as cells go by these */
        memcpy(to, a->bytes, 8);
        memcpy(to + a->length, b->bytes, 8);
    } else {
        copy_bytes(to, a->bytes, a->length);
        copy_bytes(to + a->length, b->bytes, b->length);
    }
    return object_value(STRING, string);
}

static __attribute__((noinline)) value concatenate(value a, value b) {
    char rooms[2][NUMBER_TEXT];
    struct text pieces[] = {piece_text(a, rooms[0]), piece_text(b, rooms[1])};
    if (pieces[1].length == 0 && a.tag == STRING) return a;
    if (pieces[0].length == 0 && b.tag == STRING) return b;
    uint64_t total = pieces[0].length + pieces[1].length;
    return object_value(STRING, join(a.tag == STRING ? to_string(a) : NULL, total, 2, pieces));
}

value sox_concatenate(uint64_t count, const value *pieces) {
    char rooms[MOST_PIECES][NUMBER_TEXT];
    struct text texts[MOST_PIECES];
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        texts[i] = piece_text(pieces[i], rooms[i]);
        total += texts[i].length;
    }
    const struct string *left = pieces->tag == STRING ? to_string(*pieces) : NULL;
    return object_value(STRING, join(left, total, count, texts));
}

/* The length of all pieces if they make a string of moderate size, else 0. */
static inline uint64_t flat_length(uint64_t count, const value *pieces) {
    if (has_buffer(to_string(*pieces))) return 0;
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        total += to_string(pieces[i])->length;
        if (total >= LEAST_BUFFER) return 0;
    }
    return total > 1 ? total : 0;
}

value sox_concatenate_strings(uint64_t count, const value *pieces) {
    uint64_t total = flat_length(count, pieces);
    if (total == 0) return sox_concatenate(count, pieces);
    struct string *string = string_with_room(total + 8); /* so that all can be copied as words */
    string->length = total;
    char *to = (char *)(string + 1);
    for (uint64_t i = 0; i < count; i++) {
        const struct string *piece = to_string(pieces[i]);
        if (piece->length <= 8)
            memcpy(to, piece->bytes, 8);
        else
            copy_bytes(to, piece->bytes, piece->length);
        to += piece->length;
    }
    sox_copied_bytes += total;
    return object_value(STRING, string);
}

value sox_add(value a, value b) {
    if (are_numbers(a, b)) return number_value(to_number(a) + to_number(b));
    if (a.tag == STRING && b.tag == STRING && are_flat(to_string(a), to_string(b)))
        return join_flat(to_string(a), to_string(b));
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
