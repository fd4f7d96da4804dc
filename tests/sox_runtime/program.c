/* Stands in for compiled code: the first argument chooses what to do with the runtime. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

/* --- what the compiler would emit ---------------------------------------------------------- */

enum { GLOBALS = 8 };
value sox_globals[GLOBALS];
const uint64_t sox_global_count = GLOBALS;

#define STATIC_STRING(name, text)                                                        \
    static const struct string name = {{STRING, GC_STATIC, 0}, 0, sizeof(text) - 1, text, NULL}

STATIC_STRING(NAME_X, "x");
STATIC_STRING(NAME_Y, "y");
STATIC_STRING(NAME_Z, "z");
STATIC_STRING(NAME_HELLO, "hello");
STATIC_STRING(NAME_AFTER, "after");
STATIC_STRING(NAME_SHAPE, "Shape");
STATIC_STRING(NAME_SQUARE, "Square");
STATIC_STRING(NAME_INIT, "init");
STATIC_STRING(NAME_AREA, "area");
STATIC_STRING(NAME_F, "f");

static value text(const char *c) { return string_value(c, strlen(c)); }
static value number(double x) { return number_value(x); }
static value named(const struct string *s) { return object_value(STRING, s); }

/* fn add(a, b = 10) { return a + b } */
static value add_entry(struct closure *self, value a, value b) {
    (void)self;
    return sox_add(a, b);
}
static value add_spread(struct closure *self, uint64_t count, const value *a) {
    return add_entry(self, a[0], count > 1 ? a[1] : number(10));
}
static const struct function_info ADD = {"add", 1, 2, 0, 0, (void *)add_entry, add_spread};
static const struct function_info ANONYMOUS = {"anonymous", 2, 2, 0, 0, (void *)add_entry, add_spread};

/* fn () { counter = counter + 1; return counter }, with `counter` captured */
static value count_spread(struct closure *self, uint64_t count, const value *a) {
    (void)count;
    (void)a;
    struct cell *cell = to_object(self->captures[0]);
    return cell->content = sox_add(cell->content, number(1));
}
static const struct function_info COUNT = {"count", 0, 0, 0, 0, (void *)count_spread, count_spread};

/* fn () { print "bye" } and fn () { print "earlier" } */
static value bye_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count; (void)a;
    sox_print(text("bye"));
    return nil_value();
}
static value earlier_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count; (void)a;
    sox_print(text("earlier"));
    return nil_value();
}
static const struct function_info BYE = {"bye", 0, 0, 0, 0, (void *)bye_spread, bye_spread};
static const struct function_info EARLIER = {"e", 0, 0, 0, 0, (void *)earlier_spread, earlier_spread};

/* class Shape { init(x) { this.x = x } area() { return this.x } } */
static struct property_cache init_cache, area_cache;
static value init_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    sox_set_property(a[0], &NAME_X, a[1], &init_cache);
    return a[0];
}
static value area_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    return sox_get_property(a[0], &NAME_X, &area_cache);
}
static const struct function_info INIT = {"init", 1, 1, FUNCTION_METHOD, 0, (void *)init_spread, init_spread};
static const struct function_info AREA = {"area", 0, 0, FUNCTION_METHOD, 0, (void *)area_spread, area_spread};

static value closure_of(const struct function_info *info) { return sox_closure(info, 0, NULL); }

static value shape_class(void) {
    value class = sox_class(&NAME_SHAPE);
    sox_method(class, &NAME_INIT, closure_of(&INIT));
    sox_method(class, &NAME_AREA, closure_of(&AREA));
    return class;
}

static value call1(value callee, value a) { return sox_call(callee, 1, &a); }
static value call0(value callee) { return sox_call(callee, 0, NULL); }

/* --- natives from the command line ----------------------------------------------------------- */

