/* The peers' side of a kernel: prints one number as the NewBCPL program does. */
#include <stdint.h>
#include <unistd.h>

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
