#include "kernel.h"
enum { SIZE = 60 };
__attribute__((noinline)) static void fill(int64_t *m, int64_t seed) {
    for (int64_t i = 0; i <= SIZE * SIZE - 1; i++) m[i] = (int64_t)((uint64_t)i * (uint64_t)seed) % 17;
}
__attribute__((noinline)) static void multiply(const int64_t *a, const int64_t *b, int64_t *c) {
    for (int64_t i = 0; i < SIZE; i++)
        for (int64_t j = 0; j < SIZE; j++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < SIZE; k++) sum += (uint64_t)a[i * SIZE + k] * (uint64_t)b[k * SIZE + j];
            c[i * SIZE + j] = (int64_t)sum;
        }
}
static int64_t a[SIZE * SIZE], b[SIZE * SIZE], c[SIZE * SIZE];
int main(void) {
    uint64_t total = 0;
    fill(a, 3);
    fill(b, 5);
    for (int64_t unit = 1; unit <= UNITS; unit++) {
        multiply(a, b, c);
        for (int64_t i = 0; i < SIZE * SIZE; i++) total = total * 31 + (uint64_t)c[i];
    }
    return put((int64_t)total);
}
