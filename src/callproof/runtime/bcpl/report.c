/* What is wrong in a running program, and BRK; all on standard error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bcpl.h"
#include "trace.h"

static void say(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size > (int)sizeof text - 1) size = sizeof text - 1;
    ssize_t written = write(STDERR_FILENO, text, (size_t)size);
    (void)written; /* there is nobody to be told */
}

/* An object whose class was only known to the running program has not what is asked of it. */
void bcpl_no_member(const char *name) {
    bcpl_flush();
    say("callproof: the object has no member '%s'\n", name);
    _exit(PROGRAM_ERROR);
}

/* --bounds-check (reference 11.8). */
void bcpl_bounds(word index, word length, const char *file, word line) {
    char text[128];
    int size = snprintf(text, sizeof text, "BCPL_BOUNDS_ERROR called! index=%lld, length=%lld\n",
                        (long long)index, (long long)length);
    bcpl_put_bytes(text, (size_t)size);
    bcpl_flush();
    say("FATAL RUNTIME ERROR: Out of bounds access.\nIndex: %lld\nLength: %lld\nat %s:%lld\n",
        (long long)index, (long long)length, file, (long long)line);
    abort();
}

static void show_variable(const word *row) {
    const char *name = (const char *)row[0];
    if (row[1] == 1) {
        double value;
        memcpy(&value, &row[2], sizeof value);
        say("  %-12s = %.17g\n", name, value);
    } else if (row[1] == 2) {
        char *text = bcpl_cstring((const character *)row[2]);
        say("  %-12s = \"%s\"\n", name, text != NULL ? text : "");
        bcpl_free_cstring(text);
    } else {
        say("  %-12s = %lld (#x%llX)\n", name, (long long)row[2], (long long)row[2]);
    }
}

static __attribute__((used)) void dump(const char *function, const char *file, word line,
                                       word count, const word *rows,
                                       const struct registers *registers) {
    bcpl_flush();
    say("BRK in %s at %s:%lld\nvariables:\n", function, file, (long long)line);
    for (word i = 0; i < count; i++) show_variable(rows + 3 * i);
    bcpl_show_registers(registers);
    bcpl_show_calls(registers);
}

/* Darwin's unwinding is told of a frame that Clang did not make. */
#if defined(__APPLE__)
#define FRAME_RECORD ".cfi_def_cfa w29, 16\n\t.cfi_offset w30, -8\n\t.cfi_offset w29, -16\n\t"
#else
#define FRAME_RECORD
#endif

/* A row for each variable: its name, 0 (word), 1 (FLOAT) or 2 (STRING), its value.  Stores
 * the registers as they are, in a `struct registers`, and goes on in C. */
#if defined(__aarch64__)
__attribute__((naked)) void bcpl_brk(const char *function __attribute__((unused)),
                                     const char *file __attribute__((unused)),
                                     word line __attribute__((unused)),
                                     word count __attribute__((unused)),
                                     const word *rows __attribute__((unused))) {
    __asm__("stp x29, x30, [sp, #-16]!\n\t"
            "sub sp, sp, #512\n\t"
            "stp x18, x19, [sp, #144]\n\t"
            "stp x20, x21, [sp, #160]\n\t"
            "stp x22, x23, [sp, #176]\n\t"
            "stp x24, x25, [sp, #192]\n\t"
            "stp x26, x27, [sp, #208]\n\t"
            "stp x28, x29, [sp, #224]\n\t"
            "add x9, sp, #528\n\t"
            "stp x30, x9, [sp, #240]\n\t"
            "stp d8, d9, [sp, #320]\n\t"
            "stp d10, d11, [sp, #336]\n\t"
            "stp d12, d13, [sp, #352]\n\t"
            "stp d14, d15, [sp, #368]\n\t"
            "mov x5, sp\n\t"
            "add x29, sp, #512\n\t" FRAME_RECORD
            "bl %0\n\t"
            "add sp, sp, #512\n\t"
            "ldp x29, x30, [sp], #16\n\t"
            "ret" : : "S"(dump));
}
#else
void bcpl_brk(const char *function, const char *file, word line, word count, const word *rows) {
    bcpl_flush();
    say("BRK in %s at %s:%lld\nvariables:\n", function, file, (long long)line);
    for (word i = 0; i < count; i++) show_variable(rows + 3 * i);
}
#endif
