/* The end of a program by an error: what it printed first, then the message and the trace. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime.h"

void (*on_error)(int status);

static _Noreturn void end(void) {
    if (on_error != NULL) on_error(RUNTIME_ERROR);
    if (current_benchmark != NULL)
        dprintf(STDERR_FILENO, "Benchmark %.*s failed\n", (int)current_benchmark->length,
                current_benchmark->bytes);
    gc_print_statistics();
    _exit(RUNTIME_ERROR);
}

/* The caller of the function whose frame this is. */
static struct place caller_of(const uintptr_t *frame) {
    return (struct place){frame[1], (const uintptr_t *)frame[0]};
}

_Noreturn void fail_at(struct place innermost, const char *message) {
    flush_output();
    dprintf(STDERR_FILENO, "%s\n", message);
    print_trace(innermost);
    end();
}

_Noreturn void sox_fail(const char *message) {
    fail_at(caller_of(__builtin_frame_address(0)), message);
}

_Noreturn void sox_error(const char *format, ...) {
    flush_output();
    va_list arguments;
    va_start(arguments, format);
    vdprintf(STDERR_FILENO, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "\n");
    print_trace(caller_of(__builtin_frame_address(0)));
    end();
}

_Noreturn void sox_get_undefined(const struct string *name) {
    sox_error("Undefined variable '%.*s'.", (int)name->length, name->bytes);
}

_Noreturn void sox_stack_overflow(void) { sox_fail("Stack overflow."); }

_Noreturn void out_of_memory(void) { sox_fail("Out of memory."); }

/* A failed assertion fails the test that it is in. */
_Noreturn void sox_assert_failed(value message) {
    flush_output();
    if (message.tag != UNDEFINED && message.tag != STRING)
        sox_fail("Assertion failed: message must be a string.");
    const char *before = in_test ? "Error: " : "";
    if (message.tag == UNDEFINED) {
        dprintf(STDERR_FILENO, "%sAssertion failed.\n", before);
    } else {
        const struct string *text = to_string(message);
        dprintf(STDERR_FILENO, "%sAssertion failed: ", before);
        if (write(STDERR_FILENO, text->bytes, text->length) < 0) _exit(RUNTIME_ERROR);
        dprintf(STDERR_FILENO, "\n");
    }
    if (in_test) sox_exit(1);
    print_trace(caller_of(__builtin_frame_address(0)));
    end();
}
