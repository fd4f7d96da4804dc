/* Appending, and what the collector must keep. */
#include "compiled.h"

void appends(void) {
    enum { TIMES = 100000 };
    value s = text(""), x = text("0123456789");
    for (int i = 0; i < TIMES; i++) s = sox_add(s, x);
    sox_print(number((double)(to_string(s)->length / 1000)));
    sox_print(bool_value(sox_copied_bytes < 6 * 10 * (uint64_t)TIMES));
    /* Two strings that grow from the same one do not see each other. */
    value base = sox_add(s, text("|")), left = sox_add(base, text("left")),
          right = sox_add(base, text("right"));
    sox_print(string_value(to_string(left)->bytes + 10 * TIMES - 1, 6));
    sox_print(string_value(to_string(right)->bytes + 10 * TIMES - 1, 7));
    value twice = sox_add(left, left);
    sox_print(bool_value(to_string(twice)->length == 2 * to_string(left)->length));
}

/* Structures that only the heap refers to, while garbage is made all the time. */
void survival(void) {
    enum { LENGTH = 60 };
    value class = shape_class(), list = nil_value();
    static struct property_cache next, read_next, read_x, read_area;
    for (int i = 0; i < LENGTH; i++) {
        value node = call1(class, sox_add(text("node "), number(i)));
        sox_set_property(node, &NAME_F, list, &next);
        list = node;
        sox_globals[i % GLOBALS] = sox_add(text("global "), number(i));
        sox_array(1, &list);
        sox_cell(node);
    }
    value table = sox_table();
    for (int i = LENGTH - 1; list.tag != NIL; i--) {
        value name = sox_get_property(list, &NAME_X, &read_x);
        value expected = sox_add(text("node "), number(i));
        if (!sox_equal(name, expected)) sox_print(text("lost"));
        sox_set_index(table, name, list);
        list = sox_get_property(list, &NAME_F, &read_next);
    }
    sox_print(number((double)to_table(table)->count));
    sox_print(sox_globals[3]);
    value bound = sox_get_property(sox_index(table, text("node 7")), &NAME_AREA, &read_area);
    table = nil_value();
    for (int i = 0; i < 20; i++) sox_table();
    sox_print(call0(bound));
}

/* Classes and their shapes die; a cache must not take a new shape for a dead one. */
void stale_caches(void) {
    static struct property_cache get, set_x, set_y;
    int wrong = 0;
    for (int i = 0; i < 300; i++) {
        value object = call0(sox_class(&NAME_SHAPE));
        if (i % 2) {
            sox_set_property(object, &NAME_Y, text("y"), &set_y);
            sox_set_property(object, &NAME_X, number(i), &set_x);
        } else {
            sox_set_property(object, &NAME_X, number(i), &set_x);
            sox_set_property(object, &NAME_Y, text("y"), &set_y);
        }
        struct instance *instance = to_object(object);
        value x = get.shape == instance->shape ? instance->fields[get.slot]
                                               : sox_get_property(object, &NAME_X, &get);
        wrong += x.tag != NUMBER || to_number(x) != i;
        if (i % 16 == 0) gc_collect();
    }
    sox_print(number(wrong));
}

/* soak MEGABYTES SLOTS: so much garbage in many sizes, with about 300 bytes a slot live. */
void soak(void) {
    const uint32_t SLOTS = (uint32_t)strtoul(argument_values[3], NULL, 10);
    uint64_t wanted = strtoull(argument_values[2], NULL, 10) << 20;
    value live = sox_array(0, NULL);
    for (uint32_t i = 0; i < SLOTS; i++) array_push(to_array(live), nil_value());
    uint32_t random = 12345;
    char *fill = calloc(1, 40000);
    memset(fill, 'x', 40000);
    while (gc_counts.allocated_bytes < wanted) {
        random = random * 1664525 + 1013904223;
        uint32_t slot = (random >> 8) % SLOTS;
        uint32_t size = (random >> 24) == 0 ? random % 40000 : random % 300;
        value old = to_array(live)->items[slot];
        value fresh = string_value(fill, size);
        if (old.tag == STRING && to_string(old)->length > 0 &&
            to_string(old)->bytes[to_string(old)->length - 1] != 'x')
            sox_print(text("damaged"));
        value pair[] = {fresh, number(slot)};
        to_array(live)->items[slot] = slot % 3 ? fresh : sox_array(2, pair);
    }
    sox_print(bool_value(gc_counts.collections >= 3));
}

/* A chain as long as memory: marking must not need a stack as long. */
void long_list(void) {
    enum { LENGTH = 300000 };
    value list = nil_value();
    for (int i = 0; i < LENGTH; i++) list = sox_array(1, &list);
    gc_collect();
    int length = 0;
    for (; list.tag == ARRAY; list = to_array(list)->items[0]) length++;
    sox_print(number(length));
}

/* exhaust large, exhaust small: memory is used up by few objects or by many. */
void exhaust(void) {
    value s = text("0123456789abcdef");
    if (strcmp(argument_values[2], "small") == 0)
        for (;;) s = sox_array(1, &s);
    for (;;) s = sox_add(s, s);
}
