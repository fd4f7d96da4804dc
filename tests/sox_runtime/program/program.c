/* Stands in for compiled code: the first argument chooses what to do with the runtime. */
#include "compiled.h"

value sox_globals[GLOBALS];
const uint64_t sox_global_count = GLOBALS;

static const struct {
    const char *name;
    void (*run)(void);
} CASES[] = {
    {"printing", printing}, {"table_order", table_order}, {"table_churn", table_churn},
    {"operators", operators}, {"calls", calls}, {"classes", classes},
    {"many_fields", many_fields}, {"loops", loops}, {"slices", slices},
    {"appends", appends}, {"survival", survival}, {"stale_caches", stale_caches},
    {"soak", soak}, {"long_list", long_list}, {"exhaust", exhaust},
    {"arguments", argument_list}, {"handlers", handlers}, {"native", run_natives},
    {"property_error", property_error}, {"operator_error", operator_error}, {"trace", trace},
    {"recursion", recursion}, {"testing", testing}, {"benchmark", benchmark},
};

value sox_script(struct closure *self) {
    (void)self;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (argument_count > 1 && strcmp(CASES[i].name, argument_values[1]) == 0) {
            CASES[i].run();
            return nil_value();
        }
    }
    sox_fail("no such case");
}
