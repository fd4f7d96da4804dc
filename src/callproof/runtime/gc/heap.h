/* Between the collector's files: how the heap is divided.
 *
 * A chunk is 1 MiB at a multiple of 1 MiB; it is 16 blocks of 64 KiB; a block begins with
 * `struct block` and the rest is cells of one size (or it is spare: no cells). */
#ifndef CALLPROOF_GC_HEAP_H
#define CALLPROOF_GC_HEAP_H

#include "gc.h"

enum {
    CHUNK = 1 << 20,
    BLOCK = 1 << 16,
    GRANULE = 16,
    MARK_WORDS = BLOCK / GRANULE / 64,
};

struct block {
    struct block *next;
    uint32_t cell_size, cells;
    uint32_t reciprocal; /* ceil(2^32 / cell_size): offset * reciprocal >> 32 is the cell */
    uint32_t size_class;
    uint64_t marks[MARK_WORDS]; /* a bit per granule: the cell that begins there is live */
};
enum { FIRST_CELL = (sizeof(struct block) + GRANULE - 1) / GRANULE * GRANULE };

/* Before an object that is larger than any cell. */
struct large {
    uint64_t size; /* of all of it, at least what was asked for */
    uint64_t marked;
};

/* From this size on an object is fresh pages from the system, and they are given back. */
enum { FRESH_PAGES = 128 << 10 };

struct large_list {
    struct large **items;
    size_t count, room;
    uintptr_t low, high; /* bounds of all, for a quick no */
};

extern const struct gc_language *gc_language;
extern struct large_list gc_larges;
extern char *gc_stack_base;

static inline struct block *block_of(const void *object) {
    return (struct block *)((uintptr_t)object & ~(uintptr_t)(BLOCK - 1));
}

/* heap.c */
int gc_in_chunk(uintptr_t address);
_Noreturn void gc_no_memory(void);

/* mark.c */
void gc_mark_everything(void);

/* sweep.c */
void gc_prepare_marking(void); /* no dead cell may look alive, none be marked */
void gc_start_sweeping(void);  /* after it: forget the free cells, free large ones */
struct gc_cell *gc_sweep_for(unsigned size_class, size_t *freed); /* NULL: nothing to find */
struct gc_cell *gc_format_block(struct block *block, unsigned size_class, size_t *freed);
struct block *gc_take_spare(void);
void gc_add_spare(struct block *block);

/* spare.c */
extern size_t gc_spare_bytes;
struct large *gc_get_pages_or_memory(size_t size); /* pages are zero; NULL: there is nothing */
void gc_drop_spares(void);
void gc_release_large(struct large *large);
struct large *gc_take_large(size_t size); /* not cleared; NULL: there is none of about that size */

extern const uint16_t gc_cell_sizes[GC_CLASSES];

#endif
