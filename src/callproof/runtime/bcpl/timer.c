/* Time, in nanoseconds of a clock that only goes forward. */
#include <time.h>

#include "bcpl.h"

word bcpl_timer_start(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (word)now.tv_sec * 1000000000 + now.tv_nsec;
}

word bcpl_timer_end(word start) { return bcpl_timer_start() - start; }

/* As milliseconds with three decimals. */
void bcpl_timer_display(word nanoseconds) {
    word micros = nanoseconds / 1000;
    bcpl_writen(micros / 1000);
    bcpl_put_byte('.');
    for (word unit = 100; unit > 0; unit /= 10)
        bcpl_put_byte((char)('0' + (micros < 0 ? -micros : micros) / unit % 10));
    bcpl_put_bytes(" ms\n", 4);
}

void bcpl_sleep(word milliseconds) {
    if (milliseconds <= 0) return;
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    bcpl_flush();
    while (nanosleep(&left, &left) != 0) continue;
}
