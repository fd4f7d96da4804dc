"""The record that `codegen/` works with, for x86-64 on Linux."""

from __future__ import annotations

from callproof.abi import SYSV64
from callproof.codegen.machine import FLOAT, GENERAL
from callproof.codegen.target import Assembly, CallForms, Rule, Target
from callproof.ir.operations import Operation
from callproof.target.x64 import (
    pseudo,
    select_compare,
    select_division,
    select_float,
    select_folded,
    select_integer,
    select_memory,
    select_vector,
    values,
)
from callproof.target.x64.instructions import FORMS
from callproof.target.x64.registers import (
    FLOAT_SCRATCH,
    REGISTER_FILE,
    RSP,
    SCRATCH,
    TAIL_REGISTER,
    name,
)
from callproof.target.x64.shapes import X64Shapes
from callproof.target.x64.unwind import UNWINDING

ALL_RULES: list[Rule] = [
    *select_folded.RULES,
    *select_integer.RULES,
    *select_division.RULES,
    *select_compare.RULES,
    *select_memory.RULES,
    *select_float.RULES,
]
CALL = "R_X86_64_PLT32"
ASSEMBLY = Assembly(comment="#", word=".quad", align=4, stack="{}(%rsp)")


def register_name(register: int, register_class: int, size: int) -> str:
    """rdi, edi, xmm0 ... for a value of `size` bytes."""
    del register_class
    return name(register, size)


def by_operation(rules: list[Rule]) -> dict[Operation, tuple[Rule, ...]]:
    table: dict[Operation, tuple[Rule, ...]] = {}
    for rule in rules:
        table[rule.operation] = (*table.get(rule.operation, ()), rule)
    return table


def make_target(target_name: str) -> Target:
    calls = CallForms(
        entry=pseudo.ENTRY,
        call=FORMS["call"],
        indirect_call=FORMS["call_r"],
        return_=FORMS["ret"],
        tail_call=pseudo.TAIL_CALL,
        indirect_tail_call=pseudo.INDIRECT_TAIL_CALL,
        tail_register=TAIL_REGISTER,
        tail_relocation=CALL,
        return_operands=(),
        call_relocation=CALL,
        stack_pointer=RSP,
        load={
            (GENERAL, 1): FORMS["movzbl_m_b"],
            (GENERAL, 2): FORMS["movzwl_m_b"],
            (GENERAL, 4): FORMS["mov_l_rm_b"],
            (GENERAL, 8): FORMS["mov_q_rm_b"],
            (FLOAT, 4): FORMS["movss_xm_b"],
            (FLOAT, 8): FORMS["movsd_xm_b"],
            (FLOAT, 16): FORMS["movups_xm_b"],
        },
        store={
            (GENERAL, 1): FORMS["mov_b_mr_b"],
            (GENERAL, 2): FORMS["mov_w_mr_b"],
            (GENERAL, 4): FORMS["mov_l_mr_b"],
            (GENERAL, 8): FORMS["mov_q_mr_b"],
            (FLOAT, 4): FORMS["movss_mx_b"],
            (FLOAT, 8): FORMS["movsd_mx_b"],
            (FLOAT, 16): FORMS["movups_mx_b"],
        },
        load_x87=FORMS["fldt_b"],
        store_x87=FORMS["fstpt_b"],
    )
    return Target(
        name=target_name,
        machine="x86_64",
        convention=SYSV64,
        registers=REGISTER_FILE,
        rules=by_operation(ALL_RULES),
        vector_rules=by_operation(select_vector.VECTOR_RULES),
        lacks=select_vector.lacks,
        splits_pairs=True,
        calls=calls,
        shapes=X64Shapes(),
        # Eight bytes may pass from slot to slot through either; see `parallel_move`.
        scratch_general=(SCRATCH, FLOAT_SCRATCH),
        scratch_float=(FLOAT_SCRATCH,),
        register_name=register_name,
        use=values.use,
        use_stored=values.use,
        pool_prefix=values.POOL_PREFIX,
        address_relocation="R_X86_64_64",
        distance_relocation="R_X86_64_PC32",
        code_alignment=16,
        largest_stack_alignment=4096,
        assembly=ASSEMBLY,
        unwinding=UNWINDING,
    )
