"""The record that `codegen/` works with, for ARM64 on each platform."""

from __future__ import annotations

from callproof.abi.plan import Convention
from callproof.codegen.machine import FLOAT, GENERAL
from callproof.codegen.target import CallForms, Rule, Target
from callproof.ir.operations import Operation
from callproof.target.arm64 import (
    pseudo,
    select_compare,
    select_float,
    select_integer,
    select_memory,
    select_vector,
    values,
)
from callproof.target.arm64.darwin import DarwinShapes, compact_unwind
from callproof.target.arm64.instructions import FORMS
from callproof.target.arm64.registers import LR, REGISTER_FILE, SP, V0, name
from callproof.target.arm64.shapes import Arm64Shapes
from callproof.target.arm64.unwind import UNWINDING

SCALAR_RULES: list[Rule] = [
    *select_vector.MIXED_RULES,
    *select_integer.RULES,
    *select_compare.RULES,
    *select_memory.RULES,
    *select_float.RULES,
]
ALL_RULES = [*SCALAR_RULES, *select_vector.VECTOR_RULES]
FLOAT_NAMES = {2: "h", 4: "s", 8: "d", 16: "q"}


def register_name(register: int, register_class: int, size: int) -> str:
    """x0, w0, d0, s0, q0 ... for a value of `size` bytes."""
    del register_class
    if register >= V0:
        return name(register, FLOAT_NAMES[size])
    return name(register, "x" if size == 8 else "w")


def rules_by_operation(rules: list[Rule]) -> dict[Operation, tuple[Rule, ...]]:
    table: dict[Operation, tuple[Rule, ...]] = {}
    for rule in rules:
        table[rule.operation] = (*table.get(rule.operation, ()), rule)
    return table


def make_target(name: str, convention: Convention) -> Target:
    """ARM64 with one of AAPCS64's variants; Darwin has frames of its own, too."""
    is_darwin = name == "aarch64-macos"
    access = {
        (GENERAL, 1): "rb_uimm",
        (GENERAL, 2): "rh_uimm",
        (GENERAL, 4): "r_w_uimm",
        (GENERAL, 8): "r_x_uimm",
        (FLOAT, 4): "r_s_uimm",
        (FLOAT, 8): "r_d_uimm",
        (FLOAT, 16): "r_q_uimm",
    }
    calls = CallForms(
        entry=pseudo.ENTRY,
        call=FORMS["bl"],
        indirect_call=FORMS["blr"],
        return_=FORMS["ret"],
        tail_call=pseudo.TAIL_CALL,
        indirect_tail_call=pseudo.INDIRECT_TAIL_CALL,
        tail_register=9,
        tail_relocation="R_AARCH64_JUMP26",
        return_operands=(LR,),
        call_relocation="R_AARCH64_CALL26",
        stack_pointer=SP,
        load={key: FORMS[f"ld{suffix}"] for key, suffix in access.items()},
        store={key: FORMS[f"st{suffix}"] for key, suffix in access.items()},
    )
    return Target(
        name=name,
        machine="aarch64",
        convention=convention,
        registers=REGISTER_FILE,
        rules=rules_by_operation(SCALAR_RULES),
        vector_rules=rules_by_operation(select_vector.VECTOR_RULES),
        calls=calls,
        shapes=DarwinShapes() if is_darwin else Arm64Shapes(),
        scratch_general=(16, 17),
        scratch_float=(V0 + 31,),
        register_name=register_name,
        use=values.use,
        use_stored=values.use_stored,
        pool_prefix=values.POOL_PREFIX,
        instruction_size=4,
        unwinding=UNWINDING,
        compact_unwind=compact_unwind if is_darwin else None,
    )
