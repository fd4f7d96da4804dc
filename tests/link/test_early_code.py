"""Code that runs before constructors, with musl: `.init` and `.fini`, and what it calls.

glibc's start code chooses indirect functions before all else and runs `.init`; so must ours.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callproof import driver
from callproof.link import LinkOptions

C = r"""
#include <stdarg.h>
extern int printf(const char *, ...);
extern unsigned long getauxval(unsigned long);
static int asked;
static double all(int a, int b, int c, int d, int e, int f, int g, int h,
                  double p, double q, double r, double s, double t, double u, double v, double w) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h
        + p + 2 * q + 3 * r + 4 * s + 5 * t + 6 * u + 7 * v + 8 * w;
}
static int sum(int count, ...) {
    va_list list;
    double total = 0;
    va_start(list, count);
    for (int i = 0; i < count; i++) total += va_arg(list, double) + va_arg(list, int);
    va_end(list);
    return total;
}
void *pick_all(void) { asked += getauxval(6) == 4096 || getauxval(6) >= 4096; return all; }
void *pick_sum(void) { asked += 10; return sum; }
double chosen(int, int, int, int, int, int, int, int,
              double, double, double, double, double, double, double, double)
    __attribute__((ifunc("pick_all")));
int chosen_sum(int, ...) __attribute__((ifunc("pick_sum")));
double early = -1;
int early_sum = -1, ran;
void at_init(void) {
    ran = ran * 10 + 1;
    early_sum = chosen_sum(2, 1.5, 2, 3.5, 4);
    early = chosen(1, 2, 3, 4, 5, 6, 7, 8, .5, .25, 1, 2, 4, 8, 16, 32);
}
void at_fini(void) { printf("the end %d\n", ran); }
__attribute__((constructor)) static void build(void) { ran = ran * 10 + 2; }
#ifdef FRAGMENTS
__asm__(".section .init,\"ax\",%progbits\n" CALL " at_init\n"
        ".section .fini,\"ax\",%progbits\n" CALL " at_fini\n.text");
#endif
double (*volatile address)(int, int, int, int, int, int, int, int,
    double, double, double, double, double, double, double, double) = chosen;
int main(void) {
    printf("%g %d %g %d\n", early, early_sum,
           address(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), chosen_sum(1, 7., 1));
    printf("%d %d\n", ran, asked);
    return 0;
}
"""
PRINTED = b"652 11 72 8\n12 11\nthe end 12\n"
GCC = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
CALL = {"x86_64": "call", "aarch64": "bl"}


def compiled(machine: str, folder: Path, *flags: str) -> Path:
    compiler = GCC[machine]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source, item = folder / "early.c", folder / "early.o"
    source.write_text(C)
    command = [compiler, "-O1", "-fno-stack-protector", f'-DCALL="{CALL[machine]}"', *flags]
    subprocess.run([*command, "-c", str(source), "-o", str(item)], check=True)
    return item


@pytest.mark.parametrize("pie", [False, True])
@pytest.mark.parametrize("machine", GCC)
def test_fragments_run_and_call_what_is_chosen(machine: str, pie: bool, tmp_path: Path) -> None:
    item = compiled(machine, tmp_path, "-DFRAGMENTS", "-fPIE" if pie else "-fno-pic")
    output = tmp_path / "early"
    options = driver.Options(target=f"{machine}-linux")
    driver.link_inputs([item], output, options, choices=LinkOptions(pie=pie))
    done = run_captured(output)
    assert done == PRINTED


def run_captured(path: Path) -> bytes:
    code = "from callproof.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(path)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def test_glibcs_own_start_code_prints_the_same(tmp_path: Path) -> None:
    item = compiled("x86_64", tmp_path, "-DFRAGMENTS", "-fno-pic")
    program = tmp_path / "program"
    done = subprocess.run(["gcc", "-static", str(item), "-o", str(program)], check=False)
    if done.returncode:
        pytest.skip("no static glibc")
    assert subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout == PRINTED


def test_without_fragments_nothing_is_added(tmp_path: Path) -> None:
    item = compiled("x86_64", tmp_path, "-fno-pic")
    output = tmp_path / "early"
    driver.link_inputs([item], output, driver.Options(target="x86_64-linux"))
    assert b".init\0" not in output.read_bytes()
    assert run_captured(output) == b"-1 -1 72 8\n2 11\n"
