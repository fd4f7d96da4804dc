/* Marking: an explicit stack instead of recursion; the program's stack and registers are
 * read as words, each of which may be the address of an object or of something in it. */
#include <stdlib.h>

#include "heap.h"

struct work {
    void *object;
    uint64_t from;
};

static struct work *stack;
static size_t depth, room;

void gc_mark_later(void *object, uint64_t from) {
    if (depth == room) {
        size_t more = room ? room * 2 : 4096;
        struct work *grown = realloc(stack, more * sizeof *grown);
        if (grown == NULL) gc_no_memory();
        stack = grown;
        room = more;
    }
    stack[depth++] = (struct work){object, from};
}

int gc_is_marked(const void *object) {
    const struct gc_header *header = object;
    if (header->flags & GC_STATIC) return 1;
    if (header->flags & GC_LARGE) return ((const struct large *)object - 1)->marked != 0;
    size_t granule = ((uintptr_t)object & (BLOCK - 1)) / GRANULE;
    return block_of(object)->marks[granule / 64] >> (granule % 64) & 1;
}

/* Objects whose headers are on their way from memory: most of marking would be waiting for
 * them, one after the other.  The oldest is marked when another one comes. */
enum { AHEAD = 16 };
static void *ahead[AHEAD];
static unsigned oldest, waiting;

void gc_mark_now(void *object) {
    struct gc_header *header = object;
    if (header == NULL || header->flags & GC_STATIC) return;
    if (header->flags & GC_LARGE) {
        struct large *large = (struct large *)object - 1;
        if (large->marked) return;
        large->marked = 1;
        gc_counts.live_bytes += large->size;
    } else {
        struct block *block = block_of(object);
        size_t granule = ((uintptr_t)object & (BLOCK - 1)) / GRANULE;
        uint64_t bit = (uint64_t)1 << (granule % 64);
        if (block->marks[granule / 64] & bit) return;
        block->marks[granule / 64] |= bit;
        gc_counts.live_bytes += block->cell_size;
    }
    if (gc_language->trace[header->kind] != NULL) gc_mark_later(object, 0);
}

void gc_mark(void *object) {
    if (object == NULL) return;
    __builtin_prefetch(object);
    if (waiting < AHEAD) {
        ahead[(oldest + waiting++) % AHEAD] = object;
        return;
    }
    void *before = ahead[oldest];
    ahead[oldest] = object;
    oldest = (oldest + 1) % AHEAD;
    gc_mark_now(before);
}

static int by_address(const void *a, const void *b) {
    struct large *const *first = a, *const *second = b;
    uintptr_t x = (uintptr_t)*first, y = (uintptr_t)*second;
    return (x > y) - (x < y);
}

static void sort_larges(void) {
    struct large_list *list = &gc_larges;
    list->low = list->high = 0;
    if (list->count == 0) return;
    qsort(list->items, list->count, sizeof *list->items, by_address);
    struct large *last = list->items[list->count - 1];
    list->low = (uintptr_t)list->items[0];
    list->high = (uintptr_t)last + last->size;
}

/* The large object that an address points into, or NULL. */
static void *large_at(uintptr_t address) {
    if (address < gc_larges.low || address >= gc_larges.high) return NULL;
    size_t from = 0, to = gc_larges.count; /* the last that begins at or below is in [from, to) */
    while (to - from > 1) {
        size_t middle = from + (to - from) / 2;
        if ((uintptr_t)gc_larges.items[middle] <= address)
            from = middle;
        else
            to = middle;
    }
    struct large *large = gc_larges.items[from];
    return address - (uintptr_t)large < large->size ? large + 1 : NULL;
}

static void *cell_at(uintptr_t address) {
    struct block *block = block_of((void *)address);
    uintptr_t offset = address & (BLOCK - 1);
    if (block->cells == 0 || offset < FIRST_CELL) return NULL;
    uint64_t number = (offset - FIRST_CELL) * block->reciprocal >> 32;
    if (number >= block->cells) return NULL;
    struct gc_header *header =
        (struct gc_header *)((char *)block + FIRST_CELL + number * block->cell_size);
    return header->kind != 0 ? header : NULL;
}

/* Between collections the large objects are in no order. */
void *gc_object_at(const void *address) {
    uintptr_t at = (uintptr_t)address;
    if (gc_in_chunk(at)) return cell_at(at);
    for (size_t i = 0; i < gc_larges.count; i++)
        if (at - (uintptr_t)gc_larges.items[i] < gc_larges.items[i]->size)
            return gc_larges.items[i] + 1;
    return NULL;
}

/* The words of a stack are read whoever wrote them: no sanitizer knows better. */
__attribute__((no_sanitize("address", "undefined"))) void gc_mark_range(const void *from,
                                                                        const void *to) {
    const uintptr_t *word = (const uintptr_t *)(((uintptr_t)from + 7) & ~(uintptr_t)7);
    const uintptr_t *end = to;
    for (; word + 1 <= end; word++) {
        uintptr_t address = *word;
        if (gc_in_chunk(address))
            gc_mark(cell_at(address));
        else
            gc_mark(large_at(address));
    }
}

static void drain(void) {
    for (;;) {
        while (depth > 0) {
            struct work next = stack[--depth];
            gc_language->trace[((struct gc_header *)next.object)->kind](next.object, next.from);
        }
        if (waiting == 0) return;
        void *before = ahead[oldest];
        oldest = (oldest + 1) % AHEAD;
        waiting--;
        gc_mark_now(before);
    }
}

/* A function of its own: all of the caller's frame, wherever the compiler saves registers in
 * it, lies above this one's. */
static __attribute__((noinline)) void mark_stack(void) {
    gc_mark_range(__builtin_frame_address(0), gc_stack_base);
}

void gc_mark_everything(void) {
    /* Callee-saved registers, in which callers may keep objects, go into this frame.  Not by
     * setjmp: glibc's stores some of them garbled. */
    __builtin_unwind_init();
    sort_larges();
    mark_stack();
    gc_language->mark_roots();
    drain();
}
