/* `print`: every type as section 4 of the language reference shows it. */
#include <stdio.h>

#include "runtime.h"

enum { PRINTING = 0x80 }; /* a flag of arrays and tables that are just being printed */

static void put_value(value v);

static void put_number(double x) {
    char text[NUMBER_TEXT];
    put_bytes(text, (uint64_t)number_text(text, x, 6));
}

static void put_string(const struct string *string) { put_bytes(string->bytes, string->length); }

static void put_named(const char *before, const struct string *name, const char *after) {
    put_text(before);
    put_string(name);
    put_text(after);
}

static void put_function(const struct function_info *info) {
    put_text("<fn ");
    put_text(info->name);
    put_text(">");
}

/* An array may hold itself: then it is shown by dots the second time. */
static void put_array(struct array *array) {
    if (array->header.flags & PRINTING) {
        put_text("[...]");
        return;
    }
    array->header.flags |= PRINTING;
    put_text("[");
    for (uint64_t i = 0; i < array->count; i++) {
        if (i > 0) put_text(",");
        put_value(array->items[i]);
    }
    put_text("]");
    array->header.flags &= (uint8_t)~PRINTING;
}

static void put_table(struct table *table) {
    if (table->header.flags & PRINTING) {
        put_text("<table>{...}");
        return;
    }
    table->header.flags |= PRINTING;
    put_text("<table>{");
    const char *separator = "{\"";
    for (uint64_t i = 0; i < table->capacity; i++) {
        const struct entry *entry = &table->entries[i];
        if (entry->key == NULL) continue;
        put_text(separator);
        put_string(entry->key);
        put_text("\":\"");
        put_value(entry->content);
        put_text("\"}");
        separator = ",{\"";
    }
    put_text("}");
    table->header.flags &= (uint8_t)~PRINTING;
}

static void put_range(const struct range *range) {
    put_text("range(");
    put_number(range->start);
    put_text(", ");
    put_number(range->end);
    put_text(", ");
    put_number(range->step);
    put_text(")");
}

static void put_value(value v) {
    switch (v.tag) {
    case NIL: put_text("nil"); break;
    case BOOL: put_text(v.payload ? "true" : "false"); break;
    case NUMBER: put_number(to_number(v)); break;
    case STRING: put_string(to_string(v)); break;
    case CLOSURE: put_function(((struct closure *)to_object(v))->info); break;
    case NATIVE: put_text("<native fn>"); break;
    case CLASS: put_named("<class: ", ((struct class *)to_object(v))->name, ">"); break;
    case INSTANCE:
        put_named("<instance: ", ((struct instance *)to_object(v))->class->name, "> ");
        break;
    case BOUND: put_function(((struct bound *)to_object(v))->method->info); break;
    case TABLE: put_table(to_object(v)); break;
    case ARRAY: put_array(to_object(v)); break;
    case RANGE: put_range(to_object(v)); break;
    case ITERATOR: put_text("<iterator>"); break;
    default: put_text("<undefined>"); break;
    }
}

void sox_print(value v) {
    if (suppress_print) return;
    put_value(v);
    end_line();
}
