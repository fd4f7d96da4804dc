/* What the collector asks the system for: how much memory there is, where the stack begins. */
#if defined(__APPLE__)
#include <pthread.h>
#include <sys/sysctl.h>
#else
#define _GNU_SOURCE
#include <sys/auxv.h>
#include <sys/sysinfo.h>
#endif

#include "gc.h"

#if defined(__APPLE__)
size_t gc_machine_memory(void) {
    uint64_t bytes = 0;
    size_t size = sizeof bytes;
    return sysctlbyname("hw.memsize", &bytes, &size, NULL, 0) == 0 ? (size_t)bytes : 0;
}

void *gc_stack_top(void) { return pthread_get_stackaddr_np(pthread_self()); }
#else
size_t gc_machine_memory(void) {
    struct sysinfo machine = {0};
    if (sysinfo(&machine) != 0) return 0;
    return (size_t)machine.totalram * (machine.mem_unit ? machine.mem_unit : 1);
}

/* The random bytes that the system gives to a program lie above all of its frames. */
void *gc_stack_top(void) { return (void *)getauxval(AT_RANDOM); }
#endif
