/* The numbers of sox_layout.py, checked against the structures: name, what it is, number. */
#include "sox.h"

#define SAME(name, what, number) _Static_assert((what) == (number), #name)


/* tags of values; from STRING on also the kinds of objects */
SAME(NIL, NIL, 0);
SAME(BOOL, BOOL, 1);
SAME(NUMBER, NUMBER, 2);
SAME(STRING, STRING, 3);
SAME(CLOSURE, CLOSURE, 4);
SAME(NATIVE, NATIVE, 5);
SAME(CLASS, CLASS, 6);
SAME(INSTANCE, INSTANCE, 7);
SAME(BOUND, BOUND, 8);
SAME(TABLE, TABLE, 9);
SAME(ARRAY, ARRAY, 10);
SAME(RANGE, RANGE, 11);
SAME(ITERATOR, ITERATOR, 12);
SAME(CELL, CELL, 13);
SAME(UNDEFINED, UNDEFINED, 255);

/* values */
SAME(VALUE_SIZE, sizeof(value), 16);
SAME(VALUE_TAG, offsetof(value, tag), 0);
SAME(VALUE_PAYLOAD, offsetof(value, payload), 8);

/* headers */
SAME(HEADER_KIND, offsetof(struct gc_header, kind), 0);
SAME(HEADER_FLAGS, offsetof(struct gc_header, flags), 1);
SAME(HEADER_SIZE, sizeof(struct gc_header), 4);
SAME(STATIC, GC_STATIC, 1);

/* strings */
SAME(STRING_HASH, offsetof(struct string, hash), 4);
SAME(STRING_LENGTH, offsetof(struct string, length), 8);
SAME(STRING_BYTES, offsetof(struct string, bytes), 16);
SAME(STRING_OWNER, offsetof(struct string, owner), 24);
SAME(STRING_SIZE, sizeof(struct string), 32);
SAME(MOST_PIECES, MOST_PIECES, 8);

/* functions */
SAME(INFO_NAME, offsetof(struct function_info, name), 0);
SAME(INFO_MINIMUM, offsetof(struct function_info, minimum), 8);
SAME(INFO_MAXIMUM, offsetof(struct function_info, maximum), 12);
SAME(INFO_FLAGS, offsetof(struct function_info, flags), 16);
SAME(INFO_ENTRY, offsetof(struct function_info, entry), 24);
SAME(INFO_SPREAD, offsetof(struct function_info, spread), 32);
SAME(INFO_SIZE, sizeof(struct function_info), 40);
SAME(FUNCTION_METHOD, FUNCTION_METHOD, 1);
SAME(CLOSURE_COUNT, offsetof(struct closure, count), 4);
SAME(CLOSURE_ENTRY, offsetof(struct closure, entry), 8);
SAME(CLOSURE_SPREAD, offsetof(struct closure, spread), 16);
SAME(CLOSURE_INFO, offsetof(struct closure, info), 24);
SAME(CLOSURE_CAPTURES, offsetof(struct closure, captures), 32);
SAME(NATIVE_FUNCTION, offsetof(struct native, function), 8);
SAME(CELL_SIZE, sizeof(struct cell), 32);
SAME(CELL_CONTENT, offsetof(struct cell, content), 16);
SAME(BOUND_RECEIVER, offsetof(struct bound, receiver), 16);
SAME(BOUND_METHOD, offsetof(struct bound, method), 32);

