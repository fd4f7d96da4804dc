/* Allocation: cells from free lists by size, large objects from the C library, and when to
 * collect: whenever as much has been allocated as was live after the last collection. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "heap.h"

enum { LEAST_THRESHOLD = 8 << 20, LEVEL_BITS = 14, ADDRESS_BITS = 48, CHUNK_BITS = 20, SLACK = 16 };

/* Up to 512 bytes each multiple of 16; then steps of at most a third. */
const uint16_t gc_cell_sizes[GC_CLASSES] = {
    16,  32,  48,  64,  80,  96,  112, 128, 144, 160,  176,  192,  208,  224,  240,
    256, 272, 288, 304, 320, 336, 352, 368, 384, 400,  416,  432,  448,  464,  480,
    496, 512, 640, 768, 1024, 1280, 1536, 2048, 2720, 4096, 5440, 6528, 8192,
};

const struct gc_language *gc_language;
struct gc_cell *gc_free[GC_CLASSES];
struct gc_counts gc_counts;
struct large_list gc_larges;
char *gc_stack_base;
uint8_t gc_stress;

static struct gc_cell *withheld[GC_CLASSES]; /* under stress gc_free never has a cell */
static uint8_t *chunks[1 << LEVEL_BITS];     /* by address / CHUNK, in two steps */
static size_t since_collection, threshold = LEAST_THRESHOLD, limit = SIZE_MAX;
static int statistics;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int is_on(const char *name) {
    const char *text = getenv(name);
    return text != NULL && strcmp(text, "0") != 0 && *text != 0;
}

/* The limit is half of the machine's memory where nobody says otherwise: a program that needs
 * more is to hear of it while the machine still answers. */
void gc_start(const struct gc_language *language, void *stack_base) {
    gc_language = language;
    gc_stack_base = stack_base;
    if (is_on("CALLPROOF_GC_STRESS")) gc_stress = 1;
    statistics = is_on("CALLPROOF_GC_STATS");
    size_t memory = gc_machine_memory();
    if (memory != 0) limit = memory / 2;
    const char *wanted = getenv("CALLPROOF_GC_LIMIT");
    if (wanted != NULL && *wanted >= '1' && *wanted <= '9') limit = strtoull(wanted, NULL, 10);
}

_Noreturn void gc_no_memory(void) {
    gc_language->out_of_memory();
    abort();
}

int gc_in_chunk(uintptr_t address) {
    if (address >> ADDRESS_BITS) return 0;
    size_t number = address >> CHUNK_BITS;
    const uint8_t *part = chunks[number >> LEVEL_BITS];
    return part != NULL && part[number & ((1 << LEVEL_BITS) - 1)];
}

static void register_chunk(uintptr_t address) {
    size_t number = address >> CHUNK_BITS;
    uint8_t **part = &chunks[number >> LEVEL_BITS];
    if (*part == NULL) {
        /* Fresh pages are zero; the C library's calloc would go over each byte. */
        void *pages = mmap(NULL, 1 << LEVEL_BITS, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) gc_no_memory();
        *part = pages;
    }
    (*part)[number & ((1 << LEVEL_BITS) - 1)] = 1;
}

/* Sixteen more spare blocks; 0 if there is no memory for them. */
static int add_chunk(void) {
    if (gc_counts.heap_bytes + gc_spare_bytes + CHUNK > limit) gc_drop_spares();
    if (gc_counts.heap_bytes + CHUNK > limit) return 0;
    char *fresh =
        mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return 0;
    size_t before = (size_t)(-(uintptr_t)fresh & (CHUNK - 1));
    char *chunk = fresh + before;
    if (before != 0) munmap(fresh, before);
    if (before != CHUNK) munmap(chunk + CHUNK, CHUNK - before);
    register_chunk((uintptr_t)chunk);
    gc_counts.heap_bytes += CHUNK;
    for (size_t at = CHUNK; at > 0; at -= BLOCK) gc_add_spare((struct block *)(chunk + at - BLOCK));
    return 1;
}

void gc_collect(void) {
    uint64_t began = now();
    gc_prepare_marking();
    gc_counts.live_bytes = 0;
    gc_mark_everything();
    if (gc_language->after_mark != NULL) gc_language->after_mark();
    gc_start_sweeping();
    memset(withheld, 0, sizeof withheld);
    since_collection = 0;
    threshold = gc_counts.live_bytes > LEAST_THRESHOLD ? gc_counts.live_bytes : LEAST_THRESHOLD;
    gc_counts.collections++;
    uint64_t took = now() - began;
    if (took > gc_counts.longest_pause) gc_counts.longest_pause = took;
}

static unsigned class_of(size_t bytes) {
    if (bytes <= GC_SMALL_LIMIT) return bytes == 0 ? 0 : gc_small_class(bytes);
    unsigned size_class = GC_SMALL_LIMIT / GRANULE;
    while (gc_cell_sizes[size_class] < bytes) size_class++;
    return size_class;
}

