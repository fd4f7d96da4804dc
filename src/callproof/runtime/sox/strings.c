/* Strings: made whole with their bytes behind them, or the end of a buffer that grows, so
 * that appending again and again takes time in proportion to what is appended. */
#include "runtime.h"

enum { FNV_BASIS = 2166136261u, FNV_PRIME = 16777619u, LEAST_BUFFER = 256 };

uint64_t sox_copied_bytes;

struct string *blank_string(uint64_t length, char **bytes) {
    if (length > (uint64_t)1 << 46) out_of_memory();
    struct string *string = new_object(STRING, sizeof *string + length);
    string->length = length;
    string->bytes = *bytes = (char *)(string + 1);
    return string;
}

struct string *new_string(const char *bytes, uint64_t length) {
    char *to;
    struct string *string = blank_string(length, &to);
    memcpy(to, bytes, length);
    return string;
}

value byte_value(unsigned char byte) {
    value *known = &one_byte_strings[byte];
    if (known->tag == NIL) {
        char text = (char)byte;
        *known = object_value(STRING, new_string(&text, 1));
    }
    return *known;
}

value string_value(const char *bytes, uint64_t length) {
    if (length == 1) return byte_value((unsigned char)*bytes);
    return object_value(STRING, new_string(bytes, length));
}

value c_string_value(const char *text) { return string_value(text, strlen(text)); }

/* A buffer with both texts and room for more.  Its growth is by half of all. */
static struct buffer *new_buffer(struct text a, struct text b) {
    uint64_t total = a.length + b.length, capacity = total + total / 2;
    struct buffer *buffer = gc_allocate(BUFFER, sizeof *buffer + capacity);
    buffer->capacity = capacity;
    memcpy(buffer->bytes, a.bytes, a.length);
    memcpy(buffer->bytes + a.length, b.bytes, b.length);
    buffer->used = total;
    sox_copied_bytes += total;
    return buffer;
}

struct string *join(const struct string *left, struct text a, struct text b) {
    uint64_t total = a.length + b.length;
    if (total > (uint64_t)1 << 46) out_of_memory();
    struct buffer *buffer = left == NULL ? NULL : left->buffer;
    if (buffer == NULL && total < LEAST_BUFFER) {
        char *to;
        struct string *flat = blank_string(total, &to);
        memcpy(to, a.bytes, a.length);
        memcpy(to + a.length, b.bytes, b.length);
        sox_copied_bytes += total;
        return flat;
    }
    struct string *string = new_object(STRING, sizeof *string);
    int extends = buffer != NULL && a.bytes + a.length == buffer->bytes + buffer->used;
    if (extends && buffer->capacity - buffer->used >= b.length) {
        memcpy(buffer->bytes + buffer->used, b.bytes, b.length);
        buffer->used += b.length;
        sox_copied_bytes += b.length;
        string->bytes = a.bytes;
    } else {
        buffer = new_buffer(a, b);
        string->bytes = buffer->bytes;
    }
    string->length = total;
    string->buffer = buffer;
    return string;
}

uint32_t string_hash(const struct string *string) {
    if (string->hash != 0) return string->hash;
    uint32_t hash = FNV_BASIS;
    for (uint64_t i = 0; i < string->length; i++)
        hash = (hash ^ (unsigned char)string->bytes[i]) * FNV_PRIME;
    /* Static ones stand in read-only memory; theirs is 0 only if it comes out as 0. */
    if (!(string->header.flags & GC_STATIC)) ((struct string *)string)->hash = hash;
    return hash;
}

/* By words: the C library's memcmp goes byte by byte. */
static int same_bytes(const char *a, const char *b, uint64_t length) {
    for (; length >= 8; a += 8, b += 8, length -= 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y) return 0;
    }
    for (; length > 0; a++, b++, length--)
        if (*a != *b) return 0;
    return 1;
}

int same_string(const struct string *a, const struct string *b) {
    if (a == b) return 1;
    if (a->length != b->length) return 0;
    if (a->hash != 0 && b->hash != 0 && a->hash != b->hash) return 0;
    return same_bytes(a->bytes, b->bytes, a->length);
}
