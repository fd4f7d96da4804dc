#include <string.h>

#include "kernel.h"
static int64_t composite[50002];
__attribute__((noinline)) static int64_t sieve(int64_t limit) {
    int64_t count = 0;
    for (int64_t i = 2; i <= limit; i++)
        if (composite[i] == 0) {
            count++;
            for (int64_t j = i + i; j <= limit; j += i) composite[j] = 1;
        }
    return count;
}
int main(void) {
    int64_t total = 0;
    for (int64_t unit = 1; unit <= UNITS; unit++) {
        if (unit > 1) memset(composite, 0, sizeof composite);
        total += sieve(opaque(50000));
    }
    return put(total);
}
