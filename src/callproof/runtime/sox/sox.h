/* The Sox runtime: what compiled programs call, and the layout of what they touch
 * themselves.  C11 on musl.  `sox_layout.py` states the same numbers for the compiler and
 * `layout.c` checks them. */
#ifndef CALLPROOF_SOX_H
#define CALLPROOF_SOX_H

#include <stddef.h>
#include <stdint.h>

#include "../gc/gc.h"

/* --- values --------------------------------------------------------------------------- */

typedef struct value {
    uint64_t tag, payload;
} value;

/* From STRING on a payload is an object's address, and the tag is the object's kind too. */
enum tag {
    NIL,       /* payload 0 */
    BOOL,      /* 0 or 1 */
    NUMBER,    /* the bits of a double */
    STRING,
    CLOSURE,
    NATIVE,
    CLASS,
    INSTANCE,
    BOUND,     /* a method with its instance */
    TABLE,
    ARRAY,
    RANGE,
    ITERATOR,
    CELL,      /* the box of a captured variable; programs never see it */
    UNDEFINED = 255, /* a global that is not defined yet, an argument left out; payload 0 */
};

/* Kinds of objects that are no values. */
enum { VALUES = 16, ENTRIES, BUFFER, SHAPE };

static inline int is_falsey(value v) { return v.tag < NUMBER && v.payload == 0; }

struct closure;
struct table;
struct shape;

/* --- objects -------------------------------------------------------------------------- */

/* Bytes are at `bytes`, not ended by 0: right behind the string, if it has no `owner`; else
 * in the owner, a `struct buffer` (whoever ends where its used part ends is extended in
 * place) or a string of the same content.  The compiler's constants have GC_STATIC, no owner,
 * and their hash.  At `bytes` eight bytes can be read, however short the string is: short ones
 * are copied and compared as a word.  Strings of less than two bytes are always those of `sox_bytes` and
 * `sox_empty`, so that their addresses can be compared. */
struct string {
    struct gc_header header;
    uint32_t hash; /* FNV-1a; 0: not computed yet */
    uint64_t length;
    const char *bytes;
    struct gc_header *owner;
};
enum { STRING_OWNS = 4 }; /* in flags: it is the owner of others, and gets none itself */

extern const struct string sox_bytes[256], sox_empty;

/* What a function is; emitted by the compiler, one per function.  `minimum` and `maximum`
 * count parameters without `this`. */
struct function_info {
    const char *name; /* as printed: <fn NAME> */
    uint32_t minimum, maximum;
    uint32_t flags, spare;
    void *entry;  /* value (*)(struct closure *, value...) */
    value (*spread)(struct closure *self, uint64_t count, const value *arguments);
};
enum { FUNCTION_METHOD = 1 }; /* `this` is the first argument, also of `spread` */

/* A call with as many arguments as `maximum` may go to `entry`; `spread` takes any legal
 * number and fills in the defaults.  A static one has GC_STATIC and no captures. */
struct closure {
    struct gc_header header;
    uint32_t count; /* of captures */
    void *entry;
    value (*spread)(struct closure *self, uint64_t count, const value *arguments);
    const struct function_info *info;
    value captures[];
};

struct native {
    struct gc_header header;
    uint32_t spare;
    value (*function)(uint64_t count, const value *arguments);
};

struct cell {
    struct gc_header header;
    uint32_t spare, spare2, spare3;
    value content;
};

struct class {
    struct gc_header header;
    uint32_t spare;
    const struct string *name;
    struct class *superclass;
    struct table *methods; /* name -> closure */
    struct closure *initializer;
    struct shape *root; /* of new instances; see set_root */
    struct gc_cell **cells; /* free ones for an instance of that capacity */
};

/* Where fields are.  Instances of a shape have its `count` fields, in room for `capacity`. */
struct shape {
    struct gc_header header;
    uint32_t spare;
    struct class *class;
    struct shape *parent;
    const struct string *name; /* of the field that it adds to its parent's, in slot count - 1 */
    struct shape *children, *sibling;
    uint64_t count, capacity;
};

struct instance {
    struct gc_header header;
    uint32_t spare;
    struct class *class;
    struct shape *shape;
    value *fields; /* `inside`, or in a `values` of its own */
    value inside[];
};

/* What an access site found last time; each site has one (never NULL) in zeroed data, and uses
 * it for one of the three kinds of access only.  Good while the
 * instance's shape is `shape`:
 *   reading:  the field is `slot`, if `method` is NULL (else the slow path binds it);
 *   writing:  store into `slot`, then make `next` the instance's shape;
 *   invoking: call `method`'s entry with the instance and the arguments (their number was
 *             checked when the cache was filled), if it is not NULL; else the slow path. */
struct property_cache {
    struct shape *shape;
    uint64_t slot;
    struct shape *next;
    struct closure *method;
    struct property_cache *link; /* the runtime's list of caches */
};

struct bound {
    struct gc_header header;
    uint32_t spare, spare2, spare3;
    value receiver;
    struct closure *method;
};

struct values {
    struct gc_header header;
    uint32_t spare;
    uint64_t capacity;
    value items[];
};

struct array {
    struct gc_header header;
    uint32_t spare;
    uint64_t count, capacity;
    value *items; /* in a `values` */
};

struct entry {
    struct string *key; /* NULL: nothing here */
    value content;
};

struct table {
    struct gc_header header;
    uint32_t mask;            /* capacity - 1; 0 without capacity */
    uint64_t count, capacity; /* capacity: 0 or a power of two */
    struct entry *entries;    /* in an `entries`; never NULL: at first a static empty one */
};

struct entries {
    struct gc_header header;
    uint32_t spare;
    uint64_t capacity;
    struct entry items[]; /* filled in or zero */
};

