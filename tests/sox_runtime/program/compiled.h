/* What the compiler would emit for a few functions and a class; what the cases share. */
#ifndef SOX_RUNTIME_TESTS_COMPILED_H
#define SOX_RUNTIME_TESTS_COMPILED_H

#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

/* Not every file uses each of these. */
#pragma clang diagnostic ignored "-Wunused-function"
#pragma clang diagnostic ignored "-Wunused-const-variable"

enum { GLOBALS = 8 };

#define STATIC_STRING(name, text)                                                        \
    static const char name##_BYTES[sizeof(text) + 8] = text;                                    \
    static const struct string name = {{STRING, GC_STATIC, 0}, 0, sizeof(text) - 1, name##_BYTES, NULL}

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
static const struct function_info ANONYMOUS = {
    "anonymous", 2, 2, 0, 0, (void *)add_entry, add_spread};

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
    (void)self;
    (void)count;
    (void)a;
    sox_print(text("bye"));
    return nil_value();
}
static value earlier_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self;
    (void)count;
    (void)a;
    sox_print(text("earlier"));
    return nil_value();
}
static const struct function_info BYE = {"bye", 0, 0, 0, 0, (void *)bye_spread, bye_spread};
static const struct function_info EARLIER = {
    "e", 0, 0, 0, 0, (void *)earlier_spread, earlier_spread};

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
static const struct function_info INIT = {
    "init", 1, 1, FUNCTION_METHOD, 0, (void *)init_spread, init_spread};
static const struct function_info AREA = {
    "area", 0, 0, FUNCTION_METHOD, 0, (void *)area_spread, area_spread};

static value closure_of(const struct function_info *info) { return sox_closure(info, 0, NULL); }

static value shape_class(void) {
    value class = sox_class(&NAME_SHAPE);
    sox_method(class, &NAME_INIT, closure_of(&INIT));
    sox_method(class, &NAME_AREA, closure_of(&AREA));
    return class;
}

static value call1(value callee, value a) { return sox_call(callee, 1, &a); }
static value call0(value callee) { return sox_call(callee, 0, NULL); }

/* natives.c: a native by its name, a value from a word of the command line. */
value native_called(const char *name);
value parse(const char *word);

/* The cases, by file. */
void run_natives(void);
void printing(void); void table_order(void); void table_churn(void); void operators(void);
void calls(void); void classes(void); void many_fields(void); void loops(void); void slices(void);
void argument_list(void); void handlers(void);
void appends(void); void survival(void); void stale_caches(void); void soak(void);
void long_list(void); void exhaust(void);
void property_error(void); void operator_error(void);
void trace(void); void recursion(void);
void testing(void); void benchmark(void);

#endif
