/* Arithmetic on whole vectors of words, doubles and packs (reference, section 10). */
#include <string.h>

#include "bcpl.h"

enum { ADD, SUB, MUL, DIV, MIN, MAX };              /* as in lower_packs.py */
enum { WORDS, DOUBLES, PAIRS, FPAIRS, QUADS, OCTS, FQUADS, FOCTS }; /* as in value_types.py */

/* What one element consists of; `is_boxed` if it is the address of its lanes. */
static const struct kind {
    int lanes, bits, is_float, is_boxed;
} kinds[] = {
    [WORDS] = {1, 64, 0, 0},  [DOUBLES] = {1, 64, 1, 0}, [PAIRS] = {2, 32, 0, 0},
    [FPAIRS] = {2, 32, 1, 0}, [QUADS] = {4, 16, 0, 0},   [OCTS] = {8, 8, 0, 0},
    [FQUADS] = {4, 32, 1, 1}, [FOCTS] = {8, 32, 1, 1},
};

static word integers(word operation, word a, word b) {
    switch (operation) {
    case ADD: return (word)((uint64_t)a + (uint64_t)b);
    case SUB: return (word)((uint64_t)a - (uint64_t)b);
    case MUL: return (word)((uint64_t)a * (uint64_t)b);
    case DIV: return b == 0 ? 0 : b == -1 ? (word)(0 - (uint64_t)a) : a / b;
    case MIN: return a < b ? a : b;
    default: return a > b ? a : b;
    }
}

#define FLOATS(name, type)                                \
    static type name(word operation, type a, type b) {    \
        switch (operation) {                              \
        case ADD: return a + b;                           \
        case SUB: return a - b;                           \
        case MUL: return a * b;                           \
        case DIV: return a / b;                           \
        case MIN: return a < b ? a : b;                   \
        default: return a > b ? a : b;                    \
        }                                                 \
    }
FLOATS(doubles, double)
FLOATS(singles, float)

/* The lanes of one element in memory, from where they can be read. */
static const char *lanes_of(const struct kind *kind, const word *element) {
    static const word zeros[4];
    if (!kind->is_boxed) return (const char *)element;
    return (const char *)(*element != 0 ? (const word *)*element : zeros);
}

/* One lane combined with another; all of `bits` bits at these addresses. */
static void combine(const struct kind *kind, word operation, const char *a, const char *b,
                    char *to) {
    size_t size = (size_t)kind->bits / 8;
    if (kind->is_float && kind->bits == 64) {
        double x, y;
        memcpy(&x, a, size);
        memcpy(&y, b, size);
        x = doubles(operation, x, y);
        memcpy(to, &x, size);
    } else if (kind->is_float) {
        float x, y;
        memcpy(&x, a, size);
        memcpy(&y, b, size);
        x = singles(operation, x, y);
        memcpy(to, &x, size);
    } else {
        uint64_t x = 0, y = 0;
        int unused = 64 - kind->bits;
        memcpy(&x, a, size); /* little-endian */
        memcpy(&y, b, size);
        word first = (word)(x << unused) >> unused, second = (word)(y << unused) >> unused;
        word result = integers(operation, first, second);
        memcpy(to, &result, size);
    }
}

/* One element combined with another, lane by lane. */
static word elements(const struct kind *kind, word operation, const word *a, const word *b) {
    word result = 0;
    const char *x = lanes_of(kind, a), *y = lanes_of(kind, b);
    char *to = (char *)&result;
    if (kind->is_boxed) {
        to = (char *)bcpl_getvec(kind->lanes * kind->bits / 64);
        result = (word)(intptr_t)to;
    }
    for (int lane = 0; lane < kind->lanes; lane++) {
        size_t at = (size_t)lane * (size_t)kind->bits / 8;
        combine(kind, operation, x + at, y + at, to + at);
    }
    return result;
}

/* A new vector, element by element, as long as the shorter one. */
word *bcpl_vectors(word operation, word kind, const word *a, const word *b) {
    if (a == NULL || b == NULL) return NULL;
    word length = a[-1] < b[-1] ? a[-1] : b[-1];
    word *result = bcpl_getvec(length);
    for (word i = 0; i < length; i++) result[i] = elements(&kinds[kind], operation, a + i, b + i);
    return result;
}

/* All elements combined; 0 of an empty vector. */
word bcpl_reduce(word operation, word kind, const word *vector) {
    if (vector == NULL || vector[-1] <= 0) return 0;
    word result = vector[0];
    for (word i = 1; i < vector[-1]; i++)
        result = elements(&kinds[kind], operation, &result, vector + i);
    return result;
}

/* The lanes of one element combined into one number: a word, or a double's bits. */
static word lanes_reduced(const struct kind *kind, word operation, const word *element) {
    const char *lanes = lanes_of(kind, element);
    size_t size = (size_t)kind->bits / 8;
    if (kind->is_float) {
        float value;
        double result;
        memcpy(&value, lanes, size);
        result = value;
        for (int lane = 1; lane < kind->lanes; lane++) {
            memcpy(&value, lanes + size * (size_t)lane, size);
            result = doubles(operation, result, value);
        }
        word bits;
        memcpy(&bits, &result, sizeof bits);
        return bits;
    }
    word result = 0;
    for (int lane = 0; lane < kind->lanes; lane++) {
        uint64_t bits = 0;
        memcpy(&bits, lanes + size * (size_t)lane, size);
        word value = (word)(bits << (64 - kind->bits)) >> (64 - kind->bits);
        result = lane == 0 ? value : integers(operation, result, value);
    }
    return result;
}

/* How many results `pairwise` has for a vector. */
static word results(const struct kind *kind, const word *vector) {
    if (vector == NULL) return 0;
    return kind->lanes == 1 ? vector[-1] / 2 : vector[-1];
}

static word *add_pairs(const struct kind *kind, word operation, const word *vector, word *to) {
    word count = results(kind, vector);
    for (word i = 0; i < count; i++)
        *to++ = kind->lanes == 1
                    ? elements(kind, operation, vector + 2 * i, vector + 2 * i + 1)
                    : lanes_reduced(kind, operation, vector + i);
    return to;
}

/* Neighbours combined: of a vector of words half as many, of one of packs one for each pack;
 * those of `b`, if it is not NULL, behind those of `a`. */
word *bcpl_pairwise(word operation, word kind, const word *a, const word *b) {
    const struct kind *what = &kinds[kind];
    word *result = bcpl_getvec(results(what, a) + results(what, b));
    add_pairs(what, operation, b, add_pairs(what, operation, a, result));
    return result;
}
