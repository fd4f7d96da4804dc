/* Classes, their instances, and the shapes of these: which field is in which slot. */
#include "runtime.h"

enum { FIRST_CAPACITY = 4 };

static struct class *new_class(const struct string *name, uint64_t capacity) {
    struct class *class = new_object(CLASS, sizeof *class);
    class->name = name;
    class->methods = new_table();
    struct shape *root = new_object((enum tag)SHAPE, sizeof *root);
    root->class = class;
    root->capacity = capacity;
    set_root(class, root);
    return class;
}

static uint64_t instance_size(const struct shape *shape) {
    return sizeof(struct instance) + shape->capacity * sizeof(value);
}

/* Compiled code takes cells off the class's list itself. */
void set_root(struct class *class, struct shape *root) {
    static struct gc_cell *none;
    uint64_t size = instance_size(root);
    class->root = root;
    class->cells = size <= GC_SMALL_LIMIT ? &gc_free[gc_small_class(size)] : &none;
}

value sox_class(const struct string *name) {
    return object_value(CLASS, new_class(name, FIRST_CAPACITY));
}

/* The methods are copied: what the superclass gets later does not matter. */
value sox_subclass(const struct string *name, value superclass) {
    if (superclass.tag != CLASS) sox_fail("Superclass must be a class.");
    struct class *from = to_object(superclass);
    struct class *class = new_class(name, from->root->capacity);
    class->superclass = from;
    class->initializer = from->initializer;
    table_copy(class->methods, from->methods);
    return object_value(CLASS, class);
}

void sox_method(value class, const struct string *name, value method) {
    struct class *to = to_object(class);
    table_set(to->methods, name, method);
    if (name->length == 4 && memcmp(name->bytes, "init", 4) == 0)
        to->initializer = to_object(method);
}

struct closure *find_method(const struct class *class, const struct string *name) {
    const struct entry *entry = table_find(class->methods, name);
    return entry != NULL ? to_object(entry->content) : NULL;
}

/* What is in the fields does not matter: the shape has none. */
value new_instance(struct class *class) {
    struct shape *root = class->root;
    struct instance *instance = gc_allocate_unset(INSTANCE, instance_size(root));
    instance->class = class;
    instance->fields = instance->inside;
    instance->shape = root;
    return object_value(INSTANCE, instance);
}

uint64_t sox_new_instance(struct class *class) { return new_instance(class).payload; }

int find_slot(const struct shape *shape, const struct string *name, uint64_t *slot) {
    for (; shape->parent != NULL; shape = shape->parent) {
        if (same_string(shape->name, name)) {
            *slot = shape->count - 1;
            return 1;
        }
    }
    return 0;
}

/* The shape with one field more; the same one each time. */
struct shape *shape_after(struct shape *shape, const struct string *name) {
    for (struct shape *child = shape->children; child != NULL; child = child->sibling)
        if (same_string(child->name, name)) return child;
    struct shape *child = new_object((enum tag)SHAPE, sizeof *child);
    child->class = shape->class;
    child->parent = shape;
    child->name = name;
    child->count = shape->count + 1;
    child->capacity = child->count <= shape->capacity ? shape->capacity : shape->capacity * 2;
    child->sibling = shape->children;
    shape->children = child;
    return child;
}
