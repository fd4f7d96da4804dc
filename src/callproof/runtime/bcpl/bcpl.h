/* The NewBCPL runtime: what compiled programs call.  C11 on musl.
 *
 * A word is 64 bits.  A string is a pointer to 32-bit code points that end with 0; a
 * vector is a pointer to its words; the 64-bit length of both stands at address - 8.
 */
#ifndef CALLPROOF_BCPL_H
#define CALLPROOF_BCPL_H

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

/* Compiled: initialises the globals, then runs START. */
void bcpl_start(void);

#endif
