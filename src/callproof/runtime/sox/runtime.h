/* Between the runtime's own files: nothing here is for compiled code. */
#ifndef CALLPROOF_SOX_RUNTIME_H
#define CALLPROOF_SOX_RUNTIME_H

#include <string.h>

#include "sox.h"

enum {
    RUNTIME_ERROR = 70, /* exit statuses */
    LOST_OUTPUT = 74,
    NUMBER_TEXT = 40, /* bytes that any number fits into as text */
};

/* --- values to and from C --------------------------------------------------------------- */

static inline value nil_value(void) { return (value){NIL, 0}; }
static inline value bool_value(int truth) { return (value){BOOL, truth != 0}; }
static inline value object_value(enum tag tag, const void *object) {
    return (value){tag, (uint64_t)(uintptr_t)object};
}
static inline value number_value(double x) {
    value v = {NUMBER, 0};
    memcpy(&v.payload, &x, sizeof x);
    return v;
}
static inline double to_number(value v) {
    double x;
    memcpy(&x, &v.payload, sizeof x);
    return x;
}
static inline void *to_object(value v) { return (void *)(uintptr_t)v.payload; }
static inline struct string *to_string(value v) { return to_object(v); }
static inline struct array *to_array(value v) { return to_object(v); }
static inline struct table *to_table(value v) { return to_object(v); }

/* --- objects.c -------------------------------------------------------------------------- */

extern const struct gc_language sox_language;
void *new_object(enum tag kind, size_t bytes);
struct values *new_values(uint64_t capacity); /* all nil */
/* The same with those items at its beginning. */
struct values *values_with(uint64_t capacity, const value *items, uint64_t count);

/* Values that live as long as the program, beside the globals. */
extern value exit_handlers, test_context;

/* --- strings.c -------------------------------------------------------------------------- */

/* What strings are appended to; `used` bytes are taken by strings. */
struct buffer { /* kind BUFFER */
    struct gc_header header;
    uint32_t spare;
    uint64_t used, capacity;
    char bytes[];
};

struct text {
    const char *bytes;
    uint64_t length;
};

extern uint64_t sox_copied_bytes; /* by concatenations; tests look at it */

struct string *new_string(const char *bytes, uint64_t length);
/* With room for its bytes behind it, which are not there yet. */
static inline struct string *string_with_room(uint64_t length) {
    uint64_t size = sizeof(struct string) + length;
    struct string *string = size <= GC_SMALL_LIMIT ? gc_small_unset(STRING, size)
                                                   : gc_allocate_unset(STRING, size);
    string->hash = 0;
    string->length = length;
    string->bytes = (char *)(string + 1);
    string->owner = NULL;
    return string;
}

/* For the caller to fill in and to finish; may be made shorter before that. */
enum { LEAST_BUFFER = 256 }; /* shorter strings are not made to be extended */
static inline int has_buffer(const struct string *string) {
    return string->owner != NULL && string->owner->kind == BUFFER;
}

struct string *blank_string(uint64_t length, char **bytes);
value finished_string(struct string *string);
char *zero_ended(const struct string *string); /* a copy, collected some time */
value string_value(const char *bytes, uint64_t length);
value c_string_value(const char *text);
static inline value byte_value(unsigned char byte) {
    return object_value(STRING, &sox_bytes[byte]);
}
/* `left` is the string that the first piece is the text of, or NULL if it is none; `total`
 * the length of all. */
const struct string *join(const struct string *left, uint64_t total, uint64_t count,
                          const struct text *pieces);
uint32_t compute_hash(const struct string *string);
static inline uint32_t string_hash(const struct string *string) {
    return string->hash != 0 ? string->hash : compute_hash(string);
}
int same_contents(const struct string *a, const struct string *b); /* lengths are the same */
static inline int same_string(const struct string *a, const struct string *b) {
    return a == b || (a->length == b->length && same_contents(a, b));
}
/* As memcpy, which is a call, and slow for the few bytes that most strings have. */
static inline void copy_bytes(char *to, const char *from, uint64_t length) {
    typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));
    if (length >= 16) {
        uint64_t last = length - 16;
        for (uint64_t at = 0; at < last; at += 16) {
            *(pair *)(to + at) = *(const pair *)(from + at);
            __asm__("" : "+r"(at)); /* or Clang makes a call of it */
        }
        *(pair *)(to + last) = *(const pair *)(from + last);
    } else if (length >= 8) {
        uint64_t first, last;
        __builtin_memcpy(&first, from, 8);
        __builtin_memcpy(&last, from + length - 8, 8);
        __builtin_memcpy(to, &first, 8);
        __builtin_memcpy(to + length - 8, &last, 8);
    } else if (length >= 4) {
        uint32_t first, last;
        __builtin_memcpy(&first, from, 4);
        __builtin_memcpy(&last, from + length - 4, 4);
        __builtin_memcpy(to, &first, 4);
        __builtin_memcpy(to + length - 4, &last, 4);
    } else if (length > 0) {
        char middle = from[length / 2], last = from[length - 1];
        to[0] = from[0];
        to[length / 2] = middle;
        to[length - 1] = last;
    }
}

