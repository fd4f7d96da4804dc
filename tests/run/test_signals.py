"""Faults that the program handles itself, on a stack of its own."""

from __future__ import annotations

from tests.run.programs import build, execute

PROGRAM = r"""
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

static char stack[32768] __attribute__((aligned(16)));
static sigjmp_buf again;
static const char *mode;
static volatile int times;

static void handler(int number, siginfo_t *info, void *given) {
    mcontext_t *machine = &((ucontext_t *)given)->uc_mcontext;
    char here;
    int on_it = &here > stack && &here < stack + sizeof stack;
    if (strcmp(mode, "return") == 0) return;
    if (strcmp(mode, "twice") == 0) *(volatile int *)16 = 1;
    if (strcmp(mode, "jump") == 0 && times++ < 3) siglongjmp(again, 1);
    printf("%d %d %#lx %#lx %d %d\n", number, info->si_code, (unsigned long)info->si_addr,
           (unsigned long)machine->regs[19], machine->fault_address == (uintptr_t)info->si_addr,
           on_it && machine->pc != 0 && machine->sp != 0);
    fflush(stdout);
    _exit(5);
}

int main(int argc, char **argv) {
    mode = argc > 1 ? argv[1] : "";
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = handler;
    if (strcmp(mode, "nowhere") != 0) sigaltstack(&other, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigsetjmp(again, 1);
    __asm__ volatile("mov x19, #0x77\n mov x0, #0x1230\n str x19, [x0]" ::: "x0", "x19", "memory");
    return 1;
}
"""


def ran(mode: str) -> tuple[int, str, str]:
    done = execute(build(PROGRAM, ".c", "-O1", "-fno-sanitize=undefined"), mode)
    return done.status, done.out, done.err


def test_a_handler_gets_the_details() -> None:
    assert ran("print") == (5, "11 1 0x1230 0x77 1 1\n", "")


def test_it_may_leave_by_a_jump() -> None:
    assert ran("jump") == (5, "11 1 0x1230 0x77 1 1\n", "")


def test_a_handler_that_returns_cannot_help() -> None:
    status, out, err = ran("return")
    assert (status, out) == (139, "")
    assert "write at unmapped address 0x1230" in err or "read-only" in err
    assert "main" in err


def test_a_fault_in_the_handler_is_the_end() -> None:
    status, out, err = ran("twice")
    assert (status, out) == (139, "")
    assert "address 0x10" in err
    assert "handler" in err


def test_without_an_alternate_stack_the_fault_is_reported() -> None:
    status, _, err = ran("nowhere")
    assert status == 139
    assert "0x1230" in err
