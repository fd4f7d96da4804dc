#include "kernel.h"
__attribute__((noinline)) static int64_t fib(int64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
int main(void) {
    int64_t total = 0;
    for (int64_t unit = 1; unit <= UNITS; unit++) total += fib(opaque(27));
    return put(total);
}
