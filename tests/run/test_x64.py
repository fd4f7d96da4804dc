"""x86-64 programs in the emulator: Linux, faults, signals, counting."""

from __future__ import annotations

import errno
import io
import os
import platform
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callproof.run import Limits
from callproof.run.linux import TABLE as ARM64_TABLE
from callproof.run.linux import call
from callproof.run.linux_x64 import NUMBERS
from callproof.run.linux_x64 import TABLE as X64_TABLE
from callproof.run.process import ERRNO, Ended
from callproof.run.uapi import X64 as KERNEL
from callproof.source import CallproofError
from tests.run.programs import Ran, assembly, build, c_program, execute, function
from tests.run.test_linux import SLEEPING, WORDS, process

NATIVE = sys.platform == "linux" and platform.machine() == "x86_64"
EXIT = "    mov $60, %eax\n    syscall"


def program(text: str) -> bytes:
    return assembly(text, machine="x86_64")


def start(body: str) -> bytes:
    return program(function("_start", body))


# --- Linux ------------------------------------------------------------------------------------


def test_every_system_call_has_a_number_here_too() -> None:
    assert {row[0] for row in ARM64_TABLE.values()} == set(NUMBERS)
    assert {row[0] for row in X64_TABLE.values()} > set(NUMBERS)


@pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host as the oracle")
@pytest.mark.parametrize(
    "what", ["hello", "files", "memory", "times", "jumps", "deep", "sort", "raise ignored"]
)
def test_the_emulator_does_as_the_host_does(what: str, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    here = execute(c_program("x86_64"), what, path, data=b"some\ninput")
    there = execute(c_program("x86_64"), what, path, data=b"some\ninput", on="native")
    assert (here.out, here.status) == (there.out, there.status)


def test_various_calls() -> None:
    ran = execute(c_program("x86_64"), "various", limits=Limits(stack_bytes=1 << 20))
    assert ran.out.splitlines() == [
        f"Linux x86_64, stack {1 << 20}",
        "random 16",
        "here 1",
        "pipe: ok",
        "poll 0",
        "poll 1",
        "read 2",
        "pids 1",
    ]


OLDER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local int own = 7;

static void tell(const char *what, long result) {
    printf("%s %ld %d\n", what, result < 0 ? -1 : result, result < 0 ? errno : 0);
}

int main(int count, char **arguments) {
    char path[512], other[512], text[64] = "";
    struct stat found;
    long base = 0;
    snprintf(path, sizeof path, "%s/here", arguments[1]);
    snprintf(other, sizeof other, "%s/there", arguments[1]);
    tell("mkdir", syscall(SYS_mkdir, path, 0700));
    tell("again", syscall(SYS_mkdir, path, 0700));
    tell("stat", syscall(SYS_stat, path, &found));
    printf("folder %d links %d size %d time %d\n", S_ISDIR(found.st_mode), found.st_nlink > 0,
           found.st_blksize > 0, found.st_mtime > 1600000000);
    tell("rmdir", syscall(SYS_rmdir, path));
    int file = (int)syscall(SYS_open, path, O_CREAT | O_RDWR | O_EXCL, 0600);
    tell("write", write(file, "hello", 5));
    tell("directory", syscall(SYS_open, path, O_RDONLY | O_DIRECTORY, 0) < 0 ? errno : 0);
    tell("symlink", symlinkat(path, AT_FDCWD, other) < 0 && errno != ENOSYS);
    tell("rename", syscall(SYS_rename, path, other));
    tell("access", syscall(SYS_access, other, R_OK));
    tell("access", syscall(SYS_access, path, R_OK));
    tell("lstat", syscall(SYS_lstat, other, &found));
    printf("size %ld regular %d blocks %d\n", (long)found.st_size, S_ISREG(found.st_mode),
           found.st_blocks >= 0);
    tell("readlink", syscall(SYS_readlink, other, text, sizeof text));
    int ends[2];
    tell("pipe", syscall(SYS_pipe, ends) == 0);
    struct pollfd asked = {.fd = ends[0], .events = POLLIN};
    tell("poll", syscall(SYS_poll, &asked, 1, 0));
    write(ends[1], "x", 1);
    tell("poll", syscall(SYS_poll, &asked, 1, -1));
    tell("dup2", syscall(SYS_dup2, ends[0], ends[0]) == ends[0]);
    tell("dup2", syscall(SYS_dup2, ends[1], 50));
    tell("dup2", syscall(SYS_dup2, 77, 77));
    tell("unlink", syscall(SYS_unlink, other));
    tell("time", syscall(SYS_time, &base) == base && base > 1600000000);
    tell("prctl", syscall(SYS_arch_prctl, 0x1003, &base));
    printf("own %d base %d\n", own, base == *(long *)base);
    tell("prctl", syscall(SYS_arch_prctl, 0x1002, -1L));
    printf("%.3f %Lg %g\n", 2.5, 1e300L * 1e300L, (double)(1.0L / 3));
    return 0;
}
"""


@pytest.mark.skipif(not NATIVE, reason="needs an x86-64 Linux host as the oracle")
def test_calls_that_only_older_architectures_have(tmp_path: Path) -> None:
    """Byte for byte as the kernel's own; but symlinkat, which is not provided."""
    binary = build(OLDER, ".c", "-O1", "-fno-sanitize=undefined", machine="x86_64")
    without = build(
        OLDER.replace('tell("symlink', 'if (0) tell("symlink'),
        ".c",
        "-O1",
        "-fno-sanitize=undefined",
        machine="x86_64",
    )
    here = execute(without, str(tmp_path))
    there = execute(without, str(tmp_path), on="native")
    assert here.out == there.out
    assert here.out.count("\n") == 25
    notes = io.StringIO()
    execute(binary, str(tmp_path), notes=notes)
    assert "system call 266 is not provided" in notes.getvalue()


def test_a_call_leaves_what_the_processor_leaves() -> None:
    """RCX is the next instruction's address and R11 the flags; the rest is kept."""
    body = f"""
    mov $39, %eax
    mov $5, %r10
    stc
    syscall
after:
    lea after(%rip), %rdx
    mov $1, %edi
    cmp %rdx, %rcx
    jne bad
    mov $2, %edi
    test $1, %r11b
    jz bad
    mov $3, %edi
    cmp $5, %r10
    jne bad
    mov $4, %edi
    cmp $1000, %eax
    jne bad
    mov $0, %edi
bad:
{EXIT}"""
    assert execute(start(body)).status == 0


def test_unknown_calls_are_not_provided() -> None:
    ran = execute(start(f"    mov $1999, %eax\n    syscall\n    mov %eax, %edi\n{EXIT}"))
    assert ran.status == -ERRNO["ENOSYS"] & 0xFF
    assert ERRNO["ENOSYS"] == errno.ENOSYS or not NATIVE


WAITING = SLEEPING | {"poll"}


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(sorted(n for n, row in X64_TABLE.items() if row[0] not in WAITING)),
            st.lists(WORDS, min_size=6),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_arguments_make_a_call_fall(
    calls: list[tuple[int, list[int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fuzzed = process()
    fuzzed.kernel = KERNEL
    try:
        for number, arguments in calls:
            result = call(fuzzed, number, arguments, X64_TABLE)
            assert -max(ERRNO.values()) <= result < 1 << 64
    except Ended as ended:
        assert 0 <= ended.status < 256
    finally:
        fuzzed.close()


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("null", 139, "segmentation fault (SIGSEGV): read at unmapped address 0x0"),
        ("overflow", 139, "stack overflow: the stack of 8 MiB is used up"),
        ("constant", 139, "write to read-only memory at 0x"),
        ("wild", 139, "jump to unmapped address 0x123450"),
        ("abort", 134, "aborted (SIGABRT): the program ended itself with SIGABRT"),
        ("trap", 132, "illegal instruction (SIGILL): undefined instruction (0f 0b)"),
    ],
)
def test_faults_have_a_signal_a_status_and_a_report(what: str, status: int, message: str) -> None:
    ran = execute(c_program("x86_64"), what)
    assert ran.status == status
    assert message in ran.err.splitlines()[0]


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("xor %ecx, %ecx\ndiv %ecx", 136, "arithmetic error (SIGFPE): division by zero"),
        ("int3", 133, "the program executed a breakpoint (cc)"),
        ("hlt", 139, "a privileged instruction (HLT"),
        ("mov $1, %edi\nshl $63, %rdi\njmp *%rdi", 139, "to unmapped address 0x8000000000000000"),
        ("lea (%rip), %rax\nbts $52, %rax\nmov (%rax), %eax", 139, "unmapped address 0x1000000100"),
        ("ud2", 132, "undefined instruction (0f 0b)"),
    ],
)
def test_exceptions_of_the_processor(code: str, status: int, message: str) -> None:
    ran = execute(start(f"    nop\n{code}\n"))
    assert ran.status == status
    assert message in ran.err.splitlines()[0]
    assert "called from" not in ran.err


def test_a_fault_names_the_function_and_its_callers() -> None:
    """By frame records, and at a function's entry by the word on top of the stack."""
    text = (
        function("_start", f"    xor %ebp, %ebp\n    call outer\n{EXIT}")
        + function(
            "outer", "    push %rbp\n    mov %rsp, %rbp\n    call inner\n    pop %rbp\n    ret"
        )
        + function("inner", "    xor %eax, %eax\n    mov (%rax), %eax\n    ret")
    )
    lines = execute(program(text)).err.splitlines()
    assert lines[1].startswith("  in inner+0x2, ")
    assert lines[2:] == ["  called from outer+0x4", "  called from _start+0x2"]
    assert "  called from main+" in execute(c_program("x86_64"), "wild").err


SIGNALS = r"""
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

static char stack[32768] __attribute__((aligned(16)));
static sigjmp_buf again;
static const char *mode;
static volatile int times;

static void handler(int number, siginfo_t *info, void *given) {
    greg_t *registers = ((ucontext_t *)given)->uc_mcontext.gregs;
    char here;
    int on_it = &here > stack && &here < stack + sizeof stack;
    if (strcmp(mode, "return") == 0) return;
    if (strcmp(mode, "wild") == 0) _exit(6);
    if (strcmp(mode, "jump") == 0 && times++ < 3) siglongjmp(again, 1);
    printf("%d %d %#lx %#lx %#lx %lld %d\n", number, info->si_code, (unsigned long)info->si_addr,
           (unsigned long)registers[REG_R12], (unsigned long)registers[REG_RAX],
           registers[REG_CR2] - (long long)info->si_addr,
           on_it && registers[REG_RSP] != 0 && (registers[REG_EFL] & 1) &&
           *(unsigned char *)registers[REG_RIP] == 0x4C &&
           ((long)__builtin_frame_address(0) & 15) == 0);
    fflush(stdout);
    _exit(5);
}

int main(int argc, char **argv) {
    mode = argv[1];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = handler;
    sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (strcmp(mode, "wild") == 0) ((void (*)(void))0x123450L)();
    sigsetjmp(again, 1);
    __asm__ volatile("mov $0x77, %%r12d\n mov $0x1230, %%eax\n stc\n mov %%r12, (%%rax)"
                     ::: "rax", "r12", "memory");
    return 1;
}
"""


def signalled(mode: str, on: str = "emulator", *, trace: bool = False) -> Ran:
    flags = ("-O1", "-fno-sanitize=undefined", "-fno-omit-frame-pointer")
    return execute(build(SIGNALS, ".c", *flags, machine="x86_64"), mode, on=on, trace=trace)


@pytest.mark.parametrize("mode", ["print", "jump"])
def test_a_handler_gets_the_details_and_may_leave_by_a_jump(mode: str) -> None:
    ran = signalled(mode)
    assert (ran.status, ran.out, ran.err) == (5, "11 1 0x1230 0x77 0x1230 0 1\n", "")
    if NATIVE:
        assert signalled(mode, "native").out == ran.out


def test_a_handler_that_returns_cannot_help() -> None:
    ran = signalled("return")
    assert (ran.status, ran.out) == (139, "")
    assert "at unmapped address 0x1230" in ran.err
    assert "main" in ran.err


def test_a_handler_is_not_called_by_the_call_that_failed() -> None:
    ran = signalled("wild", trace=True)
    lines = [line.strip() for line in ran.trace.splitlines()]
    assert ran.status == 6
    assert "main(...)" in lines
    assert "handler(...)" not in lines


@pytest.mark.parametrize(
    "code", ["vaddsd %xmm2, %xmm1, %xmm0", "vzeroupper", "andn %rax, %rcx, %rdx"]
)
def test_what_unicorn_gets_wrong_is_refused(code: str) -> None:
    """It takes AVX for SSE, without a word."""
    text = f"    mov $1, %eax\n    jmp on\non:\n    {code}\n{EXIT}"
    with pytest.raises(CallproofError, match=r"in _start\+0x7: an instruction of AVX or BMI \(c"):
        execute(start(text))
    with pytest.raises(CallproofError, match=r"in _start: an instruction of AVX or BMI \(c"):
        execute(start(f"    nop\n    {code}\n{EXIT}"))


# --- counting ---------------------------------------------------------------------------------

LOOP = """
    mov  $1000, %ecx
loop:
    test $1, %cl
    jz   even
    nop
even:
    dec  %ecx
    jnz  loop
    lea  -256(%rsp), %rdi
    mov  $30, %ecx
    xor  %eax, %eax
    rep stosq
    {end}
"""
LOOP_COUNT = 1 + 4 * 1000 + 500 + 3 + 1  # REP STOSQ is one, however often it repeats


def test_instructions_are_counted_exactly() -> None:
    ran = execute(start(LOOP.format(end=f"xor %edi, %edi\n{EXIT}")), count=True)
    assert (ran.status, ran.result.instructions) == (0, LOOP_COUNT + 3)


@pytest.mark.parametrize("end", ["ud2", "nop\nmov (%rax), %eax\nnop\nnop", "nop\njmp *%rax"])
def test_an_instruction_that_faults_does_not_count(end: str) -> None:
    ran = execute(start(LOOP.format(end=end)), count=True)
    completed = {"u": 0, "m": 1, "j": 2}[end.replace("nop\n", "")[0]]
    assert ran.result.instructions == LOOP_COUNT + completed


# --- where ------------------------------------------------------------------------------------


def test_places() -> None:
    with pytest.raises(CallproofError, match=r"--on qemu: that is for AArch64"):
        execute(c_program("x86_64"), "hello", on="qemu")
    with pytest.raises(CallproofError, match="need the emulator"):
        execute(c_program("x86_64"), "hello", on="native", trace=True)
    default = execute(c_program("x86_64"), "hello", on=None)
    assert default.result.on == ("native" if NATIVE else "emulator")
    assert os.fspath(default.result.on)
