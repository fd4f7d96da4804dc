/* C functions that tests/bcpl/test_external.py calls from NewBCPL. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Twelve arguments of mixed kinds: integers and floats beyond their eight registers each,
 * narrow ones on the stack among them. */
double mixed(int8_t a, float b, uint8_t c, double d, int16_t e, const char *f, uint16_t g,
             int32_t h, uint32_t i, int64_t j, int8_t k, uint16_t l, float m, _Bool n) {
    printf("%d %g %u %g %d %s %u %d %u %lld %d %u %g %d\n", a, b, c, d, e, f, g, h, i,
           (long long)j, k, l, m, n);
    return a + b + c + d + e + (double)strlen(f) + g + h + i + (double)j + k + l + m + n;
}

float floats(float a, double b, float c, double d, float e, double f, float g, double h, float i,
             double j, float k) {
    return (float)(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j +
                   11 * k);
}

int8_t as_char(int8_t x) { return x; }
uint8_t as_byte(uint8_t x) { return x; }
int16_t as_short(int16_t x) { return x; }
uint16_t as_ushort(uint16_t x) { return x; }
int32_t as_int(int32_t x) { return x; }
uint32_t as_uint(uint32_t x) { return x; }
_Bool is_odd(_Bool flag, int x) { return flag && x % 2 != 0; }

/* The result's register holds rubbish beyond the type's bits: the caller must not look. */
__attribute__((naked)) int8_t dirty_char(void) {
    __asm__("movz x0, #0x1280\n movk x0, #0xdead, lsl #16\n ret");
}
__attribute__((naked)) _Bool dirty_bool(void) { __asm__("movz x0, #0xff01\n ret"); }

/* Calls back with more arguments than registers; its own values live across the calls. */
typedef int64_t visit(int64_t, double, const char *, int64_t, int64_t, int64_t, int64_t, int64_t,
                      int64_t, int64_t, int64_t);
int64_t each(int64_t count, visit *function, double scale) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += function(i, (double)i * scale, "from C", 3, 4, 5, 6, 7, 8, 9, 10 + i);
    return sum;
}

int64_t sum_words(int count, ...) {
    va_list list;
    int64_t sum = 0;
    va_start(list, count);
    for (int i = 0; i < count; i++) sum += va_arg(list, int64_t);
    va_end(list);
    return sum;
}

double sum_alternating(const char *kinds, ...) {
    va_list list;
    double sum = 0;
    va_start(list, kinds);
    for (; *kinds != 0; kinds++) {
        if (*kinds == 'i') sum += (double)va_arg(list, int64_t);
        if (*kinds == 'd') sum += va_arg(list, double);
        if (*kinds == 's') sum += (double)strlen(va_arg(list, const char *));
    }
    va_end(list);
    return sum;
}