/* classes and instances */
SAME(CLASS_NAME, offsetof(struct class, name), 8);
SAME(CLASS_SUPERCLASS, offsetof(struct class, superclass), 16);
SAME(CLASS_METHODS, offsetof(struct class, methods), 24);
SAME(CLASS_INITIALIZER, offsetof(struct class, initializer), 32);
SAME(CLASS_ROOT, offsetof(struct class, root), 40);
SAME(CLASS_CELLS, offsetof(struct class, cells), 48);
SAME(SHAPE_CLASS, offsetof(struct shape, class), 8);
SAME(SHAPE_COUNT, offsetof(struct shape, count), 48);
SAME(SHAPE_CAPACITY, offsetof(struct shape, capacity), 56);
SAME(INSTANCE_CLASS, offsetof(struct instance, class), 8);
SAME(INSTANCE_SHAPE, offsetof(struct instance, shape), 16);
SAME(INSTANCE_FIELDS, offsetof(struct instance, fields), 24);
SAME(INSTANCE_INSIDE, offsetof(struct instance, inside), 32);

/* property caches: one per access site, in zeroed writable data */
SAME(CACHE_SHAPE, offsetof(struct property_cache, shape), 0);
SAME(CACHE_SLOT, offsetof(struct property_cache, slot), 8);
SAME(CACHE_NEXT, offsetof(struct property_cache, next), 16);
SAME(CACHE_METHOD, offsetof(struct property_cache, method), 24);
SAME(CACHE_SIZE, sizeof(struct property_cache), 40);

/* containers */
SAME(ARRAY_COUNT, offsetof(struct array, count), 8);
SAME(ARRAY_CAPACITY, offsetof(struct array, capacity), 16);
SAME(ARRAY_ITEMS, offsetof(struct array, items), 24);
SAME(ARRAY_SIZE, sizeof(struct array), 32);
SAME(TABLE_MASK, offsetof(struct table, mask), 4);
SAME(TABLE_COUNT, offsetof(struct table, count), 8);
SAME(TABLE_CAPACITY, offsetof(struct table, capacity), 16);
SAME(TABLE_ENTRIES, offsetof(struct table, entries), 24);
SAME(ENTRY_KEY, offsetof(struct entry, key), 0);
SAME(ENTRY_CONTENT, offsetof(struct entry, content), 8);
SAME(ENTRY_SIZE, sizeof(struct entry), 24);
SAME(RANGE_START, offsetof(struct range, start), 8);
SAME(RANGE_END, offsetof(struct range, end), 16);
SAME(RANGE_STEP, offsetof(struct range, step), 24);

/* the state of a loop over a container */
SAME(ITERATION_CONTAINER, offsetof(struct iteration, container), 0);
SAME(ITERATION_POSITION, offsetof(struct iteration, position), 16);
SAME(ITERATION_FIRST, offsetof(struct iteration, first), 24);
SAME(ITERATION_SECOND, offsetof(struct iteration, second), 40);
SAME(ITERATION_SIZE, sizeof(struct iteration), 72);

/* tables for traces */
SAME(TRACE_CALL_OFFSET, offsetof(struct trace_call, return_offset), 0);
SAME(TRACE_CALL_LINE, offsetof(struct trace_call, line), 4);
SAME(TRACE_CALL_NAME, offsetof(struct trace_call, name), 8);
SAME(TRACE_CALL_SIZE, sizeof(struct trace_call), 12);
SAME(TRACE_FUNCTION_START, offsetof(struct trace_function, start), 0);
SAME(TRACE_FUNCTION_CODE_SIZE, offsetof(struct trace_function, size), 8);
SAME(TRACE_FUNCTION_CALLS, offsetof(struct trace_function, calls), 12);
SAME(TRACE_FUNCTION_NAME, offsetof(struct trace_function, name), 16);
SAME(TRACE_FUNCTION_CALL, offsetof(struct trace_function, call), 24);
SAME(TRACE_FUNCTION_NAMES, offsetof(struct trace_function, names), 32);
SAME(TRACE_FUNCTION_SIZE, sizeof(struct trace_function), 40);

/* the collector's free cells: gc_free[class], class = (bytes + 15) / 16 - 1 up to the limit */
SAME(FREE_NEXT, offsetof(struct gc_cell, next), 8);
SAME(FREE_LIMIT, GC_SMALL_LIMIT, 512);
