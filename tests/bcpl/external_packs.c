/* C functions with vectors that tests/bcpl/test_external_packs.py calls from NewBCPL. */
#include <arm_neon.h>
#include <stdint.h>
#include <stdio.h>

#define EACH(name, type, count, vector)                            \
    static void show_##name(vector v) {                            \
        type lanes[count];                                         \
        __builtin_memcpy(lanes, &v, sizeof v);                     \
        for (int i = 0; i < count; i++) printf("%g ", (double)lanes[i]); \
        printf("; ");                                              \
    }
EACH(pair, int32_t, 2, int32x2_t)
EACH(fpair, float, 2, float32x2_t)
EACH(quad, int16_t, 4, int16x4_t)
EACH(oct, int8_t, 8, int8x8_t)
EACH(fquad, float, 4, float32x4_t)
EACH(foct, float, 8, float32x4x2_t)

int32x2_t pair_in_c(int32x2_t a, int32x2_t b) { return a * b + 1; }
float32x2_t fpair_in_c(float32x2_t a, float32x2_t b) { return a / b; }
int16x4_t quad_in_c(int16x4_t a, int16x4_t b) { return a - b; }
int8x8_t oct_in_c(int8x8_t a, int8x8_t b) { return a + b; }
float32x4_t fquad_in_c(float32x4_t a, float32x4_t b) { return a * b; }
float32x4x2_t foct_in_c(float32x4x2_t a, float32x4x2_t b) {
    return (float32x4x2_t){{a.val[0] + b.val[1], a.val[1] - b.val[0]}};
}

/* Eleven vectors among numbers: V0-V7 are used up at `g`; the pair of quads `h` needs two. */
float32x4_t many(int64_t n, int32x2_t a, double x, float32x4_t b, int8x8_t c, float32x2_t d,
                 int16x4_t e, float y, float32x4x2_t h, float32x2_t i, int32x2_t j,
                 float32x4_t k, int8_t m, int8x8_t l) {
    printf("%lld %g %g %d: ", (long long)n, x, (double)y, m);
    show_pair(a), show_fquad(b), show_oct(c), show_fpair(d), show_quad(e), show_foct(h);
    show_fpair(i), show_pair(j), show_fquad(k), show_oct(l);
    printf("\n");
    return b + k + h.val[0];
}

/* Calls back with vectors in all registers and on the stack; its own live across the calls. */
typedef float32x4_t visit(int64_t, float32x4_t, int32x2_t, double, float32x4x2_t, int16x4_t,
                          float32x2_t, int8x8_t, float32x4_t, int32x2_t, float32x4x2_t);
float32x4_t each(int64_t count, visit *function, float32x4_t start) {
    float32x4_t sum = start;
    for (int64_t i = 0; i < count; i++) {
        float f = (float)i;
        float32x4x2_t o = {{{f, 1, 2, 3}, {4, 5, 6, 7}}}, p = {{{0, 0, 0, 0}, {1, 2, 4, 8}}};
        sum += function(i, sum, (int32x2_t){(int)i, -5}, 0.5, o, (int16x4_t){1, 2, 3, -4},
                        (float32x2_t){1.5f, f}, (int8x8_t){1, 2, 3, 4, 5, 6, 7, -8},
                        (float32x4_t){9, 8, 7, f}, (int32x2_t){70000, -70000}, p);
    }
    show_fquad(sum);
    printf("\n");
    return sum;
}

typedef float32x4x2_t turn(float32x4x2_t);
float32x4x2_t twice(turn *function, float32x4x2_t v) { return function(function(v)); }
