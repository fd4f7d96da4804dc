"""The harness: one function of an image runs in the emulator among hostile callees.

Every register is filled before the call, and the return address is a place of its own.
Callees outside the image are here: they note their arguments, fill all registers that a
callee may change with rubbish, overwrite the memory below SP, and give a result made from
the arguments.
"""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from callproof.check.image import Image

unicorn: Any = import_module("unicorn")  # its published types are for Python 2
uc: Any = import_module("unicorn.arm64_const")

RETURN_TO, RETURN_PAGE = 0x7100_0100, 0x7100_0000
STACK, STACK_SIZE = 0x7000_0000, 1 << 18
BUFFER, BUFFER_SIZE = 0x6000_0000, 1 << 14
IMAGE, IMAGE_SIZE = 0x10000, 1 << 20
MOST_INSTRUCTIONS = 30_000
USED = 16384  # bytes of the stack that a run may use
BELOW = 256  # bytes below SP that a callee overwrites
X = [getattr(uc, f"UC_ARM64_REG_X{n}") for n in range(31)]
Q = [getattr(uc, f"UC_ARM64_REG_Q{n}") for n in range(32)]
D = [getattr(uc, f"UC_ARM64_REG_D{n}") for n in range(32)]
SP, NZCV, PC = uc.UC_ARM64_REG_SP, uc.UC_ARM64_REG_NZCV, uc.UC_ARM64_REG_PC
MASK = (1 << 64) - 1
CHANGED_Q = (*range(8), *range(16, 32))


@dataclass(slots=True)
class Outcome:
    """What a run did.  `lost`: preserved registers with another value at the return;
    `seen`: results, memory and the arguments of all calls, to be compared with another run."""

    returned: bool = False
    lost: set[str] = field(default_factory=set)
    misaligned: bool = False
    platform: bool = False  # X18 was changed
    seen: tuple[object, ...] = ()


