/* What the collector has to know of Sox: how each kind of object is traced, and the roots. */
#include "runtime.h"

enum { PART = 512 }; /* elements of a large object that are traced at once */

value exit_handlers, test_context;

static void mark_value(value v) {
    if (v.tag >= STRING && v.tag != UNDEFINED) gc_mark(to_object(v));
}

static void mark_values(const value *items, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) mark_value(items[i]);
}

static void trace_string(void *object, uint64_t from) {
    (void)from;
    gc_mark(((struct string *)object)->owner);
}

static void trace_closure(void *object, uint64_t from) {
    (void)from;
    struct closure *closure = object;
    mark_values(closure->captures, closure->count);
}

static void trace_cell(void *object, uint64_t from) {
    (void)from;
    mark_value(((struct cell *)object)->content);
}

static void trace_class(void *object, uint64_t from) {
    (void)from;
    struct class *class = object;
    gc_mark((void *)class->name);
    gc_mark(class->superclass);
    gc_mark(class->methods);
    gc_mark(class->initializer);
    gc_mark(class->root);
}

static void trace_shape(void *object, uint64_t from) {
    (void)from;
    struct shape *shape = object;
    gc_mark(shape->class);
    gc_mark(shape->parent);
    gc_mark((void *)shape->name);
    gc_mark(shape->children);
    gc_mark(shape->sibling);
}

static void mark_storage(const value *items) {
    if (items != NULL) gc_mark((char *)items - offsetof(struct values, items));
}

static void trace_instance(void *object, uint64_t from) {
    (void)from;
    struct instance *instance = object;
    gc_mark_now(instance->class); /* many have one class and one shape */
    if (instance->shape == NULL) return; /* not filled in yet */
    gc_mark_now(instance->shape);
    if (instance->fields == instance->inside)
        mark_values(instance->inside, instance->shape->count);
    else
        mark_storage(instance->fields);
}

static void trace_bound(void *object, uint64_t from) {
    (void)from;
    struct bound *bound = object;
    mark_value(bound->receiver);
    gc_mark(bound->method);
}

static void trace_array(void *object, uint64_t from) {
    (void)from;
    mark_storage(((struct array *)object)->items);
}

static void trace_values(void *object, uint64_t from) {
    struct values *values = object;
    uint64_t left = values->capacity - from;
    if (left > PART) {
        gc_mark_later(object, from + PART);
        left = PART;
    }
    mark_values(values->items + from, left);
}

_Static_assert(offsetof(struct entries, items) == offsetof(struct values, items),
               "mark_storage is for both");

static void trace_table(void *object, uint64_t from) {
    (void)from;
    mark_storage((const value *)((struct table *)object)->entries);
}

static void trace_entries(void *object, uint64_t from) {
    struct entries *entries = object;
    uint64_t left = entries->capacity - from;
    if (left > PART) {
        gc_mark_later(object, from + PART);
        left = PART;
    }
    for (uint64_t i = from; i < from + left; i++) {
        gc_mark(entries->items[i].key);
        mark_value(entries->items[i].content);
    }
}

static void mark_roots(void) {
    mark_values(sox_globals, sox_global_count);
    mark_value(exit_handlers);
    mark_value(test_context);
}

const struct gc_language sox_language = {
    .trace =
        {
            [STRING] = trace_string,
            [CLOSURE] = trace_closure,
            [CLASS] = trace_class,
            [INSTANCE] = trace_instance,
            [BOUND] = trace_bound,
            [TABLE] = trace_table,
            [ARRAY] = trace_array,
            [CELL] = trace_cell,
            [VALUES] = trace_values,
            [ENTRIES] = trace_entries,
            [SHAPE] = trace_shape,
        },
    .mark_roots = mark_roots,
    .after_mark = forget_dead_caches,
    .out_of_memory = out_of_memory,
};

void *new_object(enum tag kind, size_t bytes) { return gc_allocate((uint8_t)kind, bytes); }

struct values *values_with(uint64_t capacity, const value *items, uint64_t count) {
    enum { SMALL = (GC_SMALL_LIMIT - sizeof(struct values)) / sizeof(value) };
    if (capacity > (uint64_t)1 << 40) out_of_memory();
    uint64_t size = sizeof(struct values) + capacity * sizeof(value);
    struct values *values =
        capacity <= SMALL ? gc_small_unset(VALUES, size) : gc_allocate_unset(VALUES, size);
    values->capacity = capacity;
    for (uint64_t i = 0; i < count; i++) {
        values->items[i] = items[i];
        __asm__("" : "+r"(i)); /* or Clang makes a call of it */
    }
    gc_clear(values->items + count, (capacity - count) * sizeof(value));
    return values;
}

struct values *new_values(uint64_t capacity) { return values_with(capacity, NULL, 0); }

value sox_cell(value content) {
    struct cell *cell = gc_small_unset(CELL, sizeof *cell);
    cell->content = content;
    return object_value(CELL, cell);
}

uint64_t sox_take_cell(uint64_t size_class) {
    return (uint64_t)(uintptr_t)gc_take_cell((unsigned)size_class);
}
