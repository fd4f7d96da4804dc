/* The memory of large dead objects, kept for new ones until the next collection.
 *
 * The C library gives so large pieces back to the system at once.  A program that makes one
 * big vector after the other would spend its time on pages that are new again and again;
 * clearing the old ones costs a fraction of that. */
#include <stdlib.h>
#include <string.h>

#include "heap.h"

enum { MOST = 256, MOST_BYTES = 32 << 20 };

static struct large *spares[MOST];
static unsigned count;
size_t gc_spare_bytes;

void gc_drop_spares(void) {
    while (count > 0) free(spares[--count]);
    gc_spare_bytes = 0;
}

/* Under stress memory goes away, so that who still looks at it is found out. */
void gc_release_large(struct large *large) {
    size_t size = large->size;
    int is_kept = size >= FRESH_PAGES && count < MOST && size <= MOST_BYTES - gc_spare_bytes;
    if (!is_kept || gc_stress) {
        free(large);
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
