"""Functions in x86-64 assembly (AT&T), and what is wrong in them: rule, severity, registers."""

from __future__ import annotations

from callproof.run.functions import FunctionRecord, Place, ValueRecord

Wanted = tuple[str, str, str]  # rule, severity, register

CASES: dict[str, tuple[str, list[Wanted]]] = {
    # --- nothing is wrong ---------------------------------------------------------------
    "leaf": ("lea (%rdi,%rsi), %rax\nret", []),
    "frame": (
        "push %rbp\nmov %rsp, %rbp\npush %rbx\nsub $8, %rsp\nmov %rdi, %rbx\ncall outside\n"
        "add %rbx, %rax\nadd $8, %rsp\npop %rbx\npop %rbp\nret",
        [],
    ),
    "moved_save": (  # in another register, and in a slot by RBP
        "push %rbp\nmov %rsp, %rbp\nsub $16, %rsp\nmov %rbx, -8(%rbp)\nmov %r12, %rcx\n"
        "mov %rcx, (%rsp)\nmov %rdi, %rbx\nmov %rdi, %r12\ncall outside\nmov (%rsp), %rdx\n"
        "mov %rdx, %r12\nmov -8(%rbp), %rbx\nmov %rbp, %rsp\npop %rbp\nret",
        [],
    ),
    "rounded": (
        "push %rbp\nmov %rsp, %rbp\npush %rbx\nsub $40, %rsp\nand $-32, %rsp\nmov %rdi, 8(%rsp)\n"
        "mov 8(%rsp), %rbx\ncall outside\nmov 8(%rsp), %rax\nlea -8(%rbp), %rsp\npop %rbx\n"
        "pop %rbp\nret",
        [],
    ),
    "tail": ("push %rbx\nmov %rdi, %rbx\ncall outside\nmov %rbx, %rdi\npop %rbx\njmp outside", []),
    "in_a_loop": (
        "push %rbx\nmov %rdi, %rbx\n1: call outside\nsub $1, %rbx\njne 1b\npop %rbx\nret",
        [],
    ),
    "two_exits": (
        "push %rbx\ntest %rdi, %rdi\nje 1f\nmov %rdi, %rbx\ncall outside\npop %rbx\nret\n"
        "1: xor %eax, %eax\npop %rbx\nret",
        [],
    ),
    "dead_spill": ("push %rax\ncall outside\nmov %rcx, (%rsp)\npop %rdx\nret", []),
    "cleared": ("push %rax\ncall outside\nxor %ecx, %ecx\nmov %rcx, %rax\npop %rdx\nret", []),
    "aborts": ("push %rax\nmov %rdi, %rbx\ncall abort", []),
    "results": ("push %rax\ncall outside\nadd %rdx, %rax\naddsd %xmm1, %xmm0\npop %rdx\nret", []),
    # --- CS1 --------------------------------------------------------------------------------
    "never_saved": ("mov %rdi, %rbx\nmov %rbx, %rax\nret", [("CS1", "error", "rbx")]),
    "no_restore": ("push %rbx\nmov %rdi, %rbx\npop %rcx\nret", [("CS1", "error", "rbx")]),
    "save_changed": (
        "push %rbx\nmov %rdi, %rbx\naddq $1, (%rsp)\npop %rbx\nret",
        [("CS1", "error", "rbx")],
    ),
    "left_and_changed": (
        "push %rax\ncall outside\nmov %rcx, (%rsp)\naddq $1, (%rsp)\npop %rdx\nret",
        [("CR1", "error", "rcx")],
    ),
    "changed_in_place": (
        "push %rbx\nsub $16, %rsp\nmovq $5, (%rsp)\nmov %rdi, %rbx\naddq %rbx, (%rsp)\n"
        "call outside\naddq $300, (%rsp)\nmov (%rsp), %rax\nadd $16, %rsp\npop %rbx\nret",
        [],
    ),
    "saved_late": ("mov %rdi, %r12\npush %r12\npop %r12\nret", [("CS1", "error", "r12")]),
    "exchanged": (
        "push %r12\npush %r13\nmov %rdi, %r12\nmov %rdi, %r13\npop %r12\npop %r13\nret",
        [("CS1", "error", "r12"), ("CS1", "error", "r13")],
    ),
    "one_path": (
        "test %rdi, %rdi\nje 1f\npush %rbx\nmov %rdi, %rbx\npop %rbx\nret\n1: mov %rdi, %rbx\nret",
        [("CS1", "error", "rbx")],
    ),
    "joined_paths": (
        "push %rbx\ntest %rdi, %rdi\nje 1f\nmov %rdi, %rbx\n1: add $8, %rsp\nret",
        [("CS1", "error", "rbx")],
    ),
    "slot_overwritten": (
        "push %r14\nmov %rdi, %r14\nmovl $1, 4(%rsp)\npop %r14\nret",
        [("CS1", "error", "r14")],
    ),
    "half_restored": (
        "push %r15\nmov %rdi, %r15\nmov (%rsp), %r15d\nadd $8, %rsp\nret",
        [("CS1", "error", "r15")],
    ),
    "lost_before_a_tail_call": (
        "mov %rdi, %r13\nmov %r13, %rdi\njmp outside",
        [("CS1", "error", "r13")],
    ),
    "saved_below_the_stack": (
        "mov %rbx, -16(%rsp)\nsub $8, %rsp\nmov %rdi, %rbx\nsub $16, %rsp\nadd $16, %rsp\n"
        "call outside\nadd $8, %rsp\nmov -16(%rsp), %rbx\nret",
        [("CS1", "error", "rbx")],
    ),
    # --- CR1 --------------------------------------------------------------------------------
    "after_a_call": (
        "push %rbx\nmov %rdi, %rcx\ncall outside\nadd %rcx, %rax\npop %rbx\nret",
        [("CR1", "error", "rcx")],
    ),
    "copied_first": (
        "push %rbx\nmov %rdi, %r9\ncall outside\nmov %r9, %r8\nadd %r8, %rax\npop %rbx\nret",
        [("CR1", "error", "r8")],
    ),
    "spilled_late": (
        "sub $24, %rsp\nmov %rdi, %rsi\ncall outside\nmov %rsi, 8(%rsp)\nadd 8(%rsp), %rax\n"
        "add $24, %rsp\nret",
        [("CR1", "error", "rsi")],
    ),
    "float": (
        "push %rax\nmovaps %xmm0, %xmm5\ncall outside\naddsd %xmm5, %xmm0\npop %rax\nret",
        [("CR1", "error", "xmm5")],
    ),
    "flags": (
        "push %rax\ncmp %rsi, %rdi\ncall outside\npop %rdx\nje 1f\nxor %eax, %eax\n1: ret",
        [("CR1", "error", "flags")],
    ),
    "address": (
        "push %rax\nmov %rdi, %r10\ncall outside\nmov (%r10), %rax\npop %rdx\nret",
        [("CR1", "error", "r10")],
    ),
    "stored": (
        "push %rbx\nmov %rdi, %rbx\nmov $7, %ecx\ncall outside\nmov %rcx, (%rbx)\npop %rbx\nret",
        [("CR1", "error", "rcx")],
    ),
    "on_one_path": (  # the same value also comes without the call: it was meant to survive
        "push %rbx\nmov %rdi, %rcx\ntest %rsi, %rsi\nje 1f\ncall outside\n"
        "1: lea 1(%rcx), %rax\npop %rbx\nret",
        [("CR1", "error", "rcx")],
    ),
    "perhaps": (  # another value comes along on the path without the call
        "push %rbx\nmov %rdi, %rcx\ntest %rsi, %rsi\nje 1f\ncall outside\njmp 2f\n"
        "1: mov $3, %ecx\n2: lea 1(%rcx), %rax\npop %rbx\nret",
        [("CR1", "warning", "rcx")],
    ),
    "next_round": (
        "push %rbx\nmov %rdi, %rbx\nmov %rsi, %r8\n1: sub %r8, %rbx\nje 2f\ncall outside\njmp 1b\n"
        "2: pop %rbx\nret",
        [("CR1", "error", "r8")],
    ),
    # --- SP1 --------------------------------------------------------------------------------
    "not_popped": (
        "push %rbx\nsub $16, %rsp\nadd $8, %rsp\nmov %rdi, %rax\nret",
        [("SP1", "error", "rsp")],
    ),
    "popped_too_often": ("pop %rcx\nmov %rdi, %rax\nret", [("SP1", "error", "rsp")]),
    "misaligned": ("call outside\nret", [("SP1", "error", "rsp")]),
    "misaligned_frame": (
        "push %rbp\nmov %rsp, %rbp\nsub $24, %rsp\ncall outside\nmov %rbp, %rsp\npop %rbp\nret",
        [("SP1", "error", "rsp")],
    ),
    "misrounded": (
        "push %rbp\nmov %rsp, %rbp\nand $-32, %rsp\npush %rax\ncall outside\nmov %rbp, %rsp\n"
        "pop %rbp\nret",
        [("SP1", "error", "rsp")],
    ),
    "adrift": (
        "test %rdi, %rdi\nje 1f\npush %rdi\n1: ret",
        [("SP1", "error", "rsp")],
    ),
    "pushes_in_a_loop": (
        "1: push %rdi\nsub $1, %rdi\njne 1b\nret",
        [("SP1", "error", "rsp")],
    ),
    "tail_with_a_frame": ("push %rax\njmp outside", [("SP1", "error", "rsp")]),
    # --- LR1 --------------------------------------------------------------------------------
    "return_address": (
        "sub $8, %rsp\nmov %rdi, 8(%rsp)\nadd $8, %rsp\nret",
        [("LR1", "error", "")],
    ),
    "return_address_in_part": (
        "sub $24, %rsp\nmovups %xmm0, 16(%rsp)\nadd $24, %rsp\nret",
        [("LR1", "error", "")],
    ),
    # --- AR1: functions with records ----------------------------------------------------------
    "takes_two": ("lea (%rdi,%rsi), %rax\nret", []),
    "gives_two": ("push %rax\nmov $1, %edi\nmov $2, %esi\ncall takes_two\npop %rcx\nret", []),
    "passes_on": ("push %rax\nmov %rdi, %rsi\ncall takes_two\npop %rcx\nret", []),
    "gives_one": (
        "push %rax\nmov $1, %edi\ncall takes_two\npop %rcx\nret",
        [("AR1", "error", "rsi")],
    ),
    "gives_what_is_left": (
        "push %rbx\nmov $2, %esi\ncall outside\nmov $1, %edi\ncall takes_two\npop %rbx\nret",
        [("AR1", "error", "rsi")],
    ),
    "tail_without": ("mov $1, %esi\njmp takes_two", [("AR1", "error", "rdi")]),
    "nothing_comes_back": (
        "push %rax\ncall gives_nothing\nadd $1, %rax\npop %rcx\nret",
        [("CR1", "error", "rax")],
    ),
    "gives_nothing": ("ret", []),
    "result_is_rubbish": (
        "push %rbx\nmov $1, %eax\ncall gives_nothing\npop %rbx\nret",
        [("CR1", "error", "rax")],
    ),
}


