/* Printing, tables, operators, calls, classes, loops, slices. */
#include "compiled.h"

void printing(void) {
    double numbers[] = {0.1 + 0.2, 1.0 / 3, 100000, 999999, 1000000, 100000000, 123456789, 999999.5,
                        12345.678, 9007199254740993.0, 1e21, 0.0001, 0.00001, -0.0, 3, 1e308 * 10,
                        -1e308 * 10, 0, -7, -999999, 0.5, 1e-320};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sox_print(number(numbers[i]));
    value nan = sox_divide(number(0), number(0));
    sox_print(nan);
    sox_print(sox_negate(nan));
    sox_print(nil_value());
    sox_print(bool_value(1));
    sox_print(bool_value(0));
    sox_print(text(""));
    sox_print(text("bytes"));
    sox_print(closure_of(&ADD));
    sox_print(closure_of(&ANONYMOUS));
    sox_print(native_called("len"));
    value class = shape_class();
    value shape = call1(class, number(3));
    static struct property_cache cache;
    sox_print(class);
    sox_print(shape);
    sox_print(sox_get_property(shape, &NAME_AREA, &cache));
    value items[] = {number(1), text("two"), shape, nil_value()};
    value array = sox_array(4, items);
    sox_print(array);
    sox_print(sox_array(0, NULL));
    value table = sox_table();
    sox_print(table);
    value inner[] = {text("e"), number(5)};
    value outer[] = {text("d"), sox_table_literal(1, inner)};
    sox_print(sox_table_literal(1, outer));
    sox_print(sox_range(number(0), number(10), number(2.5)));
    array_push(to_array(array), array);
    sox_print(array);
    sox_set_index(table, text("me"), table);
    sox_print(table);
    sox_print(array);
}

void table_order(void) {
    const struct string *names[] = {&NAME_Z, &NAME_Y, &NAME_X, &NAME_HELLO, &NAME_AFTER};
    value table = sox_table();
    for (int i = 0; i < 5; i++) sox_set_index(table, named(names[i]), number(i));
    sox_print(table);
    sox_print(table_keys(to_table(table)));
    sox_print(bool_value(table_delete(to_table(table), &NAME_HELLO)));
    sox_print(bool_value(table_delete(to_table(table), &NAME_HELLO)));
    sox_print(table);
    sox_print(sox_index(table, named(&NAME_HELLO)));
    sox_print(sox_index(table, named(&NAME_X)));
}

/* Keys come and go; a table with the same keys, put in once, must answer the same. */
void table_churn(void) {
    enum { KEYS = 200, STEPS = 20000 };
    struct table *table = new_table();
    static int present[KEYS];
    uint32_t random = 1;
    char name[16];
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        int key = (int)(random >> 16) % KEYS;
        snprintf(name, sizeof name, "k%d", key);
        struct string *string = to_string(text(name));
        if (random >> 31) {
            table_set(table, string, number(key));
            present[key] = 1;
        } else {
            if (table_delete(table, string) != present[key]) sox_print(text("delete is wrong"));
            present[key] = 0;
        }
    }
    uint64_t count = 0;
    for (int key = 0; key < KEYS; key++) {
        snprintf(name, sizeof name, "k%d", key);
        struct entry *entry = table_find(table, to_string(text(name)));
        if ((entry != NULL) != present[key]) sox_print(text("find is wrong"));
        if (entry != NULL && to_number(entry->content) != key) sox_print(text("content is wrong"));
        count += (uint64_t)present[key];
    }
    sox_print(bool_value(count == table->count && count > 50));
}