struct range {
    struct gc_header header;
    uint32_t spare;
    double start, end, step;
};

/* The state of a loop over a container, in the compiled function's frame. */
struct iteration {
    value container;
    uint64_t position;
    value first, second; /* index and element; key and value; index and byte or number */
    value keys;          /* of a table, as they were when the loop began */
};

/* --- what the compiler emits ----------------------------------------------------------- */

extern value sox_globals[];
extern const uint64_t sox_global_count;
extern const char *const sox_script_path; /* argv[1]; may be NULL */
value sox_script(struct closure *self);   /* top level, then main; runs the top level's defers */

/* Sorted by address.  `name` is printed as it is: "fib()", "script", "()" for a module;
 * NULL for what is not shown.  Of a call in inlined code there are rows with the same offset,
 * the innermost function's first: their `name` is where in `names` its name is, 0 for the
 * function's own. */
struct trace_call {
    uint32_t return_offset, line, name;
};
struct trace_function {
    const void *start;
    uint32_t size, calls;
    const char *name;
    const struct trace_call *call; /* sorted by offset */
    const char *names;
};
extern const struct trace_function sox_trace_functions[];
extern const uint64_t sox_trace_count;

/* --- start, end, errors (start.c, error.c, trace.c) ------------------------------------- */

int sox_start(int argc, char **argv);
_Noreturn void sox_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sox_fail(const char *message);
_Noreturn void sox_get_undefined(const struct string *name);
_Noreturn void sox_assert_failed(value message); /* UNDEFINED: none was given */
_Noreturn void sox_wrong_count(const struct function_info *info, uint64_t count);
_Noreturn void sox_stack_overflow(void);
_Noreturn void sox_exit(int status); /* exit handlers, then the end */
extern uintptr_t sox_stack_limit;    /* the lowest address of the program's stack */
value sox_argument_count(void);
value sox_argument_values(void);

/* --- interactive sessions (session.c) ---------------------------------------------------- */

enum { MODULE_LOADING = 254 }; /* the tag of a module's global while its top level runs */

/* Address and size of the memory where the session's code goes; emitted by the compiler. */
extern const uint64_t sox_session_code[2];
void sox_session(void); /* until the other end closes it */

/* --- operators (operators.c) ------------------------------------------------------------ */

value sox_add(value a, value b);
value sox_subtract(value a, value b);
value sox_multiply(value a, value b);
value sox_divide(value a, value b);
value sox_remainder(value a, value b);
value sox_negate(value a);
uint64_t sox_less(value a, value b); /* 0 or 1, as the following */
uint64_t sox_less_equal(value a, value b);
uint64_t sox_greater(value a, value b);
uint64_t sox_greater_equal(value a, value b);
uint64_t sox_equal(value a, value b);
/* Whether strings of the same length are equal. */
uint64_t sox_same_contents(const struct string *a, const struct string *b);

/* 2 ... MOST_PIECES of them, of which the first or second is a string. */
enum { MOST_PIECES = 8 };
value sox_concatenate(uint64_t count, const value *pieces);
value sox_concatenate_strings(uint64_t count, const value *pieces); /* all of them are */

/* --- output (output.c, print.c) --------------------------------------------------------- */

void sox_print(value v); /* with a new line */

/* --- containers (array.c, table.c, index.c, iterate.c) ----------------------------------- */

value sox_array(uint64_t count, const value *items);
value sox_require_array(value v); /* v itself: for `var a[] = v` */
value sox_table(void);
value sox_table_literal(uint64_t count, const value *pairs); /* key, value, key, value ... */
value sox_range(value start, value end, value step);
value sox_index(value container, value index);
void sox_set_index(value container, value index, value content);
value sox_slice(value array, value start, value end); /* UNDEFINED: left out */
void sox_iterate(struct iteration *state, value container);
uint64_t sox_next_pair(struct iteration *state);  /* 0: the end; fills in first and second */
uint64_t sox_next_value(struct iteration *state); /* the same; the loop's one value in first */

/* --- functions, classes, instances (call.c, class.c, property.c) -------------------------- */

value sox_closure(const struct function_info *info, uint64_t count, const value *captures);
value sox_cell(value content);
uint64_t sox_take_cell(uint64_t size_class); /* the address of a cell without contents */
uint64_t sox_new_instance(struct class *class); /* its address */
value sox_call(value callee, uint64_t count, const value *arguments);
value sox_class(const struct string *name);
value sox_subclass(const struct string *name, value superclass);
void sox_method(value class, const struct string *name, value method);
value sox_get_property(value object, const struct string *name, struct property_cache *cache);
void sox_set_property(value object, const struct string *name, value content,
                      struct property_cache *cache);
/* frame[0] is the receiver, frame[1] ... frame[count] are the arguments. */
value sox_invoke(const struct string *name, struct property_cache *cache, uint64_t count,
                 value *frame);
value sox_get_super(value class, value receiver, const struct string *name);
value sox_invoke_super(value class, const struct string *name, uint64_t count, value *frame);

/* A function's deferred closures: the slot is nil at first. */
void sox_defer(value *list, value closure);
void sox_run_defers(value *list);

/* --- tests and benchmarks (testing.c) ------------------------------------------------------ */

/* Calls a test with its context; ends the program: 0 passed, 1 failed, 70 error. */
_Noreturn void sox_run_test(value function);
/* Measures a benchmark and prints its line.  `name` may not match the filter: nothing then. */
void sox_run_benchmark(const struct string *name, value function);
void sox_end_benchmarks(void);

/* --- natives: `sox_native_len` and so on (natives_*.c); sox_entries.py lists them ----------- */

#endif
