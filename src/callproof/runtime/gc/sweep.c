/* Sweeping: a block at a time, when cells of its size are wanted; large objects at once. */
#include <string.h>

#include "heap.h"

static struct block *unswept[GC_CLASSES], *swept[GC_CLASSES];
static struct block *spare;

struct block *gc_take_spare(void) {
    struct block *block = spare;
    if (block != NULL) spare = block->next;
    return block;
}

void gc_add_spare(struct block *block) {
    block->cells = 0; /* no address in it is an object's */
    block->next = spare;
    spare = block;
}

struct gc_cell *gc_format_block(struct block *block, unsigned size_class, size_t *freed) {
    uint32_t size = gc_cell_sizes[size_class];
    block->cell_size = size;
    block->size_class = size_class;
    block->reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
    block->cells = (BLOCK - FIRST_CELL) / size;
    memset(block->marks, 0, sizeof block->marks);
    struct gc_cell *list = NULL;
    for (uint32_t number = block->cells; number-- > 0;) {
        struct gc_cell *cell = (struct gc_cell *)((char *)block + FIRST_CELL + number * size);
        *cell = (struct gc_cell){0, list};
        list = cell;
    }
    block->next = swept[size_class];
    swept[size_class] = block;
    *freed = (size_t)block->cells * size;
    return list;
}

/* The block's dead cells as a list, in order of address. */
static struct gc_cell *sweep(struct block *block, size_t *freed) {
    struct gc_cell *list = NULL;
    uint32_t size = block->cell_size, count = 0;
    size_t offset = FIRST_CELL + (size_t)block->cells * size;
    for (uint32_t number = block->cells; number-- > 0;) {
        offset -= size;
        if (block->marks[offset / GRANULE / 64] >> (offset / GRANULE % 64) & 1) continue;
        struct gc_cell *cell = (struct gc_cell *)((char *)block + offset);
        *cell = (struct gc_cell){0, list};
        list = cell;
        count++;
    }
    *freed = (size_t)count * size;
    return list;
}

struct gc_cell *gc_sweep_for(unsigned size_class, size_t *freed) {
    struct block *block;
    while ((block = unswept[size_class]) != NULL) {
        unswept[size_class] = block->next;
        block->next = swept[size_class];
        swept[size_class] = block;
        struct gc_cell *cells = sweep(block, freed);
        if (cells != NULL) return cells;
    }
    return NULL;
}

static int is_empty(const struct block *block) {
    for (int i = 0; i < MARK_WORDS; i++)
        if (block->marks[i] != 0) return 0;
    return 1;
}

/* Cells that this frees are found again by the sweeping after the collection. */
void gc_prepare_marking(void) {
    size_t freed;
    for (unsigned i = 0; i < GC_CLASSES; i++) {
        while (unswept[i] != NULL) {
            struct block *block = unswept[i];
            unswept[i] = block->next;
            sweep(block, &freed);
            block->next = swept[i];
            swept[i] = block;
        }
        for (struct block *block = swept[i]; block != NULL; block = block->next)
            memset(block->marks, 0, sizeof block->marks);
    }
    for (size_t i = 0; i < gc_larges.count; i++) gc_larges.items[i]->marked = 0;
}

static void free_larges(void) {
    struct large_list *list = &gc_larges;
    size_t kept = 0;
    gc_drop_spares(); /* since the last collection nobody wanted them */
    for (size_t i = 0; i < list->count; i++) {
        struct large *large = list->items[i];
        if (large->marked) {
            list->items[kept++] = large;
        } else {
            gc_counts.heap_bytes -= large->size;
            gc_release_large(large);
        }
    }
    list->count = kept;
}

/* The marks stay as they are until the next collection, for the sweeping. */
void gc_start_sweeping(void) {
    memset(gc_free, 0, sizeof gc_free);
    free_larges();
    for (unsigned i = 0; i < GC_CLASSES; i++) {
        unswept[i] = NULL;
        struct block *next;
        for (struct block *block = swept[i]; block != NULL; block = next) {
            next = block->next;
            if (is_empty(block)) {
                gc_add_spare(block);
            } else {
                block->next = unswept[i];
                unswept[i] = block;
            }
        }
        swept[i] = NULL;
    }
}
