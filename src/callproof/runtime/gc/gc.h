/* A collector for native programs: mark and sweep, nothing moves.
 *
 * The stack and the registers are scanned conservatively (any word that points into an
 * object keeps it); objects are traced precisely by a callback per kind.  It knows no
 * language: every object begins with a `gc_header`, whose `kind` chooses the callback.
 * Blocks of 64 KiB hold cells of one size; what is larger than the largest cell is an
 * allocation of its own.  One thread.
 */
#ifndef CALLPROOF_GC_H
#define CALLPROOF_GC_H

#include <stddef.h>
#include <stdint.h>

/* Kind 0 is a free cell.  The language owns the other bits of `flags`. */
struct gc_header {
    uint8_t kind, flags;
    uint16_t spare;
};

enum {
    GC_STATIC = 1, /* not in the heap: the collector leaves it alone */
    GC_LARGE = 2,  /* set by the collector only */
    GC_KINDS = 64,
    GC_LARGEST_CELL = 8192,
    GC_CLASSES = 43,
    GC_SMALL_LIMIT = 512, /* up to here class = (bytes + 15) / 16 - 1 */
};

/* How a program uses the collector.  `trace[kind]` calls gc_mark for each object that the
 * object refers to; NULL: it refers to none.  With many, it does a part and calls
 * gc_mark_later for the rest, which comes back as `from` (first 0). */
struct gc_language {
    void (*trace[GC_KINDS])(void *object, uint64_t from);
    void (*mark_roots)(void);   /* beside the stack and the registers */
    void (*after_mark)(void);   /* to forget what gc_is_marked denies; may be NULL */
    void (*out_of_memory)(void); /* must not return */
};

/* Before the first allocation.  `stack_base` is above every frame that can hold objects.
 * Reads CALLPROOF_GC_STRESS, CALLPROOF_GC_STATS and CALLPROOF_GC_LIMIT (bytes). */
void gc_start(const struct gc_language *language, void *stack_base);

/* Zeroed memory with its header filled in, aligned to 16 bytes; may collect.  Does not
 * return NULL. */
void *gc_allocate(uint8_t kind, size_t bytes);

/* The same but for the contents, which are anything: the caller fills in what the trace of
 * the kind reads before it allocates again. */
void *gc_allocate_unset(uint8_t kind, size_t bytes);

void gc_mark(void *object); /* an object's address, not one inside it; NULL is nothing */
void gc_mark_now(void *object); /* the same, of one that has been looked at a moment ago */
void *gc_object_at(const void *address); /* the object that it is in; NULL: in none */
void gc_mark_later(void *object, uint64_t from);
void gc_mark_range(const void *from, const void *to); /* conservatively */
int gc_is_marked(const void *object);                 /* static ones always are */
void gc_collect(void);
void gc_print_statistics(void); /* to standard error, if asked for */

size_t gc_machine_memory(void); /* bytes; 0: nobody knows */
void *gc_stack_top(void);        /* above all frames of the program's first thread */

extern uint8_t gc_stress; /* collect at every allocation */

/* The cells that the next allocations take, by class: a cell is {header 0, next}.  Compiled
 * code may take the first one itself, if it fills in all of it. */
struct gc_cell {
    uint64_t header;
    struct gc_cell *next;
};
extern struct gc_cell *gc_free[GC_CLASSES];

/* A cell of a class off its list, which it fills if it is empty; may collect. */
void *gc_take_cell(unsigned size_class);

static inline unsigned gc_small_class(size_t bytes) { return (unsigned)((bytes + 15) / 16) - 1; }

/* gc_allocate_unset without a call where there is a cell; `bytes` is 1 ... GC_SMALL_LIMIT. */
static inline void *gc_small_unset(uint8_t kind, size_t bytes) {
    unsigned size_class = gc_small_class(bytes);
    struct gc_cell *cell = gc_free[size_class];
    if (__builtin_expect(cell != NULL, 1))
        gc_free[size_class] = cell->next;
    else
        cell = gc_take_cell(size_class);
    cell->header = kind; /* the byte that comes first */
    return cell;
}

/* Zero, 16 bytes at a time; `size` is a multiple of 16. */
static inline void gc_clear(void *at, size_t size) {
    typedef uint64_t pair __attribute__((vector_size(16), may_alias));
    for (char *to = at, *end = to + size; to < end; to += 16) {
        *(pair *)to = (pair){0, 0};
        __asm__("" : "+r"(to)); /* or Clang makes a call of it */
    }
}

struct gc_counts {
    uint64_t collections, allocated_bytes, live_bytes, heap_bytes, longest_pause;
};
extern struct gc_counts gc_counts;

#endif
