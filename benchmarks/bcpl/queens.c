#include "kernel.h"
static int64_t count, all = 255;
__attribute__((noinline)) static void place(int64_t left, int64_t columns, int64_t right) {
    if (columns == all) {
        count++;
        return;
    }
    int64_t free = all & ~(left | columns | right);
    while (free != 0) {
        int64_t bit = free & (0 - free);
        free -= bit;
        place((int64_t)((uint64_t)(left | bit) << 1), columns | bit, (int64_t)((uint64_t)(right | bit) >> 1));
    }
}
int main(void) {
    __asm__ volatile("" ::: "memory");
    for (int64_t unit = 1; unit <= UNITS; unit++) place(0, 0, 0);
    return put(count);
}
