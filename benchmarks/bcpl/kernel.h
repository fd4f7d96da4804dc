/* The peers' side of a kernel: prints one number as the NewBCPL program does. */
#include <stdint.h>
#include <unistd.h>

/* A kernel's unit is done so many times; instructions are counted for one. */
#ifndef UNITS
#define UNITS 1
#endif

/* The same number, of which the compiler knows nothing: no unit's result serves for all. */
static inline int64_t opaque(int64_t value) {
    __asm__ volatile("" : "+r"(value));
    return value;
}

static int put(int64_t value) {
    char text[24];
    int at = sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    text[--at] = '\n';
    do text[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0) text[--at] = '-';
    return write(1, text + at, sizeof text - (unsigned)at) < 0;
}
