#include "kernel.h"
struct text { int64_t length; int32_t characters[44]; };
static struct text fox = {43, {0}};
__attribute__((noinline)) static int64_t hash(const struct text *s) {
    uint64_t h = 5381;
    for (int64_t i = 0; i <= s->length - 1; i++) h = ((h * 33) ^ (uint64_t)s->characters[i]) & 0xFFFFFFFFu;
    return (int64_t)h;
}
int main(void) {
    const char *letters = "the quick brown fox jumps over the lazy dog";
    for (int i = 0; i < 43; i++) fox.characters[i] = letters[i];
    uint64_t total = 0;
    for (int64_t i = 1; i <= 2000 * UNITS; i++) {
        __asm__ volatile("" ::: "memory");
        total += (uint64_t)hash(&fox) + (uint64_t)i;
    }
    return put((int64_t)total);
}
