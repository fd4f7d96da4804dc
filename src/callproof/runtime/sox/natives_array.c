/* Natives on arrays. */
#include <math.h>

#include "runtime.h"

/* The end is inclusive, as the reference has it; where it is not before the start: nothing. */
DEFINE_NATIVE(arraySlice) {
    need(count == 2 || count == 3, "arraySlice(): requires 2 or 3 parameters");
    need(a[0].tag == ARRAY, "arraySlice(): first parameter must be an array");
    need(a[1].tag == NUMBER, "arraySlice(): start index must be a number");
    need(count == 2 || a[2].tag == NUMBER, "arraySlice(): end index must be a number");
    const struct array *array = to_array(a[0]);
    uint64_t length = array->count, start = clamp(to_number(a[1]), length);
    uint64_t end = count == 3 ? clamp(to_number(a[2]), length) : length;
    if (start >= end) return sox_array(0, NULL);
    uint64_t behind = end < length ? end + 1 : length;
    return array_part(array, start, behind - start);
}

DEFINE_NATIVE(arrayReverse) {
    need(count == 1, "arrayReverse(): requires 1 parameter");
    need(a->tag == ARRAY, "arrayReverse(): parameter must be an array");
    const struct array *from = to_array(*a);
    struct array *to = new_array(from->count);
    for (uint64_t i = from->count; i > 0; i--) array_push(to, from->items[i - 1]);
    return object_value(ARRAY, to);
}

static double index_of(const struct array *array, value wanted) {
    for (uint64_t i = 0; i < array->count; i++)
        if (sox_equal(array->items[i], wanted)) return (double)i;
    return -1;
}

DEFINE_NATIVE(arrayIndexOf) {
    need(count == 2, "arrayIndexOf(): requires 2 parameters");
    need(a[0].tag == ARRAY, "arrayIndexOf(): first parameter must be an array");
    return number_value(index_of(to_array(a[0]), a[1]));
}

DEFINE_NATIVE(arrayContains) {
    need(count == 2, "arrayContains(): requires 2 parameters");
    need(a[0].tag == ARRAY, "arrayIndexOf(): first parameter must be an array"); /* as it was */
    return bool_value(index_of(to_array(a[0]), a[1]) >= 0);
}

enum { JOIN_DIGITS = 14 };

DEFINE_NATIVE(arrayJoin) {
    need(count == 2, "arrayJoin(): requires 2 parameters");
    need(a[0].tag == ARRAY, "arrayJoin(): first parameter must be an array");
    need(a[1].tag == STRING, "arrayJoin(): separator must be a string");
    const struct array *array = to_array(a[0]);
    const struct string *separator = to_string(a[1]);
    char room[NUMBER_TEXT];
    uint64_t length = array->count > 0 ? (array->count - 1) * separator->length : 0;
    for (uint64_t i = 0; i < array->count; i++)
        length += value_text(array->items[i], room, JOIN_DIGITS).length;
    char *to;
    struct string *joined = blank_string(length, &to);
    for (uint64_t i = 0; i < array->count; i++) {
        if (i > 0) {
            memcpy(to, separator->bytes, separator->length);
            to += separator->length;
        }
        struct text text = value_text(array->items[i], room, JOIN_DIGITS);
        memcpy(to, text.bytes, text.length);
        to += text.length;
    }
    return finished_string(joined);
}
