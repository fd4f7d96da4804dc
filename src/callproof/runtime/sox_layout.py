"""Numbers that compiled Sox code shares with the runtime: tags, offsets and sizes in bytes.

`sox/layout.c` asserts the same rows against the structures of `sox/sox.h`, which says what
each field means; a test compares the two files row by row.
"""

from __future__ import annotations

from typing import Final

# tags of values; from STRING on also the kinds of objects
NIL: Final = 0
BOOL: Final = 1
NUMBER: Final = 2
STRING: Final = 3
CLOSURE: Final = 4
NATIVE: Final = 5
CLASS: Final = 6
INSTANCE: Final = 7
BOUND: Final = 8
TABLE: Final = 9
ARRAY: Final = 10
RANGE: Final = 11
ITERATOR: Final = 12
CELL: Final = 13
UNDEFINED: Final = 255

# values
VALUE_SIZE: Final = 16
VALUE_TAG: Final = 0
VALUE_PAYLOAD: Final = 8

# headers
HEADER_KIND: Final = 0
HEADER_FLAGS: Final = 1
HEADER_SIZE: Final = 4
STATIC: Final = 1

# strings
STRING_HASH: Final = 4
STRING_LENGTH: Final = 8
STRING_BYTES: Final = 16
STRING_OWNER: Final = 24
STRING_SIZE: Final = 32
MOST_PIECES: Final = 8  # of one call of sox_concatenate

# functions
INFO_NAME: Final = 0
INFO_MINIMUM: Final = 8
INFO_MAXIMUM: Final = 12
INFO_FLAGS: Final = 16
INFO_ENTRY: Final = 24
INFO_SPREAD: Final = 32
INFO_SIZE: Final = 40
FUNCTION_METHOD: Final = 1
CLOSURE_COUNT: Final = 4
CLOSURE_ENTRY: Final = 8
CLOSURE_SPREAD: Final = 16
CLOSURE_INFO: Final = 24
CLOSURE_CAPTURES: Final = 32
NATIVE_FUNCTION: Final = 8
CELL_SIZE: Final = 32
CELL_CONTENT: Final = 16
BOUND_RECEIVER: Final = 16
BOUND_METHOD: Final = 32

# classes and instances
CLASS_NAME: Final = 8
CLASS_SUPERCLASS: Final = 16
CLASS_METHODS: Final = 24
CLASS_INITIALIZER: Final = 32
CLASS_ROOT: Final = 40
CLASS_CELLS: Final = 48
SHAPE_CLASS: Final = 8
SHAPE_COUNT: Final = 48
SHAPE_CAPACITY: Final = 56
INSTANCE_CLASS: Final = 8
INSTANCE_SHAPE: Final = 16
INSTANCE_FIELDS: Final = 24
INSTANCE_INSIDE: Final = 32

# property caches: one per access site, in zeroed writable data
CACHE_SHAPE: Final = 0
CACHE_SLOT: Final = 8
CACHE_NEXT: Final = 16
CACHE_METHOD: Final = 24
CACHE_SIZE: Final = 40

# containers
ARRAY_COUNT: Final = 8
ARRAY_CAPACITY: Final = 16
ARRAY_ITEMS: Final = 24
ARRAY_SIZE: Final = 32
TABLE_MASK: Final = 4
TABLE_COUNT: Final = 8
TABLE_CAPACITY: Final = 16
TABLE_ENTRIES: Final = 24
ENTRY_KEY: Final = 0
ENTRY_CONTENT: Final = 8
ENTRY_SIZE: Final = 24
RANGE_START: Final = 8
RANGE_END: Final = 16
RANGE_STEP: Final = 24

# the state of a loop over a container
ITERATION_CONTAINER: Final = 0
ITERATION_POSITION: Final = 16
ITERATION_FIRST: Final = 24
ITERATION_SECOND: Final = 40
ITERATION_SIZE: Final = 72

# tables for traces
TRACE_CALL_OFFSET: Final = 0
TRACE_CALL_LINE: Final = 4
TRACE_CALL_NAME: Final = 8
TRACE_CALL_SIZE: Final = 12
TRACE_FUNCTION_START: Final = 0
TRACE_FUNCTION_CODE_SIZE: Final = 8
TRACE_FUNCTION_CALLS: Final = 12
TRACE_FUNCTION_NAME: Final = 16
TRACE_FUNCTION_CALL: Final = 24
TRACE_FUNCTION_NAMES: Final = 32
TRACE_FUNCTION_SIZE: Final = 40

# the collector's free cells: gc_free[class], class = (bytes + 15) / 16 - 1 up to the limit
FREE_NEXT: Final = 8
FREE_LIMIT: Final = 512
