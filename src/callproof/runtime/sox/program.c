/* What the compiler emits for a program, empty, for programs that are written in C. */
#include "runtime.h"

#define WEAK __attribute__((weak))

WEAK value sox_globals[1];
WEAK const uint64_t sox_global_count = 0;
WEAK const char *const sox_script_path = NULL;
WEAK const struct trace_function sox_trace_functions[1] = {{NULL, 0, 0, NULL, NULL, NULL}};
WEAK const uint64_t sox_trace_count = 0;
WEAK const uint64_t sox_session_code[2] = {0, 0};
WEAK value sox_script(struct closure *self) {
    (void)self;
    return nil_value();
}
