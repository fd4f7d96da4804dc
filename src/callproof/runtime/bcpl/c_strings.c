/* Strings between the languages: 32-bit code points here, UTF-8 with a zero behind it in
 * C; and bytes in memory that C has filled. */
#include <stdlib.h>

#include "bcpl.h"

/* A copy for C, made by malloc; NULL of NULL.  What is no code point becomes '?'. */
char *bcpl_cstring(const character *text) {
    char bytes[4];
    size_t size = 1;
    if (text == NULL) return NULL;
    for (const character *at = text; *at != 0; at++) size += (size_t)encode_utf8(*at, bytes);
    char *copy = malloc(size);
    if (copy == NULL) bcpl_fatal(NO_MEMORY, "out of memory", size, "bytes");
    char *to = copy;
    while (*text != 0) to += encode_utf8(*text++, to);
    *to = 0;
    return copy;
}

/* PACKSTRING: the string as UTF-8 with a zero behind it, in the program's own memory, and
 * the number of its bytes before it. */
char *bcpl_packstring(const character *text) {
    char bytes[4];
    size_t size = 0;
    if (text == NULL) return NULL;
    for (const character *at = text; *at != 0; at++) size += (size_t)encode_utf8(*at, bytes);
    word *block = bcpl_allocate(sizeof(word) + size + 1);
    block[0] = (word)size;
    char *to = (char *)(block + 1);
    while (*text != 0) to += encode_utf8(*text++, to);
    *to = 0;
    return (char *)(block + 1);
}

void bcpl_free_cstring(char *bytes) { free(bytes); }

/* The code point at `*at`, which moves behind it.  A byte that begins no well-formed
 * sequence (Unicode 15, table 3-7) is U+FFFD by itself. */
static character next(const unsigned char **at) {
    static const character smallest[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = *at;
    character code = bytes[0];
    int more = code < 0xC2 ? 0 : code < 0xE0 ? 1 : code < 0xF0 ? 2 : code < 0xF5 ? 3 : 0;
    *at = bytes + 1;
    if (more == 0) return code < 0x80 ? code : 0xFFFD;
    code &= 0x3F >> more;
    for (int i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0) != 0x80) return 0xFFFD; /* also the zero at the end */
        code = code << 6 | (bytes[i] & 0x3F);
    }
    if (code < smallest[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return 0xFFFD;
    *at = bytes + 1 + more;
    return code;
}

/* A string of the program's own; 0 of NULL. */
character *bcpl_from_cstring(const char *bytes) {
    if (bytes == NULL) return NULL;
    const unsigned char *at = (const unsigned char *)bytes;
    word length = 0;
    for (; *at != 0; length++) next(&at);
    character *text = bcpl_text(length);
    at = (const unsigned char *)bytes;
    for (word i = 0; i < length; i++) text[i] = next(&at);
    return text;
}

word bcpl_getbyte(const unsigned char *address, word index) { return address[index]; }

void bcpl_putbyte(unsigned char *address, word index, word byte) {
    address[index] = (unsigned char)byte;
}

/* The low 32 bits as a signed number: what C calls an int. */
word bcpl_signed32(word value) { return (int32_t)value; }