void operators(void) {
    sox_print(sox_add(sox_add(number(3), number(3)), text("3")));
    sox_print(sox_add(sox_add(text("3"), number(3)), number(3)));
    sox_print(sox_add(text("a"), nil_value()));
    sox_print(sox_add(bool_value(1), text("b")));
    sox_print(sox_add(text("o "), sox_table()));
    sox_print(sox_add(native_called("len"), text("")));
    sox_print(sox_remainder(number(-7), number(3)));
    sox_print(sox_remainder(number(7.5), number(-2)));
    sox_print(sox_divide(number(1), number(-0.0)));
    sox_print(bool_value((int)sox_equal(text("abc"), sox_add(text("ab"), text("c")))));
    sox_print(bool_value((int)sox_equal(text("1"), number(1))));
    sox_print(bool_value((int)sox_equal(sox_table(), sox_table())));
    sox_print(bool_value((int)sox_equal(nil_value(), bool_value(0))));
    value nan = sox_divide(number(0), number(0));
    sox_print(bool_value((int)(sox_equal(nan, nan) | sox_less(nan, nan) | sox_less_equal(nan, nan) |
                               sox_greater(nan, nan) | sox_greater_equal(nan, nan))));
    sox_print(bool_value((int)(sox_less(number(1), number(2)) &
                               sox_less_equal(number(2), number(2)) &
                               sox_greater(number(2), number(1)) &
                               sox_greater_equal(number(2), number(2)))));
}

void calls(void) {
    value two[] = {number(1), number(2)};
    value add = closure_of(&ADD);
    sox_print(sox_call(add, 2, two));
    sox_print(sox_call(add, 1, two));
    value cell = sox_cell(number(5));
    value count = sox_closure(&COUNT, 1, &cell), again = sox_closure(&COUNT, 1, &cell);
    call0(count);
    call0(again);
    sox_print(call0(count));
    value deferred = nil_value();
    sox_run_defers(&deferred);
    sox_defer(&deferred, closure_of(&BYE));
    sox_defer(&deferred, closure_of(&EARLIER));
    sox_run_defers(&deferred);
}

void classes(void) {
    value shape = shape_class(), square = sox_subclass(&NAME_SQUARE, shape);
    sox_method(shape, &NAME_Y, closure_of(&BYE)); /* too late for the subclass */
    value s = call1(square, number(7));
    static struct property_cache cache, get, set, invoke;
    sox_print(s);
    sox_print(sox_get_property(s, &NAME_X, &get));
    struct instance *instance = to_object(s);
    sox_print(bool_value(get.shape == instance->shape && get.method == NULL &&
                         instance->fields[get.slot].tag == NUMBER));
    value frame[] = {s, number(0)};
    sox_print(sox_invoke(&NAME_AREA, &invoke, 0, frame));
    sox_print(bool_value(invoke.shape == instance->shape && invoke.method != NULL &&
                         invoke.method->info == &AREA));
    sox_print(call0(sox_get_property(s, &NAME_AREA, &cache)));
    sox_print(call0(sox_get_property(s, &NAME_AREA, &cache)));
    sox_print(sox_invoke_super(shape, &NAME_AREA, 0, frame));
    sox_print(call0(sox_get_super(shape, s, &NAME_AREA)));
    sox_set_property(s, &NAME_Z, text("new"), &set);
    struct shape *before = set.shape;
    sox_print(bool_value(before != instance->shape && set.next == instance->shape &&
                         set.slot == 1));
    sox_set_property(s, &NAME_AREA, closure_of(&ADD), &set); /* fields shadow methods */
    frame[1] = number(32);
    sox_print(sox_invoke(&NAME_AREA, &invoke, 1, frame));
    sox_print(bool_value(invoke.shape != instance->shape));
    value t = call1(square, number(8));
    sox_set_property(t, &NAME_Z, nil_value(), &set);
    sox_print(bool_value(((struct instance *)to_object(t))->shape == set.next));
    static struct property_cache missing;
    sox_print(sox_get_property(sox_table(), &NAME_X, &missing));
}

