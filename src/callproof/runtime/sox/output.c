/* Standard output: a buffer, which goes out when it is full, at the end of the program,
 * before anything is written to standard error, and after each line on a terminal. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime.h"

enum { BUFFER_SIZE = 16384, UNKNOWN = -1 };

static char buffer[BUFFER_SIZE];
static uint64_t used;
static int on_terminal = UNKNOWN;
int suppress_print;

static _Noreturn void lost_output(int error) {
    dprintf(STDERR_FILENO, "cannot write to standard output%s\n",
            error == ENOSPC ? ": no space is left" : "");
    _exit(LOST_OUTPUT);
}

static void write_all(const char *bytes, uint64_t count) {
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written >= 0) {
            bytes += written;
            count -= (uint64_t)written;
        } else if (errno == EAGAIN) { /* somebody made it non-blocking */
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            lost_output(errno);
        }
    }
}

void flush_output(void) {
    uint64_t count = used;
    used = 0; /* first, so that what goes wrong does not come here again */
    write_all(buffer, count);
}

void put_bytes(const char *bytes, uint64_t count) {
    if (count > BUFFER_SIZE - used) flush_output();
    if (count > BUFFER_SIZE) {
        write_all(bytes, count);
        return;
    }
    memcpy(buffer + used, bytes, count);
    used += count;
}

void put_text(const char *text) { put_bytes(text, strlen(text)); }


void end_line(void) {
    put_bytes("\n", 1);
    if (on_terminal == UNKNOWN) on_terminal = isatty(STDOUT_FILENO);
    if (on_terminal) flush_output();
}
