/* Tests (section 14) and benchmarks (section 15). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

enum { MOST_ROUNDS = 16, SECOND = 1000000000 };

int in_test;
const struct string *current_benchmark;
static int failures, benchmarks;

static void report(uint64_t count, const value *a) {
    need(count <= 1 && (count == 0 || a->tag == STRING),
         "Test helpers expect a single string message.");
    struct text message = {"test failure", 12};
    if (count == 1) message = (struct text){to_string(*a)->bytes, to_string(*a)->length};
    flush_output();
    dprintf(STDERR_FILENO, "Error: ");
    if (write(STDERR_FILENO, message.bytes, message.length) < 0) _exit(RUNTIME_ERROR);
    dprintf(STDERR_FILENO, "\n");
    failures++;
}

DEFINE_NATIVE(test_error) {
    report(count, a);
    return nil_value();
}

DEFINE_NATIVE(test_fatal) {
    report(count, a);
    sox_exit(1);
}

static void set(struct table *table, const char *name, value content) {
    table_set(table, to_string(c_string_value(name)), content);
}

_Noreturn void sox_run_test(value function) {
    struct table *table = new_table();
    test_context = object_value(TABLE, table);
    set(table, "Error", object_value(NATIVE, &sox_native_test_error));
    set(table, "Fatal", object_value(NATIVE, &sox_native_test_fatal));
    in_test = 1;
    value context = test_context;
    sox_call(function, 1, &context);
    sox_exit(failures > 0);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

/* Nanoseconds that a round of `iterations` takes. */
static uint64_t round_time(value function, const struct string *name, uint32_t iterations) {
    struct table *table = new_table();
    value context = object_value(TABLE, table);
    set(table, "n", number_value(iterations));
    set(table, "N", number_value(iterations));
    set(table, "name", object_value(STRING, name));
    uint64_t began = now();
    sox_call(function, 1, &context);
    return now() - began;
}

/* By what is missing to the target, but at least twice and at most 2^32 - 1. */
static uint32_t next_count(uint32_t iterations, uint64_t took, uint64_t target) {
    double factor = took == 0 ? 10 : (double)target / (double)took;
    double next = iterations * (factor < 2 ? 2 : factor);
    return next >= UINT32_MAX ? UINT32_MAX : (uint32_t)next;
}

static int is_wanted(const struct string *name) {
    const char *filter = getenv("CALLPROOF_BENCH_FILTER");
    if (filter == NULL || *filter == 0) return 1;
    uint64_t length = strlen(filter);
    for (uint64_t at = 0; at + length <= name->length; at++)
        if (memcmp(name->bytes + at, filter, length) == 0) return 1;
    return 0;
}

void sox_run_benchmark(const struct string *name, value function) {
    if (function.tag != CLOSURE || !is_wanted(name)) return;
    benchmarks++;
    const char *wanted = getenv("CALLPROOF_BENCH_TIME");
    double seconds = wanted != NULL ? strtod(wanted, NULL) : 0;
    uint64_t target = seconds > 0 && seconds < 1e6 ? (uint64_t)(seconds * SECOND) : SECOND;
    uint32_t iterations = 1;
    current_benchmark = name;
    uint64_t took = round_time(function, name, iterations);
    for (int round = 1; took < target && round < MOST_ROUNDS; round++) {
        iterations = next_count(iterations, took, target);
        took = round_time(function, name, iterations);
    }
    current_benchmark = NULL;
    char line[128], shown[64];
    int length = (int)(name->length < sizeof shown ? name->length : sizeof shown);
    memcpy(shown, name->bytes, (size_t)length);
    int count = snprintf(line, sizeof line, "%-24.*s %12u %12.2f ns/op\n", length, shown,
                         iterations, (double)took / iterations);
    put_bytes(line, (uint64_t)count);
}

void sox_end_benchmarks(void) {
    if (benchmarks > 0) return;
    put_text("No benchmarks found (functions named Benchmark*)\n");
}