#define NATIVES(each)                                                                          \
    each(Table) each(len) each(push) each(pop) each(type) each(clock) each(usleep)             \
    each(stringUpper) each(stringLower) each(stringTrim) each(stringIndexOf)                   \
    each(stringSubstring) each(stringReplace) each(stringStartsWith) each(stringEndsWith)      \
    each(stringSplit) each(stringEscape) each(stringToNumber) each(mathSqrt) each(mathPow)     \
    each(mathFloor) each(mathCeil) each(mathRound) each(mathSin) each(mathCos) each(mathTan)   \
    each(mathRandom) each(mathRandomInt) each(mathSrand) each(arraySlice) each(arrayReverse)   \
    each(arrayIndexOf) each(arrayContains) each(arrayJoin) each(sysArgs) each(sysGetenv)       \
    each(sysOnExit) each(sysExit) each(sysPlatform) each(sysSleep) each(range) each(tableKeys) \
    each(tableDelete) each(tableHas) each(numberToString) each(fileRead) each(fileWrite)
#define DECLARE(name) extern const struct native sox_native_##name;
#define ROW(name) {#name, &sox_native_##name},
NATIVES(DECLARE)
static const struct {
    const char *name;
    const struct native *native;
} NATIVE_ROWS[] = {NATIVES(ROW)};
enum { NATIVE_COUNT = sizeof NATIVE_ROWS / sizeof *NATIVE_ROWS };

static value native_called(const char *name) {
    for (int i = 0; i < NATIVE_COUNT; i++)
        if (strcmp(NATIVE_ROWS[i].name, name) == 0) return object_value(NATIVE, NATIVE_ROWS[i].native);
    fprintf(stderr, "no native %s\n", name);
    exit(1);
}

/* nil, true, false, n:1.5, s:text, a:item|item (each of these forms), t:key|key, f, range. */
static value parse(const char *word) {
    if (strcmp(word, "nil") == 0) return nil_value();
    if (strcmp(word, "true") == 0) return bool_value(1);
    if (strcmp(word, "false") == 0) return bool_value(0);
    if (strcmp(word, "f") == 0) return closure_of(&BYE);
    if (strcmp(word, "range") == 0) return sox_range(number(0), number(3), number(1));
    if (strncmp(word, "n:", 2) == 0) return number(strtod(word + 2, NULL));
    if (strncmp(word, "s:", 2) == 0) return text(word + 2);
    int is_table = word[0] == 't';
    value result = is_table ? sox_table() : sox_array(0, NULL);
    char part[256];
    for (const char *at = word + 2; *at != 0;) {
        size_t length = strcspn(at, "|");
        memcpy(part, at, length);
        part[length] = 0;
        if (is_table)
            table_set(to_table(result), to_string(text(part)), number(1));
        else
            array_push(to_array(result), parse(part));
        at += length + (at[length] == '|');
    }
    return result;
}

/* native NAME WORD... [, NAME WORD...]...: each result on a line. */
static void run_natives(void) {
    int at = 2;
    while (at < argument_count) {
        value native = native_called(argument_values[at++]), words[16];
        uint64_t count = 0;
        while (at < argument_count && strcmp(argument_values[at], ",") != 0)
            words[count++] = parse(argument_values[at++]);
        at++;
        sox_print(sox_call(native, count, words));
        if (count > 0 && words[0].tag == TABLE) sox_print(words[0]);
    }
}

/* --- the cases --------------------------------------------------------------------------------- */