/* --- text.c: numbers and types as text ---------------------------------------------------- */

int number_text(char text[NUMBER_TEXT], double x, int digits); /* %.<digits>g; its length */
const char *type_name(value v);
/* A number that is whole and small at the end of the room; length 0 if it is not. */
static inline struct text small_text(value v, char room[NUMBER_TEXT]) {
    double x = to_number(v);
    if (!(x < 1e6) || (int64_t)v.payload < 0) return (struct text){room, 0};
    uint32_t whole = (uint32_t)x;
    if ((double)whole != x) return (struct text){room, 0};
    char *end = room + NUMBER_TEXT, *at = end;
    for (; whole >= 10; whole /= 10) *--at = (char)('0' + whole % 10);
    *--at = (char)('0' + whole);
    return (struct text){at, (uint64_t)(end - at)};
}

/* A value as concatenation sees it; `room` is where a number goes. */
struct text value_text(value v, char room[NUMBER_TEXT], int digits);

/* --- output.c ----------------------------------------------------------------------------- */

extern int suppress_print;
void put_bytes(const char *bytes, uint64_t count);
void put_text(const char *text);
void flush_output(void);
void end_line(void);

/* --- array.c ------------------------------------------------------------------------------ */

struct array *new_array(uint64_t capacity);
void array_push(struct array *array, value v);
value array_part(const struct array *array, uint64_t from, uint64_t count);

/* --- table.c ------------------------------------------------------------------------------ */

struct table *new_table(void);
struct entry *table_find(const struct table *table, const struct string *key); /* or NULL */
void table_set(struct table *table, const struct string *key, value content);
int table_delete(struct table *table, const struct string *key); /* 0: was not there */
value table_keys(const struct table *table);
void table_copy(struct table *to, const struct table *from); /* `to` is empty */

/* --- call.c ------------------------------------------------------------------------------- */

void check_count(const struct closure *closure, uint64_t count);

/* --- class.c, property.c -------------------------------------------------------------------- */

value new_instance(struct class *class);
void set_root(struct class *class, struct shape *root);
struct closure *find_method(const struct class *class, const struct string *name);
struct shape *shape_after(struct shape *shape, const struct string *name);
int find_slot(const struct shape *shape, const struct string *name, uint64_t *slot);
void forget_dead_caches(void);

/* --- start.c, trace.c, error.c -------------------------------------------------------------- */

struct place { /* where to begin a trace: a return address, and the frame of its function */
    uintptr_t address;
    const uintptr_t *frame;
};
void print_trace(struct place innermost);
_Noreturn void fail_at(struct place innermost, const char *message);
_Noreturn void out_of_memory(void);
extern void (*on_error)(int status); /* in place of the end of the program; or NULL */
extern uintptr_t stack_top;
extern int argument_count;
extern char **argument_values;

/* --- testing.c ------------------------------------------------------------------------------ */

extern int in_test;
extern const struct string *current_benchmark;

/* --- natives --------------------------------------------------------------------------------- */

#define DEFINE_NATIVE(name)                                                                     \
    static value native_##name(uint64_t count, const value *a);                                 \
    const struct native sox_native_##name = {{NATIVE, GC_STATIC, 0}, 0, native_##name};         \
    static value native_##name(uint64_t count __attribute__((unused)),                          \
                               const value *a __attribute__((unused)))

static inline void need(int holds, const char *message) {
    if (!holds) sox_fail(message);
}

/* `at` within 0 ... `length`, truncated; what is no number is 0. */
static inline uint64_t clamp(double at, uint64_t length) {
    if (!(at > 0)) return 0;
    return at >= (double)length ? length : (uint64_t)at;
}

#endif