class Machine:
    """An image in memory; `run` calls one of its functions."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.engine = engine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        engine.ctl_set_cpu_model(uc.UC_CPU_ARM64_MAX)
        engine.mem_map(IMAGE, IMAGE_SIZE)
        engine.mem_map(STACK, STACK_SIZE)
        engine.mem_map(BUFFER, BUFFER_SIZE)
        engine.mem_map(RETURN_PAGE, 0x1000)
        engine.reg_write(uc.UC_ARM64_REG_CPACR_EL1, 3 << 20)
        for region in image.regions:
            engine.mem_write(region.address, region.data)
        for slot, name in image.slots.items():
            target = next((a for a, n in image.externs.items() if n == name), RETURN_TO)
            engine.mem_write(slot, struct.pack("<Q", target))
        if image.externs:
            first, last = min(image.externs), max(image.externs)
            engine.hook_add(unicorn.UC_HOOK_CODE, self.callee, begin=first, end=last + 4)
            for address in image.externs:
                engine.mem_write(address, bytes.fromhex("c0035fd6"))
        self.rubbish = random.Random(0)
        self.calls: list[tuple[int, ...]] = []
        self.misaligned = False
        self.signals = False

    def write(self, words: dict[int, int]) -> None:
        for address, word in words.items():
            self.engine.mem_write(address, struct.pack("<I", word))
        self.engine.ctl_remove_cache(IMAGE, IMAGE + IMAGE_SIZE)

    def callee(self, engine: Any, address: int, size: int, data: object) -> None:
        """A function outside the image: as hostile as the convention allows."""
        del size, data
        if address not in self.image.externs:
            return
        sp = engine.reg_read(SP)
        self.misaligned |= sp % 16 != 0
        general = [engine.reg_read(register) for register in X[:4]]
        floats = [engine.reg_read(register) for register in D[:2]]
        name = self.image.externs[address]
        # Which registers are arguments: the corpus names its callees after their parameters.
        ints = int(name[-2]) if name[-2:].isdigit() else 0
        doubles = int(name[-1]) if name[-2:].isdigit() else 0
        noted = (address, *general[:ints], *floats[:doubles])
        self.calls.append(noted)
        self.spoil(engine, sp)
        digest = hashlib.blake2b(repr(noted).encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "little")
        engine.reg_write(X[0], number & 0xFFFF_FFFF)
        engine.reg_write(D[0], struct.unpack("<Q", struct.pack("<d", number % 4096 / 16))[0])

    def spoil(self, engine: Any, sp: int) -> None:
        rubbish = self.rubbish
        for register in X[:18]:
            engine.reg_write(register, rubbish.getrandbits(64))
        for number in CHANGED_Q:
            engine.reg_write(Q[number], rubbish.getrandbits(128))
        for number in range(8, 16):
            low = engine.reg_read(Q[number]) & MASK
            engine.reg_write(Q[number], low | rubbish.getrandbits(64) << 64)
        engine.reg_write(NZCV, rubbish.getrandbits(4) << 28)
        if STACK + BELOW < sp <= STACK + STACK_SIZE:
            engine.mem_write(sp - BELOW, rubbish.randbytes(BELOW))

    def signal(self, engine: Any, address: int, size: int, data: object) -> None:
        """A signal handler after each instruction: it uses the memory below SP."""
        sp = engine.reg_read(SP)
        if self.signals and STACK + BELOW < sp <= STACK + STACK_SIZE:
            engine.mem_write(sp - BELOW, self.rubbish.randbytes(BELOW))

    def run(self, start: int, inputs: int, seed: int, *, signals: bool = False) -> Outcome:
        """Call the function at `start`.  `inputs` chooses the arguments, `seed` all rubbish."""
        engine = self.engine
        source, self.rubbish = random.Random(inputs), random.Random(seed)
        self.calls = []
        self.misaligned = False
        self.signals = signals
        hook = None
        if signals:
            hook = engine.hook_add(unicorn.UC_HOOK_CODE, self.signal)
        engine.mem_write(BUFFER, random.Random(99).randbytes(BUFFER_SIZE))
        engine.mem_write(STACK + STACK_SIZE - USED, self.rubbish.randbytes(USED))
        self.reset_data()
        for register in X[:29]:
            engine.reg_write(register, self.rubbish.getrandbits(64))
        for number in range(32):
            engine.reg_write(Q[number], self.rubbish.getrandbits(128))
        engine.reg_write(X[29], self.rubbish.getrandbits(60) << 4)
        engine.reg_write(NZCV, self.rubbish.getrandbits(4) << 28)
        for number in range(9):  # all integers may be used as pointers
            engine.reg_write(X[number], BUFFER + 1024 + 16 * source.randrange(256))
        for number in range(8):
            engine.reg_write(Q[number], struct.unpack("<Q", struct.pack("<d", source.random()))[0])
        sp = STACK + STACK_SIZE - 4096
        stack = b"".join(struct.pack("<Q", BUFFER + 16 * source.randrange(512)) for _ in range(16))
        engine.mem_write(sp, stack)
        engine.reg_write(SP, sp)
        engine.reg_write(X[30], RETURN_TO)
        before = {f"x{n}": engine.reg_read(X[n]) for n in range(18, 30)} | {"sp": sp}
        before |= {f"d{n}": engine.reg_read(D[n]) for n in range(8, 16)}
        outcome = Outcome()
        try:
            engine.emu_start(start, RETURN_TO, count=MOST_INSTRUCTIONS)
        except unicorn.UcError:
            pass  # it crashed: it has not returned, and that is what is noted
        finally:
            if hook is not None:
                engine.hook_del(hook)
        outcome.returned = engine.reg_read(PC) == RETURN_TO
        after = {f"x{n}": engine.reg_read(X[n]) for n in range(18, 30)}
        after |= {f"d{n}": engine.reg_read(D[n]) for n in range(8, 16)}
        after["sp"] = engine.reg_read(SP)
        changed = {name for name in before if before[name] != after[name]}
        outcome.platform = "x18" in changed
        outcome.lost = changed - {"x18"}
        outcome.misaligned = self.misaligned
        memory = hashlib.blake2b(engine.mem_read(BUFFER, BUFFER_SIZE), digest_size=16).digest()
        results = tuple(engine.reg_read(register) for register in (X[0], D[0]))
        outcome.seen = (outcome.returned, tuple(self.calls), memory, results)
        return outcome

    def reset_data(self) -> None:
        for region in self.image.regions:
            if not region.executable:
                self.engine.mem_write(region.address, region.data)
