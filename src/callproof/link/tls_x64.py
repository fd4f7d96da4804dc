"""Thread-local accesses of x86-64: all become local-exec (psABI, B.3).

The thread-local image of a static program lies at a known distance from the thread
pointer, so calls of __tls_get_addr, calls of descriptors and loads of offsets from the GOT
are replaced by that distance.  The sequences are those that the psABI prescribes; one
that looks otherwise is not touched, and the link refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import pack

from callproof.link.resolve import Resolved
from callproof.object.model import Relocation, Section

LOADED = frozenset(("R_X86_64_TLSGD", "R_X86_64_GOTPC32_TLSDESC"))
CALLS = frozenset(("R_X86_64_TLSGD", "R_X86_64_TLSLD"))
SEQUENCES = CALLS | {"R_X86_64_GOTPC32_TLSDESC"}

# data16 lea x@tlsgd(%rip), %rdi; then one of the calls, of 8 bytes with their padding
GD_LEA = bytes.fromhex("66 48 8d 3d")
GD_CALLS = tuple(map(bytes.fromhex, ("66 66 48 e8", "66 48 ff 15")))
LD_LEA = bytes.fromhex("48 8d 3d")
LD_CALLS = tuple(map(bytes.fromhex, ("e8", "ff 15", "67 e8")))
# Of the large code model, 15 bytes behind the lea's field: movabs $__tls_get_addr@pltoff, %rax;
# add %rbx or %r15, %rax; call *%rax
MOVABS_RAX = bytes.fromhex("48 b8")
ADD_AND_CALL = tuple(map(bytes.fromhex, ("48 01 d8 ff d0", "4c 01 f8 ff d0")))
NOP_6 = bytes.fromhex("66 0f 1f 44 00 00")
MOV_FS_0 = bytes.fromhex("64 48 8b 04 25 00 00 00 00")  # mov %fs:0, %rax
LEA_RAX = bytes.fromhex("48 8d 80")  # lea offset(%rax), %rax
ADD_RAX_SLOT = bytes.fromhex("48 03 05")  # add slot(%rip), %rax
MOV, ADD, LEA = 0x8B, 0x03, 0x8D


def consumed_calls(section: Section, relocations: Iterable[Relocation]) -> frozenset[int]:
    """Offsets of the relocations of calls that belong to a sequence.

    `relocations`: the section's, at least those that begin sequences.
    """
    found = []
    for relocation in relocations:
        end = relocation.offset + 4
        if relocation.type in CALLS and _is_long(section.data, end):
            found.append(end + len(MOVABS_RAX))
        elif relocation.type == "R_X86_64_TLSGD":
            found.append(end + 4)
        elif relocation.type == "R_X86_64_TLSLD":
            call = _starts_with(section.data, end, LD_CALLS)
            found.append(end + len(call))
    return frozenset(found)


def _starts_with(data: Sequence[int], at: int, choices: tuple[bytes, ...]) -> bytes:
    for choice in choices:
        if bytes(data[at : at + len(choice)]) == choice:
            return choice
    return b""


def _is_long(data: Sequence[int], at: int) -> bool:
    if not _starts_with(data, at, (MOVABS_RAX,)):
        return False
    return bool(_starts_with(data, at + len(MOVABS_RAX) + 8, ADD_AND_CALL))


def relax_sequence(data: bytearray | memoryview, relocation: Relocation, offset: int) -> bool:
    """Rewrite the sequence around a relocation with the thread-local offset.

    False if it is none of those that the psABI has.
    """
    at = relocation.offset
    if relocation.addend != -4:
        return False
    start = at - len(LD_LEA)
    if relocation.type in CALLS and _is_long(data, at + 4):
        if start < 0 or bytes(data[start:at]) != LD_LEA:
            return False
        new = MOV_FS_0
        if relocation.type == "R_X86_64_TLSGD":
            new += LEA_RAX + pack("<i", offset) + NOP_6
        else:
            new += NOP_6 + NOP_6 + b"\x90"
    elif relocation.type == "R_X86_64_TLSGD":
        start = at - len(GD_LEA)
        if start < 0 or bytes(data[start:at]) != GD_LEA or not _starts_with(data, at + 4, GD_CALLS):
            return False
        new = MOV_FS_0 + LEA_RAX + pack("<i", offset)
    elif relocation.type == "R_X86_64_TLSLD":
        call = _starts_with(data, at + 4, LD_CALLS)
        if start < 0 or bytes(data[start:at]) != LD_LEA or not call:
            return False
        # As long as what it replaces: 12 or 13 bytes.
        new = b"\x66" * (2 + len(call)) + MOV_FS_0
    else:
        register = _register(data, at, LEA)
        if register is None:
            return False
        new = _mov_immediate(register) + pack("<i", offset)
    if start + len(new) > len(data):
        return False
    data[start : start + len(new)] = new
    return True


def relax_call(data: bytearray | memoryview, at: int) -> bool:
    """`call *(%rax)` of a descriptor becomes a NOP of two bytes."""
    if bytes(data[at : at + 2]) != b"\xff\x10":
        return False
    data[at : at + 2] = b"\x66\x90"
    return True


def is_loaded(resolved: Resolved, relocation: Relocation) -> bool:
    """Whether a relocation is to a thread-local of a shared library, whose offset is loaded."""
    if not resolved.imports:
        return False
    return resolved.imported(resolved.meaning(relocation.symbol)) is not None


def load_sequence(data: bytearray | memoryview, relocation: Relocation, slot: int) -> bool:
    """As `relax_sequence`, with a load of the offset from its slot in the GOT.

    `slot` is where that lies, seen from the section's start.
    """
    at = relocation.offset
    if relocation.addend != -4 or relocation.type not in LOADED:
        return False
    if relocation.type == "R_X86_64_TLSGD":
        start = at - len(GD_LEA)
        if start < 0 or bytes(data[start:at]) != GD_LEA or not _starts_with(data, at + 4, GD_CALLS):
            return False
        new = MOV_FS_0 + ADD_RAX_SLOT
    else:
        start = at - 3
        register = _register(data, at, LEA)
        if register is None:
            return False
        new = bytes((data[start], MOV, data[start + 2]))
    end = start + len(new) + 4
    new += pack("<i", slot - end)
    if end > len(data):
        return False
    data[start:end] = new
    return True


def is_relaxed(resolved: Resolved, section: Section, relocation: Relocation) -> bool:
    """Whether a load of an offset from the GOT becomes an immediate; before and after layout."""
    at = relocation.offset
    if relocation.addend != -4 or is_loaded(resolved, relocation):
        return False
    return any(_register(section.data, at, opcode) is not None for opcode in (MOV, ADD))


def relax_load(data: bytearray | memoryview, at: int) -> bool:
    """`mov x@gottpoff(%rip), %r` and `add`, of 7 bytes, with an immediate instead.

    False if it is neither any more: another relocation changed the instruction.
    """
    opcode = data[at - 2]
    register = _register(data, at, opcode)
    if register is None:
        return False
    if opcode == MOV:
        data[at - 3 : at] = _mov_immediate(register)
    else:
        data[at - 3 : at] = bytes((0x48 | register >> 3, 0x81, 0xC0 | register & 7))
    return True


def _register(data: Sequence[int], at: int, opcode: int) -> int | None:
    """The register of a REX.W instruction with a place relative to RIP; None if it is none."""
    if at < 3 or data[at - 3] not in (0x48, 0x4C) or data[at - 2] != opcode:
        return None
    if data[at - 1] & 0xC7 != 0x05:
        return None
    return data[at - 1] >> 3 & 7 | (data[at - 3] & 4) << 1


def _mov_immediate(register: int) -> bytes:
    """REX.W C7 /0: mov of a sign-extended immediate, which follows."""
    return bytes((0x48 | register >> 3, 0xC7, 0xC0 | register & 7))
