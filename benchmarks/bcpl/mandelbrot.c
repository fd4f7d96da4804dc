#include "kernel.h"
/* As the language does it: lanes are floats, and a lane that is read is a double. */
struct fpair { float first, second; };
enum { WIDTH = 40, HEIGHT = 24, LIMIT = 60 };
__attribute__((noinline)) static int64_t steps(struct fpair c) {
    struct fpair z = {0, 0};
    for (int64_t n = 0; n < LIMIT; n++) {
        struct fpair s = {z.first * z.first, z.second * z.second};
        if ((double)s.first + (double)s.second > 4.0) return n;
        struct fpair t = {(float)((double)s.first - (double)s.second),
                          (float)(2.0 * (double)z.first * (double)z.second)};
        z = (struct fpair){t.first + c.first, t.second + c.second};
    }
    return LIMIT;
}
int main(void) {
    uint64_t total = 0;
    for (int64_t unit = 1; unit <= UNITS; unit++)
        for (int64_t row = 0; row < HEIGHT; row++)
            for (int64_t column = 0; column < WIDTH; column++) {
                struct fpair c = {(float)((double)column / 16.0 - 2.0), (float)((double)row / 8.0 - 1.5)};
                total = total * 3 + (uint64_t)steps(c);
            }
    return put((int64_t)total);
}
