/* Memory: zeroed blocks cut from large ones.  Nothing is given back before the program
 * ends, which no program can observe; the shared collector takes this file's place. */
#include <stdlib.h>
#include <sys/mman.h>

#include "bcpl.h"

enum { CHUNK = 1 << 20, ALIGNMENT = 16 };

static char *next_free;
static size_t left;

static _Noreturn void refuse(uint64_t number, const char *unit) {
    bcpl_fatal(NO_MEMORY, "out of memory", number, unit);
}

/* Zeroed memory, aligned to 16 bytes. */
void *bcpl_allocate(size_t bytes) {
    if (bytes > (size_t)1 << 46) refuse(bytes, "bytes");
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (bytes > left) {
        size_t size = bytes > CHUNK / 4 ? bytes : CHUNK;
        void *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) refuse(bytes, "bytes");
        if (size == bytes) return fresh; /* a block of its own; the rest of the chunk stays */
        next_free = fresh;
        left = size;
    }
    void *block = next_free;
    next_free += bytes;
    left -= bytes;
    return block;
}

/* One word more than asked for, as classic programs index 0 to n. */
word *bcpl_getvec(word words) {
    if (words <= 0) return NULL;
    if (words > (word)1 << 42) refuse((uint64_t)words, "words");
    word *block = bcpl_allocate(((size_t)words + 2) * sizeof(word));
    block[0] = words;
    return block + 1;
}

character *bcpl_string(word characters) {
    if (characters < 0) characters = 0;
    if (characters > (word)1 << 42) refuse((uint64_t)characters, "characters");
    word *block = bcpl_allocate(sizeof(word) + ((size_t)characters + 1) * sizeof(character));
    block[0] = characters;
    return (character *)(block + 1);
}

word *bcpl_new(word bytes, const void *vtable) {
    word *object = bcpl_allocate((size_t)bytes);
    object[0] = (word)(intptr_t)vtable;
    return object;
}

void bcpl_freevec(const void *vector) { (void)vector; }

/* MALLOC: bytes without a length. */
void *bcpl_malloc(word bytes) { return bytes <= 0 ? NULL : bcpl_allocate((size_t)bytes); }

/* HEAP_INFO, GC and their like: there is nothing to tell and nothing to do. */
word bcpl_nothing(void) { return 0; }
