/* The rest of the library, and the start of a program. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bcpl.h"

int main(void) {
    bcpl_start();
    bcpl_finish();
}

void bcpl_finish(void) { bcpl_exit(0); }

void bcpl_exit(word status) {
    bcpl_flush();
    _exit((int)status);
}

void bcpl_fatal(const char *message) {
    static const char prefix[] = "callproof: ";
    bcpl_flush();
    if (write(STDERR_FILENO, prefix, sizeof prefix - 1) < 0 ||
        write(STDERR_FILENO, message, strlen(message)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(71);
    _exit(70);
}

/* The next byte of standard input, -1 at its end. */
word bcpl_rdch(void) {
    static unsigned char input[4096];
    static ssize_t size, at;
    if (at == size) {
        bcpl_flush();
        size = read(STDIN_FILENO, input, sizeof input);
        at = 0;
        if (size <= 0) {
            size = 0;
            return -1;
        }
    }
    return input[at++];
}

word bcpl_strlen(const character *text) {
    word length = 0;
    if (text != NULL)
        while (text[length] != 0) length++;
    return length;
}

word bcpl_strcmp(const character *a, const character *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return (word)(*a > *b) - (word)(*a < *b);
}

character *bcpl_strcopy(character *to, const character *from) {
    character *start = to;
    while ((*to++ = *from++) != 0) continue;
    return start;
}

word bcpl_abs(word value) { return value < 0 ? (word)(0 - (uint64_t)value) : value; }

/* xorshift64*: the seed is CALLPROOF_SEED where it is set, else the time. */
static uint64_t random_bits(void) {
    static uint64_t state;
    if (state == 0) {
        const char *seed = getenv("CALLPROOF_SEED");
        struct timespec now = {0};
        if (seed == NULL) clock_gettime(CLOCK_REALTIME, &now);
        uint64_t from = seed != NULL ? strtoull(seed, NULL, 10)
                                     : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        state = from * 0x9E3779B97F4A7C15u | 1;
    }
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
}

word bcpl_rand(word maximum) {
    return maximum <= 0 ? 0 : (word)(random_bits() % ((uint64_t)maximum + 1));
}

double bcpl_frnd(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

double bcpl_rnd(word maximum) { return bcpl_frnd() * (double)maximum; }

double bcpl_fsin(double x) { return sin(x); }
double bcpl_fcos(double x) { return cos(x); }
double bcpl_ftan(double x) { return tan(x); }
double bcpl_flog(double x) { return log(x); }
double bcpl_fexp(double x) { return exp(x); }
