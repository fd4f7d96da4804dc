/* The memory of large objects: pages of their own, or (below FRESH_PAGES) the C library's.
 *
 * The pages of dead ones are kept for new ones until the next collection.  A program that
 * makes one big vector after the other would else spend its time on pages that are new again
 * and again; clearing the old ones costs a fraction of that. */
#include <stdlib.h>
#include <sys/mman.h>

#include "heap.h"

enum { MOST = 256, MOST_BYTES = 32 << 20 };

static struct large *spares[MOST];
static unsigned count;
size_t gc_spare_bytes;

struct large *gc_get_pages_or_memory(size_t size) {
    if (size < FRESH_PAGES) return malloc(size);
    /* Not calloc: the C library's reads or clears such pages byte by byte. */
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static void give_back(struct large *large) {
    if (large->size < FRESH_PAGES) {
        free(large);
    } else {
        munmap(large, large->size);
    }
}

void gc_drop_spares(void) {
    while (count > 0) give_back(spares[--count]);
    gc_spare_bytes = 0;
}

/* Under stress memory goes away, so that who still looks at it is found out. */
void gc_release_large(struct large *large) {
    size_t size = large->size;
    int is_kept = size >= FRESH_PAGES && count < MOST && size <= MOST_BYTES - gc_spare_bytes;
    if (!is_kept || gc_stress) {
        give_back(large);
        return;
    }
    spares[count++] = large;
    gc_spare_bytes += size;
}

struct large *gc_take_large(size_t size) {
    unsigned best = MOST;
    for (unsigned i = 0; i < count; i++) {
        size_t found = spares[i]->size;
        if (found < size || found - size > size / 4) continue;
        if (best == MOST || found < spares[best]->size) best = i;
    }
    if (best == MOST) return NULL;
    struct large *large = spares[best];
    spares[best] = spares[--count];
    gc_spare_bytes -= large->size;
    return large;
}
