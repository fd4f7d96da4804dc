/* What the compiler emits for a program, empty, for programs that it did not make. */
#include "bcpl.h"

word *const bcpl_roots[1] = {NULL};
const word bcpl_root_count = 0;
