/* BRK's view of the machine: registers with the variables in them, and the chain of frame
 * records, looked up in the compiler's tables.  C's functions are in none and passed over. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../gc/gc.h"
#include "trace.h"

enum { LINK = 30, FRAME = 29, FLOATING = 32, MOST_FRAMES = 1000 };

static const char *variables_in(const unsigned char *text, int number) {
    while (text != NULL && *text != 0) {
        if (*text == number + 1) return (const char *)text + 1;
        text += 1 + strlen((const char *)text + 1) + 1;
    }
    return "";
}

static const unsigned char *kept_at(uint64_t address) {
    for (uint64_t i = 0; i < bcpl_trace_table_count; i++) {
        const struct trace_table *table = &bcpl_trace_tables[i];
        for (uint64_t j = 0; j < *table->kept_count; j++)
            if ((uint64_t)(uintptr_t)table->kept[j].returns_to == address)
                return table->kept[j].variables;
    }
    return NULL;
}

static void show(char bank, int number, const char *value, const char *variables) {
    char name[8];
    snprintf(name, sizeof name, "%c%d", bank, number);
    if (*variables)
        dprintf(STDERR_FILENO, "  %-4s %-24s %s\n", name, value, variables);
    else
        dprintf(STDERR_FILENO, "  %-4s %s\n", name, value);
}

/* Those that a call preserves: the others hold what BRK itself was told. */
void bcpl_show_registers(const struct registers *registers) {
    const unsigned char *kept = kept_at(registers->general[LINK]);
    char text[40];
    dprintf(STDERR_FILENO, "registers:\n");
    for (int i = 19; i <= 28; i++) {
        snprintf(text, sizeof text, "%lld", (long long)registers->general[i]);
        show('x', i, text, variables_in(kept, i));
    }
    for (int i = 8; i <= 15; i++) {
        snprintf(text, sizeof text, "%.17g", registers->floating[i]);
        show('d', i, text, variables_in(kept, FLOATING + i));
    }
    dprintf(STDERR_FILENO, "  x29  #x%llX\n  sp   #x%llX\n  pc   #x%llX\n",
            (unsigned long long)registers->general[FRAME],
            (unsigned long long)registers->stack_pointer,
            (unsigned long long)registers->general[LINK]);
}

static const struct trace_function *function_at(uintptr_t address) {
    for (uint64_t i = 0; i < bcpl_trace_table_count; i++) {
        const struct trace_table *table = &bcpl_trace_tables[i];
        for (uint64_t j = 0; j < *table->count; j++) {
            const struct trace_function *function = &table->functions[j];
            /* A return address can be the function's end, and never its start. */
            if (address - (uintptr_t)function->start - 1 < function->size) return function;
        }
    }
    return NULL;
}

/* The functions that are inlined there, and the function itself, with their lines. */
static void show_function(const struct trace_function *function, uintptr_t address) {
    uint32_t offset = (uint32_t)(address - (uintptr_t)function->start), line = 0;
    uint32_t found = function->calls;
    for (uint32_t i = 0; i < function->calls; i++) {
        if (function->call[i].return_offset > offset) break;
        if (found == function->calls ||
            function->call[found].return_offset != function->call[i].return_offset)
            found = i;
    }
    for (; found < function->calls; found++) {
        const struct trace_call *call = &function->call[found];
        line = call->line;
        if (call->name == 0) break;
        dprintf(STDERR_FILENO, "  %s%u\n", function->names + call->name, line);
    }
    if (function->name != NULL) dprintf(STDERR_FILENO, "  %s%u\n", function->name, line);
}

void bcpl_show_calls(const struct registers *registers) {
    uintptr_t address = registers->general[LINK], top = (uintptr_t)gc_stack_top();
    const uintptr_t *frame = (const uintptr_t *)registers->general[FRAME];
    dprintf(STDERR_FILENO, "calls:\n");
    for (int i = 0; i < MOST_FRAMES; i++) {
        const struct trace_function *function = function_at(address);
        if (function != NULL) show_function(function, address);
        uintptr_t at = (uintptr_t)frame;
        if (at < registers->stack_pointer || at + 2 * sizeof *frame > top || at % 8 != 0) return;
        const uintptr_t *outer = (const uintptr_t *)frame[0];
        address = frame[1];
        frame = (uintptr_t)outer > at ? outer : NULL;
    }
    dprintf(STDERR_FILENO, "  ...\n");
}
