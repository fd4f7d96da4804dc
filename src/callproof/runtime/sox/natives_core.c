/* Natives of section 10 that are about values and containers. */
#include "runtime.h"

DEFINE_NATIVE(Table) { return sox_table(); }

DEFINE_NATIVE(len) {
    need(count == 1, "len(): invalid parameter count");
    switch (a->tag) {
    case TABLE: return number_value((double)to_table(*a)->count);
    case ARRAY: return number_value((double)to_array(*a)->count);
    case STRING: return number_value((double)to_string(*a)->length);
    default: sox_fail("len(): invalid parameter type");
    }
}

DEFINE_NATIVE(push) {
    need(count == 2, "push(): invalid parameter count");
    need(a[0].tag == ARRAY, "push(): invalid parameter type");
    array_push(to_array(a[0]), a[1]);
    return a[0];
}

DEFINE_NATIVE(pop) {
    need(count == 1, "pop(): invalid parameter count");
    need(a->tag == ARRAY, "pop(): invalid parameter type");
    struct array *array = to_array(*a);
    need(array->count > 0, "pop(): array is empty");
    value last = array->items[--array->count];
    array->items[array->count] = nil_value();
    return last;
}

DEFINE_NATIVE(type) {
    need(count == 1, "type(): invalid argument(s)");
    return c_string_value(type_name(*a));
}

DEFINE_NATIVE(range) {
    need(count >= 1 && count <= 3, "range(): requires 1 to 3 parameters");
    value zero = number_value(0), one = number_value(1);
    if (count == 1) return sox_range(zero, a[0], one);
    return sox_range(a[0], a[1], count == 3 ? a[2] : one);
}

DEFINE_NATIVE(tableKeys) {
    need(count == 1, "tableKeys(): requires 1 parameter");
    need(a->tag == TABLE, "tableKeys(): parameter must be a table");
    return table_keys(to_table(*a));
}

DEFINE_NATIVE(tableHas) {
    need(count == 2, "tableHas(): requires 2 parameters");
    need(a[0].tag == TABLE, "tableHas(): first parameter must be a table");
    need(a[1].tag == STRING, "tableHas(): key must be a string");
    return bool_value(table_find(to_table(a[0]), to_string(a[1])) != NULL);
}

DEFINE_NATIVE(tableDelete) {
    need(count == 2, "tableDelete(): requires 2 parameters");
    need(a[0].tag == TABLE, "tableDelete(): first parameter must be a table");
    need(a[1].tag == STRING, "tableDelete(): key must be a string");
    return bool_value(table_delete(to_table(a[0]), to_string(a[1])));
}
