/* Tests and benchmarks. */
#include "compiled.h"

static value test_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    STATIC_STRING(NAME_ERROR, "Error");
    STATIC_STRING(NAME_FATAL, "Fatal");
    static struct property_cache cache;
    value frame[] = {a[0], text("it broke"), number(2)};
    switch (argument_values[2][0]) {
    case 'p': break;
    case 'e':
        sox_invoke(&NAME_ERROR, &cache, 1, frame);
        sox_invoke(&NAME_ERROR, &cache, 0, frame);
        break;
    case 'f': sox_invoke(&NAME_FATAL, &cache, 1, frame); break;
    case 'a': sox_assert_failed(text("not so"));
    case 'w': sox_invoke(&NAME_ERROR, &cache, 2, frame); break;
    }
    sox_print(text("end of test"));
    return nil_value();
}
static const struct function_info TEST = {"test", 1, 1, 0, 0, (void *)test_spread, test_spread};

void testing(void) { sox_run_test(closure_of(&TEST)); }

static value bench_spread(struct closure *self, uint64_t count, const value *a) {
    (void)self; (void)count;
    if (argument_count > 2) sox_fail("broken");
    STATIC_STRING(NAME_N, "n");
    static struct property_cache cache;
    double n = to_number(sox_get_property(a[0], &NAME_N, &cache));
    for (double i = 0; i < n; i++) sox_table();
    return nil_value();
}
static const struct function_info BENCH = {"b", 1, 1, 0, 0, (void *)bench_spread, bench_spread};

void benchmark(void) {
    STATIC_STRING(NAME_BENCH, "BenchmarkTable");
    sox_run_benchmark(&NAME_BENCH, closure_of(&BENCH));
    sox_end_benchmarks();
}
