/* An interactive session: pieces of code and data arrive through a pipe, are put where they
 * say, and are run.  `callproof/sox/session.py` compiles and links them; this end only knows
 *   request: count of pieces, address of the code to run (0: the end), then per piece
 *            address, size, and so many bytes; all numbers of 64 bits
 *   answer:  one byte, the status of what was run before (0, or that of a run-time error)
 * An error leaves what it was in and comes back here; the heap and the globals live on. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

/* Sessions run on Linux only; elsewhere this only has to compile. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0
#endif

enum { REQUESTS = 3, ANSWERS = 4 }; /* descriptors */

static sigjmp_buf prompt;
static unsigned char status;

static _Noreturn void back_to_prompt(int with) {
    /* Modules whose top level did not end are loaded anew by the next import. */
    for (uint64_t i = 0; i < sox_global_count; i++)
        if (sox_globals[i].tag == MODULE_LOADING) sox_globals[i].tag = UNDEFINED;
    status = (unsigned char)with;
    siglongjmp(prompt, 1);
}

static _Noreturn void lost(const char *what) {
    dprintf(STDERR_FILENO, "the session cannot go on: %s\n", what);
    _exit(RUNTIME_ERROR);
}

/* 0: the other end has gone. */
static int receive(void *to, uint64_t count) {
    for (char *at = to; count > 0;) {
        ssize_t got = read(REQUESTS, at, count);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        at += got;
        count -= (uint64_t)got;
    }
    return 1;
}

static void reserve(void) {
    void *wanted = (void *)(uintptr_t)sox_session_code[0];
    void *got = mmap(wanted, sox_session_code[1], PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != wanted) lost("no memory for code");
}

/* The code to run next, or NULL at the end. */
static value (*next_code(void))(struct closure *) {
    uint64_t request[2], piece[2];
    if (!receive(request, sizeof request)) return NULL;
    for (uint64_t i = 0; i < request[0]; i++) {
        if (!receive(piece, sizeof piece)) return NULL;
        char *place = (char *)(uintptr_t)piece[0];
        if (!receive(place, piece[1])) return NULL;
        __builtin___clear_cache(place, place + piece[1]);
    }
    return (value(*)(struct closure *))(uintptr_t)request[1];
}

void sox_session(void) {
    reserve();
    on_error = back_to_prompt;
    sigsetjmp(prompt, 1);
    for (;;) {
        flush_output();
        if (write(ANSWERS, &status, 1) != 1) return;
        status = 0;
        value (*code)(struct closure *) = next_code();
        if (code == NULL) return;
        code(NULL);
    }
}
