/* Errors from each kind of place. */
#include "compiled.h"

void property_error(void) {
    static struct property_cache cache;
    value shape = call1(shape_class(), number(1)), frame[] = {shape, number(2)};
    value table_frame[] = {sox_table(), number(2)}, number_frame[] = {number(1)};
    switch (atoi(argument_values[2])) {
    case 0: sox_get_property(shape, &NAME_Y, &cache); break;
    case 1: sox_get_property(number(1), &NAME_Y, &cache); break;
    case 2: sox_set_property(text("s"), &NAME_Y, number(1), &cache); break;
    case 3: sox_invoke(&NAME_Y, &cache, 0, frame); break;
    case 4: sox_invoke(&NAME_Y, &cache, 0, table_frame); break;
    case 5: sox_invoke(&NAME_Y, &cache, 0, number_frame); break;
    case 6: sox_invoke(&NAME_AREA, &cache, 1, frame); break;
    case 7: call0(number(4)); break;
    case 8: call0(shape_class()); break;
    case 9: call1(sox_class(&NAME_SHAPE), number(1)); break;
    case 10: call0(closure_of(&ADD)); break;
    case 11: call0(closure_of(&ANONYMOUS)); break;
    case 12: sox_subclass(&NAME_SQUARE, number(1)); break;
    case 13: sox_invoke_super(shape_class(), &NAME_Y, 0, frame); break;
    case 14: sox_get_undefined(&NAME_X);
    case 15: sox_assert_failed((value){UNDEFINED, 0});
    case 16: sox_assert_failed(text("why"));
    case 17: sox_assert_failed(number(1));
    case 18: sox_require_array(sox_table()); break;
    case 19: sox_fail("Circular import detected: 'p'");
    default: sox_error("no case %s", argument_values[2]);
    }
}

void operator_error(void) {
    value a = parse(argument_values[3]), b = parse(argument_values[4]);
    value c = parse(argument_values[5]);
    struct iteration state;
    switch (argument_values[2][0]) {
    case '+': sox_add(a, b); break;
    case '-': sox_subtract(a, b); break;
    case '*': sox_multiply(a, b); break;
    case '/': sox_divide(a, b); break;
    case '%': sox_remainder(a, b); break;
    case '~': sox_negate(a); break;
    case '<': sox_less(a, b); break;
    case '[': sox_index(a, b); break;
    case '=': sox_set_index(a, b, c); break;
    case ':': sox_slice(a, b, c); break;
    case 'i': sox_iterate(&state, a); break;
    case 'r': sox_range(a, b, c); break;
    default: sox_error("no operator %s", argument_values[2]);
    }
    sox_print(text("no error"));
}
