/* Indexing and slicing. */
#include <math.h>

#include "runtime.h"

/* The element that an index means. */
static value *element(struct array *array, double index) {
    double whole = trunc(index);
    if (!(whole >= 0 && whole < (double)array->count))
        sox_error("Index out of bounds. index=(%.0f) count=(%llu)", whole == 0 ? 0.0 : whole,
                  (unsigned long long)array->count);
    return &array->items[(uint64_t)whole];
}

static _Noreturn void not_indexable(void) {
    sox_fail("cannot index non-table or array types.");
}

/* The entry where a key's hash points to, if it is that key's and can be told at once; a hash
 * that is not known yet points to another, which does not look the same. */
static inline struct entry *entry_at_once(const struct table *table, const struct string *key) {
    struct entry *entry = &table->entries[key->hash & table->mask];
    const struct string *there = entry->key;
    if (there == key) return entry;
    if (there != NULL && there->bytes == key->bytes && there->length == key->length) return entry;
    return NULL;
}

static __attribute__((noinline)) value index_anything(value container, value index) {
    if (container.tag == ARRAY) {
        if (index.tag != NUMBER)
            sox_error("Index value must be a number for arrays. type=(%s)", type_name(index));
        return *element(to_array(container), to_number(index));
    }
    if (container.tag != TABLE) not_indexable();
    if (index.tag != STRING)
        sox_error("Index value must be a string for tables. type=(%s)", type_name(index));
    const struct entry *entry = table_find(to_table(container), to_string(index));
    return entry != NULL ? entry->content : nil_value();
}

value sox_index(value container, value index) {
    if (container.tag == TABLE && index.tag == STRING) {
        const struct entry *entry = entry_at_once(to_table(container), to_string(index));
        if (entry != NULL) return entry->content;
    }
    return index_anything(container, index);
}

static __attribute__((noinline)) void set_anything(value container, value index, value content) {
    if (container.tag == ARRAY) {
        if (index.tag != NUMBER)
            sox_error("Index value must be a number. type=(%s)", type_name(index));
        *element(to_array(container), to_number(index)) = content;
        return;
    }
    if (container.tag != TABLE) not_indexable();
    if (index.tag != STRING) sox_error("Index value must be a string. type=(%s)", type_name(index));
    table_set(to_table(container), to_string(index), content);
}

/* A table that is full grows first, whether the key is there or not. */
void sox_set_index(value container, value index, value content) {
    if (container.tag == TABLE && index.tag == STRING) {
        const struct table *table = to_table(container);
        if ((table->count + 1) * 4 <= table->capacity * 3) {
            struct entry *entry = entry_at_once(table, to_string(index));
            if (entry != NULL) {
                entry->content = content;
                return;
            }
        }
    }
    set_anything(container, index, content);
}

static double bound_of(value bound, double left_out) {
    if (bound.tag == UNDEFINED) return left_out;
    if (bound.tag != NUMBER) sox_fail("Invalid array range definition.");
    return to_number(bound);
}

/* The end is inclusive. */
value sox_slice(value array, value start, value end) {
    if (array.tag != ARRAY) sox_fail("Array range expects array.");
    const struct array *from = to_array(array);
    double first_wanted = bound_of(start, 0);
    double last_wanted = trunc(bound_of(end, (double)from->count));
    uint64_t first = clamp(first_wanted, from->count);
    uint64_t behind = last_wanted < 0 ? 0 : clamp(last_wanted + 1, from->count);
    return array_part(from, first, behind > first ? behind - first : 0);
}
