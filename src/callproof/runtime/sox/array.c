/* Arrays: a count, and elements in a storage object that is replaced when it is full.
 * Elements from the count on are nil. */
#include "runtime.h"

enum { FIRST_CAPACITY = 4 };

struct array *new_array(uint64_t capacity) {
    struct array *array = new_object(ARRAY, sizeof *array);
    if (capacity > 0) {
        array->items = new_values(capacity)->items;
        array->capacity = capacity;
    }
    return array;
}

void array_push(struct array *array, value v) {
    if (array->count == array->capacity) {
        uint64_t capacity = array->capacity ? array->capacity * 2 : FIRST_CAPACITY;
        struct values *larger = new_values(capacity);
        if (array->count > 0) memcpy(larger->items, array->items, array->count * sizeof v);
        array->items = larger->items;
        array->capacity = capacity;
    }
    array->items[array->count++] = v;
}

value sox_array(uint64_t count, const value *items) {
    struct array *array = new_array(count);
    if (count > 0) memcpy(array->items, items, count * sizeof *items);
    array->count = count;
    return object_value(ARRAY, array);
}

value array_part(const struct array *array, uint64_t from, uint64_t count) {
    return sox_array(count, count > 0 ? array->items + from : NULL);
}

value sox_require_array(value v) {
    if (v.tag != ARRAY) sox_fail("Array variable expects an array.");
    return v;
}