/* More fields than there is room for inside; then instances have it inside. */
void many_fields(void) {
    enum { FIELDS = 40 };
    static struct property_cache caches[FIELDS];
    value names[FIELDS], class = sox_class(&NAME_SHAPE);
    char name[16];
    for (int i = 0; i < FIELDS; i++) {
        snprintf(name, sizeof name, "field%d", i);
        names[i] = text(name);
    }
    int wrong = 0, inside = 0;
    for (int round = 0; round < 3; round++) {
        value object = call0(class);
        struct instance *instance = to_object(object);
        for (int i = 0; i < FIELDS; i++) {
            struct property_cache *cache = &caches[i];
            int hit = cache->shape == instance->shape;
            if (hit) { /* as compiled code does */
                instance->fields[cache->slot] = number(i);
                instance->shape = cache->next;
            } else {
                sox_set_property(object, to_string(names[i]), number(i), cache);
            }
        }
        for (int i = 0; i < FIELDS; i++) {
            static struct property_cache cache;
            wrong += to_number(sox_get_property(object, to_string(names[i]), &cache)) != i;
        }
        inside += instance->fields == instance->inside;
    }
    sox_print(number(wrong));
    sox_print(number(inside));
}

static void show_pairs(value container) {
    struct iteration state;
    sox_iterate(&state, container);
    while (sox_next_pair(&state)) {
        value pair[] = {state.first, state.second};
        sox_print(sox_array(2, pair));
    }
}

static void show_values(value container) {
    struct iteration state;
    value found = sox_array(0, NULL);
    sox_iterate(&state, container);
    while (sox_next_value(&state)) array_push(to_array(found), state.first);
    sox_print(found);
}

void loops(void) {
    value items[] = {number(4), number(5)};
    value array = sox_array(2, items), table = sox_table();
    sox_set_index(table, named(&NAME_X), number(1));
    sox_set_index(table, named(&NAME_Y), number(2));
    value containers[] = {array, table, text("ab"), sox_range(number(5), number(0), number(-2))};
    for (int i = 0; i < 4; i++) {
        show_pairs(containers[i]);
        show_values(containers[i]);
    }
    show_values(sox_range(number(0), number(0.35), number(0.1)));
    struct iteration state; /* pushing extends the loop */
    int steps = 0;
    sox_iterate(&state, array);
    while (sox_next_value(&state))
        if (++steps < 4) array_push(to_array(array), number(steps));
    sox_print(number(steps));
    for (int i = 0; i < 30; i++) {
        char name[8];
        snprintf(name, sizeof name, "k%d", i);
        sox_set_index(table, text(name), number(i));
    }
    steps = 0; /* each key once, though each is deleted when it is visited */
    sox_iterate(&state, table);
    while (sox_next_value(&state)) steps += table_delete(to_table(table), to_string(state.first));
    sox_print(number(steps));
    sox_print(table);
}

void slices(void) {
    value items[] = {number(1), number(2), number(3)}, out = {UNDEFINED, 0};
    value a = sox_array(3, items), empty = sox_array(0, NULL);
    sox_print(sox_slice(a, number(0), number(1)));
    sox_print(sox_slice(a, out, out));
    sox_print(sox_slice(a, number(1), out));
    sox_print(sox_slice(a, out, number(1)));
    sox_print(sox_slice(a, number(2), number(2)));
    sox_print(sox_slice(a, number(-2), number(100)));
    sox_print(sox_slice(a, number(2), number(1)));
    sox_print(sox_slice(a, out, number(-1)));
    sox_print(sox_slice(a, out, number(-0.5)));
    sox_print(sox_slice(empty, out, out));
    sox_print(sox_index(a, number(1.9)));
    sox_print(sox_index(a, number(-0.9)));
}

/* s = s + "x": bytes copied must grow with the length, not with its square. */

void argument_list(void) {
    sox_print(sox_argument_count());
    value arguments = sox_argument_values();
    sox_print(sox_index(arguments, number(1)));
    sox_print(number((double)to_array(arguments)->count));
}

void handlers(void) {
    value native = native_called("sysOnExit");
    call1(native, closure_of(&BYE));
    call1(native, closure_of(&EARLIER));
    sox_print(text("end"));
}
