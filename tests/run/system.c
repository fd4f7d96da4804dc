/* What a program may want of Linux, one thing a run: `system THING [ARGUMENT]`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static volatile int sink;

__attribute__((noinline)) int read_through(volatile int *pointer) { return *pointer + sink; }

__attribute__((noinline)) int middle(volatile int *pointer) { return read_through(pointer) + 1; }

__attribute__((noinline)) int endless(int n) {
    volatile char room[4000];
    room[n % 4000] = (char)n;
    return endless(n + 1) + room[0];
}

__attribute__((noinline)) int deep(int n) {
    volatile int here = n;
    return n ? deep(n - 1) + here - here + 1 : 0;
}

static void shown(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

static void files(const char *path) {
    char line[32];
    struct stat found;
    FILE *file = fopen(path, "w");
    fprintf(file, "first\nsecond\n");
    fclose(file);
    shown("stat", stat(path, &found));
    printf("size %ld regular %d\n", (long)found.st_size, S_ISREG(found.st_mode) != 0);
    file = fopen(path, "r+");
    fseek(file, 6, SEEK_SET);
    printf("%s", fgets(line, sizeof line, file));
    fseek(file, 0, SEEK_END);
    printf("at %ld\n", ftell(file));
    fclose(file);
    int descriptor = open(path, O_RDONLY);
    char a[3], b[4];
    struct iovec pieces[2] = {{a, 3}, {b, 4}};
    printf("readv %zd %.3s %.2s\n", readv(descriptor, pieces, 2), a, b);
    char *view = mmap(0, 4096, PROT_READ, MAP_PRIVATE, descriptor, 0);
    printf("mapped %.5s\n", view);
    shown("close", close(descriptor));
    shown("close again", close(descriptor));
    char other[256];
    snprintf(other, sizeof other, "%s.new", path);
    shown("rename", rename(path, other));
    shown("unlink", unlink(other));
    shown("unlink again", unlink(other));
    shown("open missing", open("/nowhere/at/all", O_RDONLY));
    shown("directory as a file", open("/", O_WRONLY));
}

static void memory(void) {
    size_t size = 100u << 20;
    char *block = malloc(size);
    memset(block, 7, size);
    int right = block[size - 1] == 7;
    char *more = realloc(block, size + (50u << 20));
    right &= more != 0 && more[size - 1] == 7;
    free(more);
    unsigned sum = 0;
    char *kept[600];
    for (int i = 0; i < 600; i++) {
        kept[i] = malloc(150000 + 1000 * i);
        for (int j = 0; j < 150000; j += 4096) sum += (unsigned char)kept[i][j] * 0u;
        memset(kept[i], i, 150000);
    }
    for (int i = 0; i < 600; i++) right &= kept[i][149999] == (char)i;
    for (int i = 0; i < 600; i++) free(kept[i]);
    char *zero = calloc(1, 300000);
    for (int i = 0; i < 300000; i++) right &= zero[i] == 0;
    char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shown("mprotect", mprotect(page, 4096, PROT_READ));
    shown("munmap", munmap(page, 8192));
    char *volatile huge = malloc((size_t)1 << 45);
    shown("too much", huge ? 0 : -1);
    printf("right %d\n", right);
}

static void times(void) {
    struct timespec before, after, wait = {0, 2000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&wait, 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t passed = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    printf("slept %d, now %d\n", passed >= 2000000, time(0) > 1600000000);
    shown("bad clock", clock_gettime(99, &before));
}

static void errors(void) {
    shown("write from nowhere", write(1, (void *)8, 4));
    shown("read to nowhere", read(0, (void *)8, 4));
    shown("bad descriptor", write(77, "x", 1));
    shown("seek a pipe", lseek(1, 0, SEEK_SET));
    shown("unknown call", syscall(1999));
    shown("unmap unaligned", munmap((void *)12345, 1));
    shown("terminal", isatty(1) ? 0 : -1);
    shown("thread", syscall(SYS_clone, 0, 0, 0, 0, 0));
}

static void various(void) {
    struct utsname name;
    struct rlimit limit;
    unsigned char random[16];
    char here[4096];
    int ends[2];
    uname(&name);
    getrlimit(RLIMIT_STACK, &limit);
    printf("%s %s, stack %ld\n", name.sysname, name.machine, (long)limit.rlim_cur);
    printf("random %zd\n", getrandom(random, 16, 0));
    printf("here %d\n", getcwd(here, sizeof here) == here);
    shown("pipe", pipe(ends));
    struct pollfd waiting = {ends[0], POLLIN, 0};
    printf("poll %d\n", poll(&waiting, 1, 0));
    write(ends[1], "ab", 2);
    printf("poll %d\n", poll(&waiting, 1, -1));
    printf("read %zd\n", read(ends[0], here, 10));
    printf("pids %d\n", getpid() == gettid() && getpid() > 0);
}

static jmp_buf back;

__attribute__((noinline)) void jump(int n) {
    if (n) jump(n - 1);
    longjmp(back, 5);
}

static void jumps(void) {
    volatile int round = 0;
    int came = setjmp(back);
    printf("round %d came %d\n", round, came);
    if (round++ < 3) jump(round);
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    if (!strcmp(what, "hello")) {
        printf("hello %d %.3f %s\n", count, 3.14159, count > 2 ? arguments[2] : "-");
        fprintf(stderr, "to stderr\n");
        return 7;
    }
    if (!strcmp(what, "environment")) puts(getenv("ANSWER") ? getenv("ANSWER") : "unset");
    if (!strcmp(what, "files")) files(arguments[2]);
    if (!strcmp(what, "memory")) memory();
    if (!strcmp(what, "times")) times();
    if (!strcmp(what, "errors")) errors();
    if (!strcmp(what, "various")) various();
    if (!strcmp(what, "jumps")) jumps();
    if (!strcmp(what, "deep")) printf("%d\n", deep(40000));
    if (!strcmp(what, "abort")) abort();
    if (!strcmp(what, "null")) return middle((volatile int *)(intptr_t)sink) + 1;
    if (!strcmp(what, "overflow")) return endless(0);
    if (!strcmp(what, "constant")) *(volatile char *)(intptr_t)"constant" = 'x';
    if (!strcmp(what, "wild")) ((void (*)(void))(intptr_t)0x123450)();
    if (!strcmp(what, "trap")) __builtin_trap();
    if (!strcmp(what, "kill")) kill(getpid(), SIGTERM);
    if (!strcmp(what, "raise ignored")) { signal(SIGTERM, SIG_IGN); raise(SIGTERM); puts("alive"); }
    if (!strcmp(what, "stale")) {
        volatile int *page = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *page = 1;
        munmap((void *)page, 4096);
        return *page;
    }
    if (!strcmp(what, "forever")) for (;;) sink++;
    if (!strcmp(what, "cat")) for (int c; (c = getchar()) != EOF;) putchar(c);
    if (!strcmp(what, "sort")) {
        int numbers[] = {5, 3, 9, 1, 7};
        qsort(numbers, 5, sizeof *numbers, compare);
        for (int i = 0; i < 5; i++) printf("%d ", numbers[i]);
        puts("");
    }
    return 0;
}
