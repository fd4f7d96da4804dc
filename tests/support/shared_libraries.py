"""A small shared library and a C program that uses it in every way that a linker must know."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from callproof.driver import Options
from callproof.linked_with import system_libraries
from callproof.run.qemu import SYSTEM_ROOTS
from callproof.source import CallproofError
from tests.support.clang import ZIG_CC

LIBRARY = r"""
/* Nothing of libc: it needs no other library. */
typedef int function(int);
int shared = 5;
extern int also_shared __attribute__((alias("shared")));
const int fixed[4] = {10, 20, 30, 40};
__attribute__((visibility("protected"))) int guarded = 77;
__thread long of_thread = 7;
__thread int other_of_thread[3] = {1, 2, 3};
extern int called_back(int);            /* the program defines it */
int triple(int x) { return 3 * x; }
int old_twice(int x) { return 1000 + 2 * x; }
int new_twice(int x) { return 2 * x; }
__asm__(".symver old_twice, twice@V1\n.symver new_twice, twice@@V2");
function *address_of_triple(void) { return triple; }
int *address_of_shared(void) { return &shared; }
int sum_shared(void) { return shared + also_shared + guarded; }
long *address_of_thread(void) { return &of_thread; }
int call_back(int x) { return called_back(x) + 1; }
int weakly_there(void) { return 11; }
__attribute__((weak)) int interposed(void) { return 1; } /* the program's own counts */
int ask_interposed(void) { return interposed(); }
"""
VERSIONS = "V1 { global: *; }; V2 { } V1;\n"
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
typedef int function(int);
extern int shared;
extern const int fixed[4];
extern int guarded __attribute__((visibility("default")));
extern __thread long of_thread;
extern __thread int other_of_thread[3];
extern int triple(int), twice(int), sum_shared(void), call_back(int), ask_interposed(void);
extern function *address_of_triple(void);
extern int *address_of_shared(void);
extern long *address_of_thread(void);
extern int weakly_there(void) __attribute__((weak));
extern int weakly_absent(void) __attribute__((weak));
extern char **environ;
static int own = 3;
int *pointer_to_own = &own;
function *const functions[] = {triple, twice};
int *const data[] = {&shared, &own, &((int *)fixed)[2]};
_Thread_local int mine[2] __attribute__((aligned(64))) = {21, 22};
static int chosen(void) { return 5; }
__attribute__((used)) int (*resolve(void))(void) { return chosen; }
__asm__(".globl choice\n.type choice, %gnu_indirect_function\n.set choice, resolve");
extern int choice(void);
int called_back(int x) { return x * own; }
int interposed(void) { return 2; }
__attribute__((constructor)) static void begin(void) { puts("begin"); }
__attribute__((destructor)) static void end(void) { puts("end"); }
int main(int count, char **arguments) {
    double (*volatile root)(double) = sqrt;
    shared += 10;
    of_thread += 35;
    printf("%d %d %d\n", triple(4), twice(4), functions[0](5) + functions[1](6));
    printf("%d %d %d\n", shared, *address_of_shared(), sum_shared());
    printf("%d %d\n", address_of_triple() == triple, functions[0] == triple);
    printf("%d %d %d\n", *data[0], *data[1] + *pointer_to_own, *data[2] + fixed[1]);
    printf("%ld %ld %d %d\n", of_thread, *address_of_thread(), other_of_thread[2],
           mine[0] + mine[1] + (int)((unsigned long)mine & 63));
    printf("%d %d %d\n", call_back(7), ask_interposed(), choice());
    printf("%d %d\n", weakly_there ? weakly_there() : -1, weakly_absent ? weakly_absent() : -1);
    printf("%d %d %g\n", environ != 0, getenv("WANTED") != 0 && strlen(arguments[0]) > 0,
           root(count + 15));
    fprintf(stdout, "%d\n", guarded);
    return 3;
}
"""
EXPECTED = """begin
12 8 27
15 15 107
1 1
15 6 50
42 42 3 43
22 2 5
11 -1
1 1 4
77
end
"""


def compiler(machine: str) -> list[str]:
    return [*ZIG_CC[:-1], f"{machine}-linux-gnu.2.31", "-fno-sanitize=all", "-O1"]


def compiled(folder: Path, machine: str, name: str, text: str, *options: str) -> Path:
    source, output = folder / f"{name}.c", folder / f"{name}.o"
    source.write_text(text)
    tool = compiler(machine)
    if "-fno-pic" in options:
        # Zig compiles no such code for glibc.  What the program uses is declared alike in musl.
        tool[tool.index("-target") + 1] = f"{machine}-linux-musl"
    command = [*tool, *options, "-c", str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    return output


def shared_library(
    folder: Path, machine: str, name: str = "demo", text: str = LIBRARY, *options: str
) -> Path:
    """libNAME.so.1, with libNAME.so beside it."""
    item = compiled(folder, machine, name, text, "-fPIC", "-ftls-model=global-dynamic")
    output = folder / f"lib{name}.so.1"
    versions = folder / f"{name}.versions"
    versions.write_text(VERSIONS)
    flags = [f"-Wl,--version-script={versions}", *options]
    command = [*compiler(machine), "-shared", "-nostdlib", f"-Wl,-soname,lib{name}.so.1", *flags]
    subprocess.run([*command, str(item), "-o", str(output)], check=True)
    (folder / f"lib{name}.so").symlink_to(output.name)
    return output


@cache
def why_not(machine: str) -> str:
    """Why programs that use the system's libraries cannot run here; '' if they can."""
    try:
        found = system_libraries(Options(target=f"{machine}-linux"))
    except CallproofError as error:
        return str(error)
    assert found
    if platform.machine() == machine:
        return ""
    if machine != "aarch64" or shutil.which("qemu-aarch64") is None:
        return f"programs for {machine} do not run here"
    loader = SYSTEM_ROOTS[0] / "lib/ld-linux-aarch64.so.1"
    return "" if loader.exists() else f"{loader} is not installed"
