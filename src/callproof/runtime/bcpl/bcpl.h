/* The NewBCPL runtime: what compiled programs call.  C11 on musl.
 *
 * A word is 64 bits.  A string is a pointer to 32-bit code points that end with 0; a
 * vector is a pointer to its words; the 64-bit length of both stands at address - 8.
 */
#ifndef CALLPROOF_BCPL_H
#define CALLPROOF_BCPL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t word;
typedef int32_t character;

/* Exit statuses of errors at run time, as in BSD's sysexits.h. */
enum { NO_MEMORY = 71, NO_OUTPUT = 74 };

/* output.c */
void bcpl_writes(const character *text);
void bcpl_writen(word value);
void bcpl_writec(word code);
void bcpl_newline(void);
void bcpl_fwrite(double value);
void bcpl_writef(const character *format, word count, const word *values);
void bcpl_flush(void);
void bcpl_put_byte(char byte);
void bcpl_put_bytes(const char *data, size_t size);

/* memory.c */
word *bcpl_getvec(word words);
word *bcpl_new(word bytes, const void *vtable);
character *bcpl_string(word characters);
void bcpl_freevec(const void *vector);
void *bcpl_allocate(size_t bytes);

/* library.c */
_Noreturn void bcpl_finish(void);
_Noreturn void bcpl_exit(word status);
_Noreturn void bcpl_fatal(int status, const char *message, uint64_t number, const char *unit);
word bcpl_rdch(void);
word bcpl_strlen(const character *text);
word bcpl_strcmp(const character *a, const character *b);
character *bcpl_strcopy(character *to, const character *from);
word bcpl_abs(word value);
word bcpl_rand(word maximum);
double bcpl_rnd(word maximum);
double bcpl_frnd(void);
double bcpl_fabs(double x);
double bcpl_fsin(double x);
double bcpl_fcos(double x);
double bcpl_ftan(double x);
double bcpl_flog(double x);
double bcpl_fexp(double x);

/* c_strings.c */
char *bcpl_cstring(const character *text);
character *bcpl_from_cstring(const char *bytes);
void bcpl_free_cstring(char *bytes);
word bcpl_getbyte(const unsigned char *address, word index);
void bcpl_putbyte(unsigned char *address, word index, word byte);
word bcpl_signed32(word value);

/* stdio.c */
void bcpl_share_stdio(void);

/* Compiled: initialises the globals, then runs START. */
void bcpl_start(void);

/* A code point as UTF-8, '?' for what is none; gives the number of bytes, 1 to 4.  (Here
 * and not in a file, so that a program with one use of it has it in place.) */
static inline int encode_utf8(word code, char *to) {
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        code = '?';
        more = 0;
    }
    /* The first byte begins with as many ones as there are bytes. */
    to[0] = (char)((more ? 0xFF00 >> (more + 1) : 0) | code >> (6 * more));
    for (int i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3F));
    return more + 1;
}

/* Ends the program because standard output takes no more; `error` as in errno. */
__attribute__((always_inline)) static inline _Noreturn void lost_output(int error) {
    bcpl_fatal(NO_OUTPUT,
               error == ENOSPC ? "cannot write to standard output: no space is left"
                               : "cannot write to standard output",
               0, NULL);
}

#endif
