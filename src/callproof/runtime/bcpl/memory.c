/* Memory: what the collector of ../gc has, with a header word of our own before it.
 *
 * Whatever is the address of a word, or of something inside a block, keeps the block: on the
 * stack, in registers, in global variables, and in every block itself but those that the
 * library fills with characters.  The compiler gives the addresses of the globals. */
#include <stdlib.h>

#include "../gc/gc.h"
#include "bcpl.h"

enum { WORDS = 1, CHARACTERS = 2 };      /* kinds of blocks: may hold addresses, or never does */
enum { FREED = 1 << 4, LENT = 1 << 5 };  /* our flags in the collector's header */

/* Before a block's memory; of a vector or string its length comes first. */
struct header {
    struct gc_header gc; /* `spare`: the upper bits of the size */
    uint32_t size;       /* in words, without this one */
};

static uint64_t wanted; /* bytes, for the message that there are none */
static uint64_t freed_twice, bad_sizes;
static struct header **lent;
static size_t lent_count, lent_room;

static word *memory_of(struct header *header) { return (word *)(header + 1); }

static void trace(void *object, uint64_t from) {
    struct header *header = object;
    uint64_t words = (uint64_t)header->gc.spare << 32 | header->size;
    (void)from;
    gc_mark_range(memory_of(header), memory_of(header) + words);
}

static void mark_roots(void) {
    for (word i = 0; i < bcpl_root_count; i++) gc_mark_range(bcpl_roots[i], bcpl_roots[i] + 1);
    for (size_t i = 0; i < lent_count; i++) gc_mark(lent[i]);
}

static _Noreturn void refuse(uint64_t number, const char *unit) {
    bcpl_fatal(NO_MEMORY, "out of memory", number, unit);
}

static void out_of_memory(void) { refuse(wanted, "bytes"); }

static const struct gc_language language = {
    .trace = {[WORDS] = trace},
    .mark_roots = mark_roots,
    .out_of_memory = out_of_memory,
};

/* As gc_print_statistics, which brings C's printf with it. */
static void statistics(void) {
    bcpl_tell("gc: %d collections, %d bytes allocated, %d live, heap %d, longest pause %d us\n",
              (word)gc_counts.collections, (word)gc_counts.allocated_bytes,
              (word)gc_counts.live_bytes, (word)gc_counts.heap_bytes,
              (word)(gc_counts.longest_pause / 1000));
}

static void start(void) {
    static int started;
    if (started) return;
    started = 1;
    gc_start(&language, gc_stack_top());
    const char *wanted_statistics = getenv("CALLPROOF_GC_STATS");
    if (wanted_statistics != NULL && *wanted_statistics != 0 && *wanted_statistics != '0')
        bcpl_last_words = statistics;
}

static word *block(uint8_t kind, size_t bytes) {
    start();
    wanted = bytes;
    if (bytes > (size_t)1 << 46) refuse(bytes, "bytes");
    size_t words = (bytes + sizeof(word) - 1) / sizeof(word);
    struct header *header = gc_allocate(kind, sizeof *header + words * sizeof(word));
    header->gc.spare = (uint16_t)(words >> 32);
    header->size = (uint32_t)words;
    return memory_of(header);
}

/* Zeroed memory, aligned to 8 bytes. */
void *bcpl_allocate(size_t bytes) { return block(WORDS, bytes); }

/* One word more than asked for, as classic programs index 0 to n; aligned to 16 bytes. */
word *bcpl_getvec(word words) {
    if (words <= 0) {
        bad_sizes++;
        return NULL;
    }
    if (words > (word)1 << 42) refuse((uint64_t)words, "words");
    word *made = block(WORDS, ((size_t)words + 2) * sizeof(word));
    made[0] = words;
    return made + 1;
}

static character *text(uint8_t kind, word characters) {
    if (characters < 0) characters = 0;
    if (characters > (word)1 << 42) refuse((uint64_t)characters, "characters");
    word *made = block(kind, sizeof(word) + ((size_t)characters + 1) * sizeof(character));
    made[0] = characters;
    return (character *)(made + 1);
}

/* A string that the library fills: there are only characters in it. */
character *bcpl_text(word characters) { return text(CHARACTERS, characters); }

/* STRING n: what a program puts there, nobody knows. */
character *bcpl_string(word characters) { return text(WORDS, characters); }

word *bcpl_new(word bytes, const void *vtable) {
    word *object = bcpl_allocate((size_t)bytes);
    object[0] = (word)(intptr_t)vtable;
    return object;
}

/* MALLOC: bytes without a length. */
void *bcpl_malloc(word bytes) {
    if (bytes > 0) return bcpl_allocate((size_t)bytes);
    bad_sizes++;
    return NULL;
}

/* FREEVEC: the memory comes back when nobody can reach it any more, as it would without;
 * but who frees a vector twice is told so. */
void bcpl_freevec(const void *vector, const char *file, word line) {
    if (vector == NULL) return;
    start();
    struct header *header = gc_object_at(vector);
    if (header == NULL || vector != memory_of(header) + 1) return; /* a TABLE, for instance */
    if (header->gc.flags & FREED) {
        freed_twice++;
        bcpl_tell("callproof: FREEVEC of a vector that was freed before, at %s:%d\n", file, line);
    }
    header->gc.flags |= FREED;
}

/* A C function is given an address: what it points to, C may keep for ever. */
void bcpl_lend(const void *address) {
    start();
    struct header *header = gc_object_at(address);
    if (header == NULL || header->gc.flags & LENT) return;
    if (lent_count == lent_room) {
        size_t room = lent_room ? lent_room * 2 : 64;
        struct header **more = realloc(lent, room * sizeof *more);
        if (more == NULL) refuse(room * sizeof *more, "bytes");
        lent = more;
        lent_room = room;
    }
    header->gc.flags |= LENT;
    lent[lent_count++] = header;
}

void bcpl_gc(void) {
    start();
    gc_collect();
}

void bcpl_heap_info(void) {
    start();
    bcpl_tell("heap: %d bytes, %d allocated so far, %d collections\n", (word)gc_counts.heap_bytes,
              (word)gc_counts.allocated_bytes, (word)gc_counts.collections);
}

/* BCPL_CHECK_AND_DISPLAY_ERRORS: what was recorded and not yet cleared, on standard error. */
void bcpl_show_errors(void) {
    if (freed_twice == 0 && bad_sizes == 0) return;
    bcpl_tell("errors of memory: %d double frees, %d sizes below 1\n", (word)freed_twice,
              (word)bad_sizes);
}

void bcpl_clear_errors(void) { freed_twice = bad_sizes = 0; }
