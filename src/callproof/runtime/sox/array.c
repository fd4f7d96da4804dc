/* Arrays: a count, and elements in a storage object that is replaced when it is full.
 * Elements from the count on are nil. */
#include "runtime.h"

enum { FIRST_CAPACITY = 4 };

static struct array *empty_array(void) {
    struct array *array = gc_small_unset(ARRAY, sizeof *array);
    array->count = array->capacity = 0;
    array->items = NULL;
    return array;
}

struct array *new_array(uint64_t capacity) {
    struct array *array = empty_array();
    if (capacity > 0) {
        array->items = new_values(capacity)->items;
        array->capacity = capacity;
    }
    return array;
}

void array_push(struct array *array, value v) {
    if (array->count == array->capacity) {
        uint64_t capacity = array->capacity ? array->capacity * 2 : FIRST_CAPACITY;
        array->items = values_with(capacity, array->items, array->count)->items;
        array->capacity = capacity;
    }
    array->items[array->count++] = v;
}

/* The items may be those of an array that nobody knows any more: they are copied first. */
value sox_array(uint64_t count, const value *items) {
    struct array *array = empty_array();
    if (count > 0) {
        array->items = values_with(count, items, count)->items;
        array->count = array->capacity = count;
    }
    return object_value(ARRAY, array);
}

value array_part(const struct array *array, uint64_t from, uint64_t count) {
    return sox_array(count, count > 0 ? array->items + from : NULL);
}

value sox_require_array(value v) {
    if (v.tag != ARRAY) sox_fail("Array variable expects an array.");
    return v;
}
