/* Loops over containers.  An array is looked at anew at each step; of a table those keys are
 * visited that it had at the beginning and still has. */
#include "runtime.h"

value sox_range(value start, value end, value step) {
    need(start.tag == NUMBER && end.tag == NUMBER && step.tag == NUMBER,
         "range(): parameters must be numbers");
    need(to_number(step) != 0, "range(): step cannot be zero");
    struct range *range = new_object(RANGE, sizeof *range);
    range->start = to_number(start);
    range->end = to_number(end);
    range->step = to_number(step);
    return object_value(RANGE, range);
}

void sox_iterate(struct iteration *state, value container) {
    *state = (struct iteration){.container = container};
    switch (container.tag) {
    case TABLE: state->keys = table_keys(to_table(container)); break;
    case ARRAY: case STRING: case RANGE: break;
    default: sox_fail("Get Iterator expects a container.");
    }
}

static int next_key(struct iteration *state) {
    const struct array *keys = to_array(state->keys);
    while (state->position < keys->count) {
        value key = keys->items[state->position++];
        const struct entry *entry = table_find(to_table(state->container), to_string(key));
        if (entry == NULL) continue; /* deleted by the loop */
        state->first = key;
        state->second = entry->content;
        return 1;
    }
    return 0;
}

static int next_number(const struct range *range, uint64_t position, value *to) {
    double x = range->start + (double)position * range->step;
    if (range->step > 0 ? !(x < range->end) : !(x > range->end)) return 0;
    *to = number_value(x);
    return 1;
}

/* An element of what has positions; 0 behind the last. */
static int element_at(value container, uint64_t position, value *to) {
    switch (container.tag) {
    case ARRAY: {
        const struct array *array = to_array(container);
        if (position >= array->count) return 0;
        *to = array->items[position];
        return 1;
    }
    case STRING: {
        const struct string *string = to_string(container);
        if (position >= string->length) return 0;
        *to = byte_value((unsigned char)string->bytes[position]);
        return 1;
    }
    default: return next_number(to_object(container), position, to);
    }
}

uint64_t sox_next_pair(struct iteration *state) {
    if (state->container.tag == TABLE) return (uint64_t)next_key(state);
    if (!element_at(state->container, state->position, &state->second)) return 0;
    state->first = number_value((double)state->position++);
    return 1;
}

uint64_t sox_next_value(struct iteration *state) {
    if (state->container.tag == TABLE) return (uint64_t)next_key(state);
    if (!element_at(state->container, state->position, &state->first)) return 0;
    state->position++;
    return 1;
}
