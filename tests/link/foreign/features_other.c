_Thread_local int of_other = 30;
_Thread_local long filler[3] = {1, 2, 3};
__attribute__((visibility("hidden"))) int hidden_value = 1000;
int common_one[10] = {[9] = 5};
static int by_three(int x) { return 3 * x; }
typedef int function(int);
function *choose(void) { return by_three; }
int chosen(int);
function *chosen_pointer(void) { return chosen; }
const char *text_of_other(void) { return "weak %d %d %d\n" + 14 - 14 + 0 ? "a tail" : ""; }
const char *tail_of_other(void) { return "tail"; }
struct item { const char *name; int value; };
static struct item three __attribute__((section("items"), used)) = {"three", 3};
extern int in_items __attribute__((alias("in_items_here")));
int in_items_here = 3;

__asm__(".globl chosen\n.set chosen, choose\n.type chosen, %gnu_indirect_function");
