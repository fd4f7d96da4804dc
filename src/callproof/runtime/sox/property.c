/* Fields and methods, with the caches of the places that access them. */
#include "runtime.h"

static value bind(value receiver, struct closure *method) {
    struct bound *bound = new_object(BOUND, sizeof *bound);
    bound->receiver = receiver;
    bound->method = method;
    return object_value(BOUND, bound);
}

static _Noreturn void no_property(const struct string *name) {
    sox_error("Undefined property '%.*s'.", (int)name->length, name->bytes);
}

/* Caches that were ever filled; the last one's link is its own address. */
static struct property_cache *caches;

static void fill_cache(struct property_cache *cache, struct shape *shape, uint64_t slot,
                       struct shape *next, struct closure *method) {
    if (cache->link == NULL) {
        cache->link = caches != NULL ? caches : cache;
        caches = cache;
    }
    cache->shape = shape;
    cache->slot = slot;
    cache->next = next;
    cache->method = method;
}

/* A freed shape's memory may become another shape, which no cache may take for the old one.
 * What else a cache refers to lives as long as its shape does. */
void forget_dead_caches(void) {
    for (struct property_cache *cache = caches; cache != NULL;) {
        if (cache->shape != NULL && !gc_is_marked(cache->shape)) cache->shape = NULL;
        cache = cache->link != cache ? cache->link : NULL;
    }
}

value sox_get_property(value object, const struct string *name, struct property_cache *cache) {
    if (object.tag == TABLE) {
        const struct entry *entry = table_find(to_table(object), name);
        return entry != NULL ? entry->content : nil_value();
    }
    if (object.tag != INSTANCE) sox_fail("Only instances and tables have properties.");
    struct instance *instance = to_object(object);
    uint64_t slot;
    if (cache->shape == instance->shape && cache->method != NULL)
        return bind(object, cache->method);
    if (find_slot(instance->shape, name, &slot)) {
        fill_cache(cache, instance->shape, slot, NULL, NULL);
        return instance->fields[slot];
    }
    struct closure *method = find_method(instance->class, name);
    if (method == NULL) no_property(name);
    fill_cache(cache, instance->shape, 0, NULL, method);
    return bind(object, method);
}

/* Gives the instance room for the fields of `next`; later ones have it from the start. */
static void make_room(struct instance *instance, const struct shape *next) {
    enum { MOST_INSIDE = 64 };
    struct values *larger = new_values(next->capacity);
    memcpy(larger->items, instance->fields, instance->shape->count * sizeof(value));
    struct class *class = instance->class;
    if (next->capacity <= MOST_INSIDE && class->root->capacity < next->capacity) {
        struct shape *root = new_object((enum tag)SHAPE, sizeof *root);
        root->class = class;
        root->capacity = next->capacity;
        set_root(class, root);
    }
    instance->fields = larger->items;
}

void sox_set_property(value object, const struct string *name, value content,
                      struct property_cache *cache) {
    if (object.tag == TABLE) {
        table_set(to_table(object), name, content);
        return;
    }
    if (object.tag != INSTANCE) sox_fail("Only instances and tables have fields.");
    struct instance *instance = to_object(object);
    struct shape *shape = instance->shape, *next = shape;
    uint64_t slot;
    if (!find_slot(shape, name, &slot)) {
        next = shape_after(shape, name);
        slot = next->count - 1;
        if (next->capacity != shape->capacity) make_room(instance, next);
    }
    instance->fields[slot] = content;
    instance->shape = next;
    if (next->capacity == shape->capacity) fill_cache(cache, shape, slot, next, NULL);
}

value sox_invoke(const struct string *name, struct property_cache *cache, uint64_t count,
                 value *frame) {
    value receiver = frame[0];
    if (receiver.tag == TABLE) {
        const struct entry *entry = table_find(to_table(receiver), name);
        if (entry == NULL) no_property(name);
        return sox_call(entry->content, count, frame + 1);
    }
    if (receiver.tag != INSTANCE) sox_fail("Only instances and tables have methods.");
    struct instance *instance = to_object(receiver);
    uint64_t slot;
    if (find_slot(instance->shape, name, &slot))
        return sox_call(instance->fields[slot], count, frame + 1);
    struct closure *method = find_method(instance->class, name);
    if (method == NULL) no_property(name);
    check_count(method, count);
    if (count == method->info->maximum) fill_cache(cache, instance->shape, 0, NULL, method);
    return method->spread(method, count + 1, frame);
}

static struct closure *super_method(value class, const struct string *name) {
    struct closure *method = find_method(to_object(class), name);
    if (method == NULL) no_property(name);
    return method;
}

value sox_get_super(value class, value receiver, const struct string *name) {
    return bind(receiver, super_method(class, name));
}

value sox_invoke_super(value class, const struct string *name, uint64_t count, value *frame) {
    struct closure *method = super_method(class, name);
    check_count(method, count);
    return method->spread(method, count + 1, frame);
}
