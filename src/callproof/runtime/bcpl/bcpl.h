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
enum { PROGRAM_ERROR = 70, NO_MEMORY = 71, NO_OUTPUT = 74 };

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
character *bcpl_text(word characters);
void bcpl_freevec(const void *vector, const char *file, word line);
void *bcpl_allocate(size_t bytes);
void *bcpl_malloc(word bytes);
void bcpl_lend(const void *address);
void bcpl_gc(void);
void bcpl_heap_info(void);
void bcpl_show_errors(void);
void bcpl_clear_errors(void);

/* Compiled (or roots.c): the addresses of the global variables. */
extern word *const bcpl_roots[];
extern const word bcpl_root_count;

/* library.c */
_Noreturn void bcpl_finish(void);
_Noreturn void bcpl_exit(word status);
extern void (*bcpl_last_words)(void); /* at the end of the program, behind its output */
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
char *bcpl_packstring(const character *text);
character *bcpl_from_cstring(const char *bytes);
void bcpl_free_cstring(char *bytes);
word bcpl_getbyte(const unsigned char *address, word index);
void bcpl_putbyte(unsigned char *address, word index, word byte);
word bcpl_signed32(word value);

/* lists.c: a list is a header (tag 0) or, where only its atoms are looked at, a node. */
typedef struct node {
    int32_t tag, unused;
    word value;
    struct node *next;
} node;

typedef struct list {
    int32_t tag, is_static;
    word length;
    node *head, *tail;
} list;

enum { TAG_LIST_HEADER, TAG_INTEGER, TAG_FLOAT, TAG_STRING, TAG_LIST };

list *bcpl_list(void);
list *bcpl_append(list *to, word tag, word value);
word bcpl_hd(const void *items);
double bcpl_hd_float(const void *items);
list *bcpl_tl(const void *items);
word bcpl_list_length(const void *items);
node *bcpl_nth(const list *items, word index);
node *bcpl_find(const list *items, word tag, word value);
list *bcpl_concat(const list *a, const list *b);
list *bcpl_copylist(const list *items);
list *bcpl_deepcopylist(const list *items);
list *bcpl_reverse(const list *items);
word bcpl_as_int(const node *atom);
character *bcpl_as_string(const node *atom);
list *bcpl_as_list(const node *atom);
list *bcpl_split(const character *text, const character *delimiter);
character *bcpl_join(const list *items, const character *delimiter);

/* files.c; a file is a FILE pointer */
character *bcpl_slurp(const character *name);
word bcpl_spit(const character *text, const character *name);
word bcpl_file_open_read(const character *name);
word bcpl_file_open_write(const character *name);
word bcpl_file_open_append(const character *name);
word bcpl_file_close(word file);
word bcpl_file_writes(word file, const character *text);
character *bcpl_file_reads(word file);
word bcpl_file_read(word file, character *cells, word count);
word bcpl_file_write(word file, const character *cells, word count);
word bcpl_file_seek(word file, word offset, word origin);
word bcpl_file_tell(word file);
word bcpl_file_eof(word file);

/* input.c */
word bcpl_readn(void);
double bcpl_readf(void);

/* timer.c */
word bcpl_timer_start(void);
word bcpl_timer_end(word start);
void bcpl_timer_display(word nanoseconds);
void bcpl_sleep(word milliseconds);

/* report.c */
_Noreturn void bcpl_no_member(const char *name);
_Noreturn void bcpl_bounds(word index, word length, const char *file, word line);
void bcpl_brk(const char *function, const char *file, word line, word count, const word *rows);

/* tell.c */
void bcpl_tell(const char *format, ...); /* to standard error; %s and, for words, %d */

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
