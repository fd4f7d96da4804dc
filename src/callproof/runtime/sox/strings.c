/* Strings: made whole with their bytes behind them, or the end of a buffer that grows, so
 * that appending again and again takes time in proportion to what is appended. */
#include "runtime.h"

enum { FNV_BASIS = 2166136261u, FNV_PRIME = 16777619u };

uint64_t sox_copied_bytes;

/* --- strings of no byte and of one --------------------------------------------------------- */

#define FOUR(m, n) m(n), m((n) + 1), m((n) + 2), m((n) + 3)
#define SIXTEEN(m, n) FOUR(m, n), FOUR(m, (n) + 4), FOUR(m, (n) + 8), FOUR(m, (n) + 12)
#define SIXTY_FOUR(m, n) \
    SIXTEEN(m, n), SIXTEEN(m, (n) + 16), SIXTEEN(m, (n) + 32), SIXTEEN(m, (n) + 48)
#define ALL_BYTES(m) SIXTY_FOUR(m, 0), SIXTY_FOUR(m, 64), SIXTY_FOUR(m, 128), SIXTY_FOUR(m, 192)

#define BYTE(n) (char)(n)
#define BYTE_STRING(n)                                                                          \
    {{STRING, GC_STATIC, 0}, (FNV_BASIS ^ (uint32_t)(n)) * FNV_PRIME, 1, &all_bytes[n], NULL}

static const char all_bytes[256 + 8] = {ALL_BYTES(BYTE)};
const struct string sox_bytes[256] = {ALL_BYTES(BYTE_STRING)};
const struct string sox_empty = {{STRING, GC_STATIC, 0}, FNV_BASIS, 0, all_bytes, NULL};

static const struct string *short_string(const char *bytes, uint64_t length) {
    return length == 0 ? &sox_empty : &sox_bytes[(unsigned char)*bytes];
}

/* --- making strings -------------------------------------------------------------------------- */

struct string *blank_string(uint64_t length, char **bytes) {
    if (length > (uint64_t)1 << 46) out_of_memory();
    struct string *string = string_with_room(length);
    *bytes = (char *)(string + 1);
    return string;
}

value finished_string(struct string *string) {
    if (string->length > 1) return object_value(STRING, string);
    return object_value(STRING, short_string(string->bytes, string->length));
}

value string_value(const char *bytes, uint64_t length) {
    if (length < 2) return object_value(STRING, short_string(bytes, length));
    char *to;
    struct string *string = blank_string(length, &to);
    copy_bytes(to, bytes, length);
    return object_value(STRING, string);
}

value c_string_value(const char *text) { return string_value(text, strlen(text)); }

char *zero_ended(const struct string *string) {
    char *text;
    blank_string(string->length + 1, &text);
    copy_bytes(text, string->bytes, string->length);
    text[string->length] = 0;
    return text;
}

/* --- concatenation ----------------------------------------------------------------------------- */

static char *append(char *to, const struct text *piece) {
    copy_bytes(to, piece->bytes, piece->length);
    return to + piece->length;
}

/* A buffer with all of it and room for more: its growth is by half. */
static struct buffer *new_buffer(uint64_t total, uint64_t count, const struct text *pieces) {
    uint64_t capacity = total + total / 2;
    struct buffer *buffer = gc_allocate_unset(BUFFER, sizeof *buffer + capacity);
    buffer->capacity = capacity;
    char *to = buffer->bytes;
    for (uint64_t i = 0; i < count; i++) to = append(to, &pieces[i]);
    buffer->used = total;
    sox_copied_bytes += total;
    return buffer;
}

/* The buffer that a string ends at the used end of, or NULL. */
static struct buffer *buffer_to_extend(const struct string *left) {
    if (left == NULL || !has_buffer(left)) return NULL;
    struct buffer *buffer = (struct buffer *)left->owner;
    return left->bytes + left->length == buffer->bytes + buffer->used ? buffer : NULL;
}

/* A string that ends at the end of a buffer; it begins where `bytes` is. */
static inline struct string *string_in(struct buffer *buffer, const char *bytes, uint64_t length) {
    struct string *string = gc_small_unset(STRING, sizeof *string);
    string->hash = 0;
    string->length = length;
    string->bytes = bytes;
    string->owner = &buffer->header;
    return string;
}