static struct gc_cell *cells_there(unsigned size_class, size_t *freed) {
    struct gc_cell *cells = gc_sweep_for(size_class, freed);
    if (cells != NULL) return cells;
    struct block *block = gc_take_spare();
    return block == NULL ? NULL : gc_format_block(block, size_class, freed);
}

/* A list of free cells of a class, not empty: swept, or from a spare block, or new. */
static struct gc_cell *find_cells(unsigned size_class) {
    size_t freed = 0;
    struct gc_cell *cells = cells_there(size_class, &freed);
    if (cells == NULL) {
        if (!add_chunk()) {
            gc_collect();
            /* Better an end than a collection for every few cells that are left. */
            if (gc_counts.live_bytes > limit - limit / SLACK) gc_no_memory();
        }
        cells = cells_there(size_class, &freed);
        if (cells == NULL) gc_no_memory();
    }
    since_collection += freed;
    gc_counts.allocated_bytes += freed;
    return cells;
}

static struct gc_cell *refill(unsigned size_class) {
    if (gc_stress || since_collection >= threshold) gc_collect();
    struct gc_cell *cells = withheld[size_class];
    withheld[size_class] = NULL;
    if (cells == NULL) cells = find_cells(size_class);
    if (gc_stress) {
        withheld[size_class] = cells->next;
        cells->next = NULL;
    }
    return cells;
}

static void remember_large(struct large *large) {
    if (gc_larges.count == gc_larges.room) {
        size_t room = gc_larges.room ? gc_larges.room * 2 : 64;
        struct large **items = realloc(gc_larges.items, room * sizeof *items);
        if (items == NULL) gc_no_memory();
        gc_larges.items = items;
        gc_larges.room = room;
    }
    gc_larges.items[gc_larges.count++] = large;
}

static struct large *old_or_new(size_t size, int is_zero) {
    enum { HEADS = sizeof(struct large) + sizeof(struct gc_cell) };
    struct large *old = gc_take_large(size);
    if (old != NULL) {
        uint64_t whole = old->size;
        memset(old, 0, is_zero ? size : HEADS);
        old->size = whole;
        return old;
    }
    struct large *large = gc_get_pages_or_memory(size);
    if (large == NULL) return NULL;
    /* Fresh pages are zero: to clear them would be most of what a program does with some. */
    if (size < FRESH_PAGES) gc_clear(large, is_zero ? size : HEADS);
    large->size = size;
    return large;
}

/* An old piece is somewhat larger than what was asked for, but no way beyond the limit. */
static struct large *new_large(size_t size, int is_zero) {
    if (gc_counts.heap_bytes + gc_spare_bytes + size > limit) gc_drop_spares();
    return old_or_new(size, is_zero);
}

static void *allocate_large(uint8_t kind, size_t bytes, int is_zero) {
    if (bytes > (size_t)1 << 46) gc_no_memory();
    size_t size = (bytes + sizeof(struct large) + GRANULE - 1) / GRANULE * GRANULE;
    int over = gc_counts.heap_bytes + size > limit || size > limit;
    if (gc_stress || over || since_collection >= threshold) gc_collect();
    if (gc_counts.heap_bytes + size > limit) gc_no_memory();
    struct large *large = new_large(size, is_zero);
    if (large == NULL) {
        gc_collect();
        gc_drop_spares();
        large = new_large(size, is_zero);
    }
    if (large == NULL) gc_no_memory();
    size = large->size;
    remember_large(large);
    since_collection += size;
    gc_counts.allocated_bytes += size;
    gc_counts.heap_bytes += size;
    struct gc_header *header = (struct gc_header *)(large + 1);
    header->kind = kind;
    header->flags = GC_LARGE;
    return header;
}

void *gc_take_cell(unsigned size_class) {
    struct gc_cell *cell = gc_free[size_class];
    if (cell == NULL) cell = refill(size_class);
    gc_free[size_class] = cell->next;
    return cell;
}

void *gc_allocate_unset(uint8_t kind, size_t bytes) {
    if (bytes > GC_LARGEST_CELL) return allocate_large(kind, bytes, 0);
    struct gc_cell *cell = gc_take_cell(class_of(bytes));
    cell->header = kind;
    return cell;
}

void *gc_allocate(uint8_t kind, size_t bytes) {
    if (bytes > GC_LARGEST_CELL) return allocate_large(kind, bytes, 1);
    unsigned size_class = class_of(bytes);
    struct gc_cell *cell = gc_take_cell(size_class);
    gc_clear(cell, gc_cell_sizes[size_class]);
    cell->header = kind;
    return cell;
}

void gc_print_statistics(void) {
    if (!statistics) return;
    fprintf(stderr,
            "gc: %llu collections, %llu bytes allocated, %llu live, heap %llu, "
            "longest pause %llu us\n",
            (unsigned long long)gc_counts.collections,
            (unsigned long long)gc_counts.allocated_bytes,
            (unsigned long long)gc_counts.live_bytes, (unsigned long long)gc_counts.heap_bytes,
            (unsigned long long)gc_counts.longest_pause / 1000);
}
