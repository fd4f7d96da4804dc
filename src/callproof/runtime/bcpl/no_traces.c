/* What the compiler emits for a program with BRK, empty, for other programs. */
#include <stddef.h>

#include "trace.h"

const struct trace_table bcpl_trace_tables[1] = {{NULL, NULL, NULL, NULL}};
const uint64_t bcpl_trace_table_count = 0;
