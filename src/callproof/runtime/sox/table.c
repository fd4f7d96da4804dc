/* Tables from strings to values: open addressing, linear probing.  The hash, the growth and
 * the order of re-insertion are the reference implementation's, as printing shows them. */
#include "runtime.h"

enum { FIRST_CAPACITY = 8 };

/* What a table has before its first entry: `struct entries` with one that stays empty. */
static const struct {
    struct gc_header header;
    uint32_t spare;
    uint64_t capacity;
    struct entry item;
} nothing = {{ENTRIES, GC_STATIC, 0}, 0, 1, {NULL, {NIL, 0}}};
_Static_assert(offsetof(struct entries, items) == 16, "and `nothing` looks the same");

struct table *new_table(void) {
    struct table *table = gc_small_unset(TABLE, sizeof *table);
    table->mask = 0;
    table->count = table->capacity = 0;
    table->entries = (struct entry *)&nothing.item;
    return table;
}

value sox_table(void) { return object_value(TABLE, new_table()); }

static struct entry *new_entries(uint64_t capacity) {
    if (capacity > (uint64_t)1 << 31) out_of_memory();
    struct entries *entries =
        gc_allocate(ENTRIES, sizeof *entries + capacity * sizeof(struct entry));
    entries->capacity = capacity;
    return entries->items;
}

/* The key's entry, or the empty one where it would be; there always is an empty one. */
static inline struct entry *probe(struct entry *entries, uint64_t mask, const struct string *key) {
    uint32_t hash = string_hash(key);
    for (uint64_t at = hash;; at++) {
        struct entry *entry = &entries[at & mask];
        const struct string *there = entry->key; /* its hash is known */
        if (there == NULL || there == key) return entry;
        if (there->hash == hash && same_string(there, key)) return entry;
    }
}

struct entry *table_find(const struct table *table, const struct string *key) {
    struct entry *entry = probe(table->entries, table->mask, key);
    return entry->key != NULL ? entry : NULL;
}

static void grow(struct table *table) {
    uint64_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
    struct entry *larger = new_entries(capacity);
    for (uint64_t i = 0; i < table->capacity; i++) {
        const struct entry *entry = &table->entries[i];
        if (entry->key != NULL) *probe(larger, capacity - 1, entry->key) = *entry;
    }
    table->entries = larger;
    table->capacity = capacity;
    table->mask = (uint32_t)(capacity - 1);
}

/* Like the reference, it grows before it looks whether the key is there already. */
void table_set(struct table *table, const struct string *key, value content) {
    if ((table->count + 1) * 4 > table->capacity * 3) grow(table);
    struct entry *entry = probe(table->entries, table->mask, key);
    if (entry->key == NULL) {
        entry->key = (struct string *)key;
        table->count++;
    }
    entry->content = content;
}

/* Entries behind the hole move up where their probing passed it: no trace is left. */
int table_delete(struct table *table, const struct string *key) {
    struct entry *entry = table_find(table, key);
    if (entry == NULL) return 0;
    uint64_t mask = table->mask, hole = (uint64_t)(entry - table->entries), at = hole;
    for (;;) {
        at = (at + 1) & mask;
        const struct entry *next = &table->entries[at];
        if (next->key == NULL) break;
        uint64_t distance = (at - string_hash(next->key)) & mask;
        if (distance >= ((at - hole) & mask)) {
            table->entries[hole] = *next;
            hole = at;
        }
    }
    table->entries[hole] = (struct entry){NULL, {NIL, 0}};
    table->count--;
    return 1;
}

value table_keys(const struct table *table) {
    struct array *keys = new_array(table->count);
    for (uint64_t i = 0; i < table->capacity; i++) {
        struct string *key = table->entries[i].key;
        if (key != NULL) array_push(keys, object_value(STRING, key));
    }
    return object_value(ARRAY, keys);
}

void table_copy(struct table *to, const struct table *from) {
    if (from->capacity == 0) return;
    struct entry *entries = new_entries(from->capacity);
    memcpy(entries, from->entries, from->capacity * sizeof *entries);
    to->entries = entries;
    to->capacity = from->capacity;
    to->mask = from->mask;
    to->count = from->count;
}

value sox_table_literal(uint64_t count, const value *pairs) {
    struct table *table = new_table();
    for (uint64_t i = 0; i < count; i++)
        table_set(table, to_string(pairs[2 * i]), pairs[2 * i + 1]);
    return object_value(TABLE, table);
}