def _value(name: str, number: int) -> ValueRecord:
    return ValueRecord(name, "i64", (Place("x", number, 8),))


RDI, RSI, RAX = 7, 6, 0
RECORDS = [
    FunctionRecord("takes_two", "takes_two", (_value("a", RDI), _value("b", RSI)), _value("", RAX)),
    FunctionRecord("gives_two", "gives_two", (), _value("", RAX)),
    FunctionRecord("passes_on", "passes_on", (_value("a", RDI),), _value("", RAX)),
    FunctionRecord("gives_one", "gives_one", (), _value("", RAX)),
    FunctionRecord("gives_what_is_left", "gives_what_is_left", (), _value("", RAX)),
    FunctionRecord("tail_without", "tail_without", (), _value("", RAX)),
    FunctionRecord("nothing_comes_back", "nothing_comes_back", (), _value("", RAX)),
    FunctionRecord("gives_nothing", "gives_nothing"),
    FunctionRecord("result_is_rubbish", "result_is_rubbish", (), _value("", RAX)),
]

# What cannot be followed is said, and nothing else.
UNEXPLORED = {
    "unknown_instruction": "mov %rdi, %rbx\ncpuid\nret",
    "computed": "jmp *%rdi",
    "own_stack": "mov %rdi, %rsp\ncall outside\nret",
    "runs_on": "mov %rdi, %rax",
    "into_another": "jmp leaf+3",
    "many_slots": "push %rbx\n" * 1100 + "ret",
    "into_an_instruction": "jmp .+3\nmov $1, %eax\nret",
}