static __attribute__((noinline)) const struct string *
join_anew(uint64_t total, uint64_t count, const struct text *pieces) {
    if (total > (uint64_t)1 << 46) out_of_memory();
    if (total >= LEAST_BUFFER) {
        struct buffer *buffer = new_buffer(total, count, pieces);
        return string_in(buffer, buffer->bytes, total);
    }
    struct string *flat = string_with_room(total);
    char *to = (char *)(flat + 1);
    for (uint64_t i = 0; i < count; i++) to = append(to, &pieces[i]);
    sox_copied_bytes += total;
    return total > 1 ? flat : short_string(flat->bytes, total);
}

/* The new string's cell is taken first: nothing is appended for one that is not made. */
const struct string *join(const struct string *left, uint64_t total, uint64_t count,
                          const struct text *pieces) {
    struct buffer *buffer = buffer_to_extend(left);
    uint64_t more = total - pieces->length;
    if (buffer == NULL || buffer->capacity - buffer->used < more)
        return join_anew(total, count, pieces);
    struct string *string = string_in(buffer, left->bytes, total);
    char *to = buffer->bytes + buffer->used;
    for (uint64_t i = 1; i < count; i++) to = append(to, &pieces[i]);
    buffer->used += more;
    sox_copied_bytes += more;
    return string;
}

/* --- comparison ---------------------------------------------------------------------------------- */

uint32_t compute_hash(const struct string *string) {
    uint32_t hash = FNV_BASIS;
    const unsigned char *at = (const unsigned char *)string->bytes, *end = at + string->length;
    for (; at < end; at++) hash = (hash ^ *at) * FNV_PRIME;
    /* Static ones stand in read-only memory; theirs is 0 only if it comes out as 0. */
    if (!(string->header.flags & GC_STATIC)) ((struct string *)string)->hash = hash;
    return hash;
}

static inline uint64_t eight(const char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* The bytes of two strings. */
static inline int same_bytes(const char *a, const char *b, uint64_t length) {
    if (length > 8) {
        uint64_t last = length - 8;
        for (uint64_t at = 0; at < last; at += 8)
            if (eight(a + at) != eight(b + at)) return 0;
        return eight(a + last) == eight(b + last);
    }
    return length == 0 || (eight(a) ^ eight(b)) << (64 - 8 * length) == 0;
}

/* Lets `guest` have the bytes of `host`, which has the same: the next comparison sees it at
 * once.  An owner never gets one, so that none of them is kept for another's sake; and who
 * has a buffer keeps it, to be extended.  0 if it cannot be done. */
static int share(struct string *guest, const struct string *host) {
    if (guest->header.flags & (GC_STATIC | STRING_OWNS) || guest->owner != NULL) return 0;
    guest->owner = host->owner;
    if (host->owner == NULL && !(host->header.flags & GC_STATIC)) {
        ((struct string *)host)->header.flags |= STRING_OWNS;
        guest->owner = (struct gc_header *)host;
    }
    guest->bytes = host->bytes;
    return 1;
}

/* Strings that differ late get their hashes, if that is not too much work: the next time
 * these tell it. */
static __attribute__((noinline)) int differ_late(const struct string *a, const struct string *b) {
    enum { SOON = 8, MOST = 256 };
    if (a->length > SOON && a->length <= MOST && eight(a->bytes) == eight(b->bytes)) {
        string_hash(a);
        string_hash(b);
    }
    return 0;
}

static __attribute__((noinline)) int compare_contents(const struct string *a,
                                                      const struct string *b) {
    if (a->bytes == b->bytes) return 1;
    if (!same_bytes(a->bytes, b->bytes, a->length)) return differ_late(a, b);
    if (!share((struct string *)a, b)) share((struct string *)b, a);
    return 1;
}

int same_contents(const struct string *a, const struct string *b) {
    if (a->hash != b->hash && a->hash != 0 && b->hash != 0) return 0;
    return compare_contents(a, b);
}

uint64_t sox_same_contents(const struct string *a, const struct string *b) {
    return (uint64_t)same_contents(a, b);
}
