/* What is wrong in a running program, and BRK; all on standard error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bcpl.h"

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

/* A row for each variable: its name, 0 (word), 1 (FLOAT) or 2 (STRING), its value. */
void bcpl_brk(const char *function, const char *file, word line, word count, const word *rows) {
    bcpl_flush();
    say("BRK in %s at %s:%lld\n", function, file, (long long)line);
    for (; count > 0; count--, rows += 3) {
        const char *name = (const char *)rows[0];
        if (rows[1] == 1) {
            double value;
            memcpy(&value, &rows[2], sizeof value);
            say("  %-12s = %.17g\n", name, value);
        } else if (rows[1] == 2) {
            char *text = bcpl_cstring((const character *)rows[2]);
            say("  %-12s = \"%s\"\n", name, text != NULL ? text : "");
            bcpl_free_cstring(text);
        } else {
            say("  %-12s = %lld (#x%llX)\n", name, (long long)rows[2], (long long)rows[2]);
        }
    }
}
