#include <stdio.h>
#include <string.h>
#include <stdlib.h>
extern _Thread_local int of_other;                 /* initial-exec or general-dynamic */
static _Thread_local int own = 7, other_own = 8;   /* local-exec or local-dynamic */
_Thread_local char wide[64] __attribute__((aligned(64)));
extern int absent(void) __attribute__((weak));
extern int absent_data __attribute__((weak));
extern _Thread_local int absent_thread __attribute__((weak));
extern int chosen(int);
extern int (*chosen_pointer(void))(int);
extern const char *text_of_other(void);
__attribute__((visibility("hidden"))) extern int hidden_value;
extern int common_one[10];

static char order[16];
static int ordered;
__attribute__((constructor)) static void last(void) { order[ordered++] = 'c'; }
__attribute__((constructor(200))) static void second(void) { order[ordered++] = 'b'; }
__attribute__((constructor(101))) static void first(void) { order[ordered++] = 'a' + chosen(0); }

struct item { const char *name; int value; };
#define ITEM(id, v) static const struct item id __attribute__((section("items"), used)) = {#id, v}
ITEM(one, 1);
ITEM(two, 2);
extern int in_items;
extern const struct item __start_items[], __stop_items[];
extern char __bss_start[], _edata[], _end[], _etext[];

__attribute__((noinline)) int *address_of_own(void) { return &own; }
__attribute__((noinline)) int *address_of_other_own(void) { return &other_own; }

static int on_switch(int x) {
    switch (x) {
    case 0: return 10; case 1: return 25; case 2: return 3; case 3: return 77;
    case 4: return 12; case 5: return 9; case 6: return 31; default: return -1;
    }
}

int main(int argc, char **argv) {
    int sum = 0;
    (void)argv;
    own += of_other;
    of_other += argc;
    printf("tls %d %d %d %d\n", own, of_other, *address_of_own() + *address_of_other_own(),
           (int)((unsigned long)wide % 64));
    printf("weak %d %d %d\n", absent == 0, &absent_data == 0, argc > 9 ? absent_thread : 0);
    printf("ifunc %d %d\n", chosen(4), chosen_pointer() == chosen);
    printf("order %s\n", order);
    for (const struct item *p = __start_items; p < __stop_items; p++) sum += p->value * p->value;
    in_items++;
    printf("items %d %d\n", sum, (int)(__stop_items - __start_items));
    printf("text %s %d\n", text_of_other(), hidden_value + common_one[9] + common_one[0]);
    for (int i = 0; i < 8; i++) sum += on_switch((i + argc) % 9);
    printf("sum %d %d\n", sum, __bss_start <= _end && _edata <= _end && _etext < _end);
    return 5;
}
