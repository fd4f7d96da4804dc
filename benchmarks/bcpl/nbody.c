#include "kernel.h"
enum { BODIES = 5, STEPS = 300 };
static double x[] = {0.0, 4.84, 8.34, 12.89, 15.37}, y[] = {0.0, -1.16, 4.12, -15.11, -25.91};
static double vx[] = {0.0, 0.606, -1.01, 1.08, 0.979}, vy[] = {0.0, 2.81, 1.82, 0.868, 0.594};
static double mass[] = {39.47, 0.037, 0.011, 0.0017, 0.002};
__attribute__((noinline)) static void advance(double dt) {
    for (int64_t i = 0; i < BODIES; i++)
        for (int64_t j = i + 1; j < BODIES; j++) {
            double dx = x[i] - x[j], dy = y[i] - y[j];
            double square = dx * dx + dy * dy;
            double magnitude = dt / (square * __builtin_sqrt(square));
            vx[i] = vx[i] - dx * mass[j] * magnitude;
            vy[i] = vy[i] - dy * mass[j] * magnitude;
            vx[j] = vx[j] + dx * mass[i] * magnitude;
            vy[j] = vy[j] + dy * mass[i] * magnitude;
        }
    for (int64_t i = 0; i < BODIES; i++) {
        x[i] = x[i] + dt * vx[i];
        y[i] = y[i] + dt * vy[i];
    }
}
__attribute__((noinline)) static double energy(void) {
    double e = 0.0;
    for (int64_t i = 0; i < BODIES; i++) {
        e = e + 0.5 * mass[i] * (vx[i] * vx[i] + vy[i] * vy[i]);
        for (int64_t j = i + 1; j < BODIES; j++) {
            double dx = x[i] - x[j], dy = y[i] - y[j];
            e = e - mass[i] * mass[j] / __builtin_sqrt(dx * dx + dy * dy);
        }
    }
    return e;
}
int main(void) {
    __asm__ volatile("" ::: "memory");
    for (int64_t i = 1; i <= STEPS * UNITS; i++) advance(0.01);
    return put((int64_t)(energy() * 1000000000.0));
}