static void printing(void) {
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
    struct property_cache cache = {0};
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

static void table_order(void) {
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
static void table_churn(void) {
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

static void operators(void) {
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
    sox_print(bool_value((int)(sox_less(number(1), number(2)) & sox_less_equal(number(2), number(2)) &
                               sox_greater(number(2), number(1)) &
                               sox_greater_equal(number(2), number(2)))));
}

static void calls(void) {
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

static void classes(void) {
    value shape = shape_class(), square = sox_subclass(&NAME_SQUARE, shape);
    sox_method(shape, &NAME_Y, closure_of(&BYE)); /* too late for the subclass */
    value s = call1(square, number(7));
    struct property_cache cache = {0}, get = {0}, set = {0}, invoke = {0};
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
    sox_print(bool_value(before != instance->shape && set.next == instance->shape && set.slot == 1));
    sox_set_property(s, &NAME_AREA, closure_of(&ADD), &set); /* fields shadow methods */
    frame[1] = number(32);
    sox_print(sox_invoke(&NAME_AREA, &invoke, 1, frame));
    sox_print(bool_value(invoke.shape != instance->shape));
    value t = call1(square, number(8));
    sox_set_property(t, &NAME_Z, nil_value(), &set);
    sox_print(bool_value(((struct instance *)to_object(t))->shape == set.next));
    struct property_cache missing = {0};
    sox_print(sox_get_property(sox_table(), &NAME_X, &missing));
}

/* More fields than there is room for inside; then instances have it inside. */
static void many_fields(void) {
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
            struct property_cache cache = {0};
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

static void loops(void) {
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

static void slices(void) {
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
static void appends(void) {
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
static void survival(void) {
    enum { LENGTH = 60 };
    value class = shape_class(), list = nil_value();
    static struct property_cache next, read_next, read_x;
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
    value bound = sox_get_property(sox_index(table, text("node 7")), &NAME_AREA, &read_next);
    table = nil_value();
    for (int i = 0; i < 20; i++) sox_table();
    sox_print(call0(bound));
}

/* Classes and their shapes die; a cache must not take a new shape for a dead one. */
static void stale_caches(void) {
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
static void soak(void) {
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
        value old = to_array(live)->items[slot], fresh = object_value(STRING, new_string(fill, size));
        if (old.tag == STRING && to_string(old)->length > 0 &&
            to_string(old)->bytes[to_string(old)->length - 1] != 'x')
            sox_print(text("damaged"));
        value pair[] = {fresh, number(slot)};
        to_array(live)->items[slot] = slot % 3 ? fresh : sox_array(2, pair);
    }
    sox_print(bool_value(gc_counts.collections >= 3));
}

/* A chain as long as memory: marking must not need a stack as long. */
static void long_list(void) {
    enum { LENGTH = 300000 };
    value list = nil_value();
    for (int i = 0; i < LENGTH; i++) list = sox_array(1, &list);
    gc_collect();
    int length = 0;
    for (; list.tag == ARRAY; list = to_array(list)->items[0]) length++;
    sox_print(number(length));
}

/* exhaust large, exhaust small: memory is used up by few objects or by many. */
static void exhaust(void) {
    value s = text("0123456789abcdef");
    if (strcmp(argument_values[2], "small") == 0)
        for (;;) s = sox_array(1, &s);
    for (;;) s = sox_add(s, s);
}

static void argument_list(void) {
    sox_print(sox_argument_count());
    value arguments = sox_argument_values();
    sox_print(sox_index(arguments, number(1)));
    sox_print(number((double)to_array(arguments)->count));
}

static void handlers(void) {
    value native = native_called("sysOnExit");
    call1(native, closure_of(&BYE));
    call1(native, closure_of(&EARLIER));
    sox_print(text("end"));
}

/* --- errors from each kind of place ------------------------------------------------------------ */

static void property_error(void) {
    struct property_cache cache = {0};
    value shape = call1(shape_class(), number(1)), frame[] = {shape, number(2)};
    value table_frame[] = {sox_table(), number(2)}, number_frame[] = {number(1)};
    switch (atoi(argument_values[2])) {
    case 0: sox_get_property(shape, &NAME_Y, &cache); break;
    case 1: sox_get_property(number(1), &NAME_Y, &cache); break;
    case 2: sox_set_property(text("s"), &NAME_Y, number(1), &cache); break;
    case 3: sox_invoke(&NAME_Y, &cache, 0, frame); break;
    case 4: sox_invoke(&NAME_Y, &cache, 0, table_frame); break;
    case 5: sox_invoke(&NAME_Y, &cache, 0, number_frame); break;
    case 6: sox_invoke(&NAME_AREA, &cache, 1, frame); break;
    case 7: call0(number(4)); break;
    case 8: call0(shape_class()); break;
    case 9: call1(sox_class(&NAME_SHAPE), number(1)); break;
    case 10: call0(closure_of(&ADD)); break;
    case 11: call0(closure_of(&ANONYMOUS)); break;
    case 12: sox_subclass(&NAME_SQUARE, number(1)); break;
    case 13: sox_invoke_super(shape_class(), &NAME_Y, 0, frame); break;
    case 14: sox_get_undefined(&NAME_X);
    case 15: sox_assert_failed((value){UNDEFINED, 0});
    case 16: sox_assert_failed(text("why"));
    case 17: sox_assert_failed(number(1));
    case 18: sox_require_array(sox_table()); break;
    case 19: sox_fail("Circular import detected: 'p'");
    default: sox_error("no case %s", argument_values[2]);
    }
}

static void operator_error(void) {
    value a = parse(argument_values[3]), b = parse(argument_values[4]), c = parse(argument_values[5]);
    struct iteration state;
    switch (argument_values[2][0]) {
    case '+': sox_add(a, b); break;
    case '-': sox_subtract(a, b); break;
    case '*': sox_multiply(a, b); break;
    case '/': sox_divide(a, b); break;
    case '%': sox_remainder(a, b); break;
    case '~': sox_negate(a); break;
    case '<': sox_less(a, b); break;
    case '[': sox_index(a, b); break;
    case '=': sox_set_index(a, b, c); break;
    case ':': sox_slice(a, b, c); break;
    case 'i': sox_iterate(&state, a); break;
    case 'r': sox_range(a, b, c); break;
    default: sox_error("no operator %s", argument_values[2]);
    }
    sox_print(text("no error"));
}

/* --- traces: machine code in a table, written by hand ------------------------------------------- */

void traced_outer(void);
void traced_recursive(uint64_t depth);
void traced_error(void);
void traced_error(void) { sox_add(nil_value(), nil_value()); }

#if defined(__aarch64__)
#define FUNCTION(name, body, call, label)                                                        \
    ".globl " #name "\n" #name ":\n stp x29, x30, [sp, #-16]!\n mov x29, sp\n" body " bl " call \
    "\n" #label ":\n ldp x29, x30, [sp], #16\n ret\n"
__asm__(".text\n.balign 16\n.globl traced_outer_return, traced_middle_return, traced_leaf_return\n"
        ".globl traced_recursive_return, traced_recursive_end\n"
        FUNCTION(traced_outer, "", "traced_middle", traced_outer_return)
        FUNCTION(traced_middle, "", "traced_leaf", traced_middle_return)
        FUNCTION(traced_leaf, "", "traced_error", traced_leaf_return)
        ".globl traced_end\ntraced_end:\n"
        FUNCTION(traced_recursive, " cbz x0, traced_recursive_bottom\n sub x0, x0, #1\n",
                 "traced_recursive", traced_recursive_return)
        "traced_recursive_bottom: bl traced_error\n"
        "traced_recursive_end:\n");
#else
#define FUNCTION(name, body, call, label)                                                          \
    ".globl " #name "\n" #name ":\n push %rbp\n mov %rsp, %rbp\n" body " call " call "\n" #label \
    ":\n pop %rbp\n ret\n"
__asm__(".text\n.balign 16\n.globl traced_outer_return, traced_middle_return, traced_leaf_return\n"
        ".globl traced_recursive_return, traced_recursive_end\n"
        FUNCTION(traced_outer, "", "traced_middle", traced_outer_return)
        FUNCTION(traced_middle, "", "traced_leaf", traced_middle_return)
        FUNCTION(traced_leaf, "", "traced_error", traced_leaf_return)
        ".globl traced_end\ntraced_end:\n"
        FUNCTION(traced_recursive,
                 " test %rdi, %rdi\n jz traced_recursive_bottom\n dec %rdi\n",
                 "traced_recursive", traced_recursive_return)
        "traced_recursive_bottom: call traced_error\n"
        "traced_recursive_end:\n");
#endif

/* The tables, as the compiler writes them. */
#define CALL_ROW(name, label, line) #name "_calls: .4byte " #label " - " #name ", " #line "\n"
#define ROW_OF(name, end, text)                                                             \
    " .8byte " #name "\n .4byte " #end " - " #name ", 1\n .8byte " text ", " #name "_calls\n"
__asm__(".section .data.rel.ro,\"aw\"\n.balign 8\n"
        CALL_ROW(traced_outer, traced_outer_return, 30)
        CALL_ROW(traced_middle, traced_middle_return, 20)
        CALL_ROW(traced_leaf, traced_leaf_return, 10)
        CALL_ROW(traced_recursive, traced_recursive_return, 5)
        "text_script: .asciz \"script\"\ntext_leaf: .asciz \"leaf()\"\n"
        "text_deep: .asciz \"deep()\"\n.balign 8\n"
        ".globl sox_trace_functions, sox_trace_count\n"
        "sox_trace_functions:\n"
        ROW_OF(traced_outer, traced_middle, "text_script")
        ROW_OF(traced_middle, traced_leaf, "0") /* not shown */
        ROW_OF(traced_leaf, traced_end, "text_leaf")
        ROW_OF(traced_recursive, traced_recursive_end, "text_deep")
        "sox_trace_count: .8byte 4\n.text\n");

static void trace(void) {
    sox_print(text("printed before"));
    traced_outer();
}

static void recursion(void) { traced_recursive(strtoull(argument_values[2], NULL, 10)); }

/* --- tests and benchmarks ------------------------------------------------------------------------ */

static value test_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    STATIC_STRING(NAME_ERROR, "Error");
    STATIC_STRING(NAME_FATAL, "Fatal");
    struct property_cache cache = {0};
    value frame[] = {a[0], text("it broke"), number(2)};
    switch (argument_values[2][0]) {
    case 'p': break;
    case 'e':
        sox_invoke(&NAME_ERROR, &cache, 1, frame);
        sox_invoke(&NAME_ERROR, &cache, 0, frame);
        break;
    case 'f': sox_invoke(&NAME_FATAL, &cache, 1, frame); break;
    case 'a': sox_assert_failed(text("not so"));
    case 'w': sox_invoke(&NAME_ERROR, &cache, 2, frame); break;
    }
    sox_print(text("end of test"));
    return nil_value();
}
static const struct function_info TEST = {"test", 1, 1, 0, 0, (void *)test_spread, test_spread};

static void testing(void) { sox_run_test(closure_of(&TEST)); }

static value bench_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    if (argument_count > 2) sox_fail("broken");
    STATIC_STRING(NAME_N, "n");
    struct property_cache cache = {0};
    double n = to_number(sox_get_property(a[0], &NAME_N, &cache));
    for (double i = 0; i < n; i++) sox_table();
    return nil_value();
}
static const struct function_info BENCH = {"b", 1, 1, 0, 0, (void *)bench_spread, bench_spread};

static void benchmark(void) {
    STATIC_STRING(NAME_BENCH, "BenchmarkTable");
    sox_run_benchmark(&NAME_BENCH, closure_of(&BENCH));
    sox_end_benchmarks();
}

static const struct {
    const char *name;
    void (*run)(void);
} CASES[] = {
    {"printing", printing}, {"table_order", table_order}, {"table_churn", table_churn},
    {"operators", operators}, {"calls", calls}, {"classes", classes},
    {"many_fields", many_fields}, {"loops", loops}, {"slices", slices},
    {"appends", appends}, {"survival", survival}, {"stale_caches", stale_caches},
    {"soak", soak}, {"long_list", long_list}, {"exhaust", exhaust},
    {"arguments", argument_list}, {"handlers", handlers}, {"native", run_natives},
    {"property_error", property_error}, {"operator_error", operator_error}, {"trace", trace},
    {"recursion", recursion}, {"testing", testing}, {"benchmark", benchmark},
};

value sox_script(struct closure *self) {
    (void)self;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (argument_count > 1 && strcmp(CASES[i].name, argument_values[1]) == 0) {
            CASES[i].run();
            return nil_value();
        }
    }
    sox_fail("no such case");
}
