/* What the compiler emits about its code for programs with BRK (codegen/traces.py). */
#ifndef CALLPROOF_BCPL_TRACE_H
#define CALLPROOF_BCPL_TRACE_H

#include <stdint.h>

struct trace_call {
    uint32_t return_offset, line, name;
};

/* Sorted by address; the calls by offset.  `name` ends where the line follows.  Of a call in
 * inlined code there are rows with the same offset, the innermost function's first: their
 * `name` is where in `names` its name is, 0 for the function's own. */
struct trace_function {
    const void *start;
    uint32_t size, calls;
    const char *name;
    const struct trace_call *call;
    const char *names;
};

/* `variables`: register number + 1, the names, a zero byte; and so on; a zero byte. */
struct trace_kept {
    const void *returns_to;
    const unsigned char *variables;
};

/* One for each of the program's sources. */
struct trace_table {
    const struct trace_function *functions;
    const uint64_t *count;
    const struct trace_kept *kept;
    const uint64_t *kept_count;
};
extern const struct trace_table bcpl_trace_tables[];
extern const uint64_t bcpl_trace_table_count;

/* The program's registers at a BRK, as `bcpl_brk` stores them. */
struct registers {
    uint64_t general[31], stack_pointer;
    double floating[32];
};

void bcpl_show_registers(const struct registers *registers);
void bcpl_show_calls(const struct registers *registers);

#endif
