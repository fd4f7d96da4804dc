/* Files (reference 11.6).  A handle is C's FILE pointer; 0 stands for no file. */
#include <stdio.h>
#include <string.h>

#include "bcpl.h"

static FILE *as_file(word handle) { return (FILE *)handle; }

static FILE *open_file(const character *name, const char *mode) {
    char *path = bcpl_cstring(name);
    FILE *file = path != NULL ? fopen(path, mode) : NULL;
    bcpl_free_cstring(path);
    return file;
}

word bcpl_file_open_read(const character *name) { return (word)open_file(name, "rb"); }
word bcpl_file_open_write(const character *name) { return (word)open_file(name, "wb"); }
word bcpl_file_open_append(const character *name) { return (word)open_file(name, "ab"); }

/* 0 if all went well, 1 if not: what was written last may be lost. */
word bcpl_file_close(word handle) {
    return handle == 0 || fclose(as_file(handle)) != 0;
}

/* The number of bytes written. */
word bcpl_file_writes(word handle, const character *text) {
    word written = 0;
    if (handle == 0 || text == NULL) return 0;
    for (; *text != 0; text++) {
        char bytes[4];
        size_t size = (size_t)encode_utf8(*text, bytes);
        size_t done = fwrite(bytes, 1, size, as_file(handle));
        written += (word)done;
        if (done != size) break;
    }
    return written;
}

/* The rest of the file as a string; 0 if it cannot be read. */
character *bcpl_file_reads(word handle) {
    size_t size = 0, room = 4096;
    if (handle == 0) return NULL;
    char *bytes = bcpl_allocate(room + 1);
    for (;;) {
        size += fread(bytes + size, 1, room - size, as_file(handle));
        if (size < room) break;
        char *larger = bcpl_allocate(2 * room + 1);
        memcpy(larger, bytes, size);
        bytes = larger;
        room *= 2;
    }
    if (ferror(as_file(handle))) return NULL;
    for (size_t i = 0; i < size; i++) /* a string ends at a zero; nothing may get lost */
        if (bytes[i] == 0) bytes[i] = '?';
    bytes[size] = 0;
    return bcpl_from_cstring(bytes);
}

/* Bytes into cells of 32 bits; how many came. */
word bcpl_file_read(word handle, character *cells, word count) {
    word done = 0;
    if (handle == 0) return 0;
    for (int byte; done < count && (byte = getc(as_file(handle))) != EOF; done++) cells[done] = byte;
    return done;
}

word bcpl_file_write(word handle, const character *cells, word count) {
    word done = 0;
    if (handle == 0) return 0;
    while (done < count && putc(cells[done] & 0xFF, as_file(handle)) != EOF) done++;
    return done;
}

/* 0 if all went well. */
word bcpl_file_seek(word handle, word offset, word origin) {
    static const int origins[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    if (handle == 0 || origin < 0 || origin > 2) return 1;
    return fseek(as_file(handle), offset, origins[origin]) != 0;
}

word bcpl_file_tell(word handle) { return handle == 0 ? -1 : ftell(as_file(handle)); }

/* 1 if no byte is left to be read, also before somebody has tried. */
word bcpl_file_eof(word handle) {
    if (handle == 0) return 1;
    int byte = getc(as_file(handle));
    if (byte == EOF) return 1;
    ungetc(byte, as_file(handle));
    return 0;
}

/* A whole file as a string, 0 if it cannot be read. */
character *bcpl_slurp(const character *name) {
    word handle = bcpl_file_open_read(name);
    character *text = bcpl_file_reads(handle);
    if (handle != 0) bcpl_file_close(handle);
    return text;
}

/* A whole file from a string; 1 if it was written. */
word bcpl_spit(const character *text, const character *name) {
    word handle = bcpl_file_open_write(name);
    if (handle == 0) return 0;
    bcpl_file_writes(handle, text);
    int failed = ferror(as_file(handle));
    return bcpl_file_close(handle) == 0 && !failed;
}
