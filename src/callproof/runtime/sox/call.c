/* Calling whatever can be called, closures, and deferred calls. */
#include "runtime.h"

value sox_closure(const struct function_info *info, uint64_t count, const value *captures) {
    struct closure *closure =
        gc_allocate_unset(CLOSURE, sizeof *closure + count * sizeof *captures);
    closure->count = (uint32_t)count;
    closure->entry = info->entry;
    closure->spread = info->spread;
    closure->info = info;
    for (uint64_t i = 0; i < count; i++) {
        closure->captures[i] = captures[i];
        __asm__("" : "+r"(i)); /* or Clang makes a call of it */
    }
    return object_value(CLOSURE, closure);
}

void sox_wrong_count(const struct function_info *info, uint64_t count) {
    unsigned long long got = count;
    if (info->minimum == info->maximum)
        sox_error("Expected %u arguments but got %llu.", info->maximum, got);
    sox_error("Expected %u to %u arguments but got %llu.", info->minimum, info->maximum, got);
}

void check_count(const struct closure *closure, uint64_t count) {
    const struct function_info *info = closure->info;
    if (count < info->minimum || count > info->maximum) sox_wrong_count(info, count);
}

/* A method with its instance before the arguments. */
static value call_method(struct closure *method, value receiver, uint64_t count,
                         const value *arguments) {
    check_count(method, count);
    value frame[count + 1];
    frame[0] = receiver;
    for (uint64_t i = 0; i < count; i++) frame[i + 1] = arguments[i];
    return method->spread(method, count + 1, frame);
}

static value construct(struct class *class, uint64_t count, const value *arguments) {
    if (class->initializer == NULL && count != 0)
        sox_error("Expected 0 arguments but got %llu.", (unsigned long long)count);
    value instance = new_instance(class);
    if (class->initializer != NULL) call_method(class->initializer, instance, count, arguments);
    return instance;
}

value sox_call(value callee, uint64_t count, const value *arguments) {
    switch (callee.tag) {
    case CLOSURE: {
        struct closure *closure = to_object(callee);
        check_count(closure, count);
        return closure->spread(closure, count, arguments);
    }
    case NATIVE: return ((struct native *)to_object(callee))->function(count, arguments);
    case CLASS: return construct(to_object(callee), count, arguments);
    case BOUND: {
        struct bound *bound = to_object(callee);
        return call_method(bound->method, bound->receiver, count, arguments);
    }
    default: sox_fail("Can only call functions and classes.");
    }
}

void sox_defer(value *list, value closure) {
    if (list->tag == NIL) *list = object_value(ARRAY, new_array(0));
    array_push(to_array(*list), closure);
}

void sox_run_defers(value *list) {
    if (list->tag == NIL) return;
    struct array *array = to_array(*list);
    while (array->count > 0) {
        value closure = array->items[--array->count];
        sox_call(closure, 0, NULL);
    }
}
