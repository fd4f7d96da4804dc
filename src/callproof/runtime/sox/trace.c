/* Traces: the chain of frame records, looked up in the compiler's tables.  Functions that are
 * in no table (ours, C's) and nameless ones are passed over. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

enum {
    ALL = 64,          /* so many lines are printed as they are; of more, repeats are folded */
    LONGEST_PERIOD = 8,
    MOST = 1 << 22,    /* frames that are looked at */
};

struct line {
    const char *name; /* each function's own, also where two are spelt alike */
    uint32_t line;
};

/* The function that a return address is in, or NULL. */
static const struct trace_function *function_at(uintptr_t address) {
    uint64_t from = 0, to = sox_trace_count;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if ((uintptr_t)sox_trace_functions[middle].start < address)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == 0) return NULL;
    const struct trace_function *function = &sox_trace_functions[from - 1];
    return address - (uintptr_t)function->start <= function->size ? function : NULL;
}

/* The first row of the call that returns there, or of the nearest; NULL if there are none. */
static const struct trace_call *call_at(const struct trace_function *function,
                                        uintptr_t address) {
    uint32_t offset = (uint32_t)(address - (uintptr_t)function->start);
    uint32_t from = 0, to = function->calls;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (function->call[middle].return_offset < offset)
            from = middle + 1;
        else
            to = middle;
    }
    if (function->calls == 0) return NULL;
    if (from == function->calls) from--;
    const struct trace_call *call = &function->call[from];
    while (call > function->call && call[-1].return_offset == call->return_offset) call--;
    return call;
}

/* The lines of the functions that are inlined there, and the function's own; how many. */
static size_t lines_at(const struct trace_function *function, uintptr_t address,
                       struct line *lines, size_t room) {
    const struct trace_call *call = call_at(function, address);
    size_t count = 0;
    for (; call != NULL && call->name != 0 && count < room; call++)
        lines[count++] = (struct line){function->names + call->name, call->line};
    if (function->name != NULL && count < room)
        lines[count++] = (struct line){function->name, call != NULL ? call->line : 0};
    return count;
}

/* Lines of the trace, innermost first; how many. */
static size_t collect(struct place place, struct line *lines, size_t room) {
    size_t count = 0;
    for (;;) {
        const struct trace_function *function = function_at(place.address);
        if (function != NULL)
            count += lines_at(function, place.address, lines + count, room - count);
        const uintptr_t *frame = place.frame;
        uintptr_t at = (uintptr_t)frame;
        if (at < sox_stack_limit || at + 2 * sizeof *frame > stack_top || at % 8 != 0) return count;
        const uintptr_t *outer = (const uintptr_t *)frame[0];
        place = (struct place){frame[1], outer};
        if ((uintptr_t)outer <= at) { /* the outermost, or rubbish */
            place.frame = NULL;
        }
    }
}

static int same(const struct line *a, const struct line *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (a[i].name != b[i].name || a[i].line != b[i].line) return 0;
    return 1;
}

static void print_lines(const struct line *lines, size_t count) {
    for (size_t i = 0; i < count; i++)
        dprintf(STDERR_FILENO, "[line %u] in %s\n", lines[i].line, lines[i].name);
}

/* How often the `period` lines at the front repeat behind themselves. */
static size_t repeats(const struct line *lines, size_t count, size_t period) {
    size_t times = 0;
    while ((times + 2) * period <= count && same(lines, lines + (times + 1) * period, period))
        times++;
    return times;
}

static void print_folded(const struct line *lines, size_t count) {
    for (size_t at = 0; at < count;) {
        size_t period = 1, times = 0;
        for (size_t tried = 1; tried <= LONGEST_PERIOD && times < 2; tried++) {
            period = tried;
            times = repeats(lines + at, count - at, tried);
        }
        if (times < 2) {
            print_lines(lines + at++, 1);
            continue;
        }
        print_lines(lines + at, period);
        if (period == 1)
            dprintf(STDERR_FILENO, "... this line %zu more times\n", times);
        else
            dprintf(STDERR_FILENO, "... these %zu lines %zu more times\n", period, times);
        at += period * (times + 1);
    }
}

void print_trace(struct place innermost) {
    size_t size = MOST * sizeof(struct line);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    struct line few[ALL + 1], *lines = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    size_t room = MOST;
    if (lines == MAP_FAILED) {
        lines = few;
        room = ALL;
    }
    size_t count = collect(innermost, lines, room);
    if (count == 0) return;
    dprintf(STDERR_FILENO, "[line %u] in script\n", lines[0].line);
    if (count <= ALL)
        print_lines(lines, count);
    else
        print_folded(lines, count);
    if (lines != few) munmap(lines, size);
}
