"""The embedded emulator: Unicorn as an AArch64 or x86-64 CPU, with a Linux process around it.

Unicorn is GPL-2; it is imported here and in what this module loads, only when a program
is emulated.  System calls and faults arrive through two hooks; nothing is hooked for
each instruction, and for each basic block only if calls are watched or counted.  What
differs by processor is in the machine's table (`machine.py`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TextIO

from unicorn import (
    UC_ERR_INSN_INVALID,
    UC_HOOK_EDGE_GENERATED,
    UC_HOOK_INSN,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_READ_PROT,
    UC_MEM_READ_UNMAPPED,
    UC_MEM_WRITE_PROT,
    UC_MEM_WRITE_UNMAPPED,
    UC_TLB_VIRTUAL,
)

from callproof.run import linux
from callproof.run.calls import CallWatcher, Listener
from callproof.run.faults import Fault, Places, report
from callproof.run.limits import TIMEOUT_STATUS, Limits
from callproof.run.loader import PAGE, READABLE, Image, Segment
from callproof.run.machine import machine_of
from callproof.run.memory import STACK_TOP, BadAddress, Memory, OutOfMemory, page_up
from callproof.run.poison import Poison
from callproof.run.process import Ended, OpenFile, Process
from callproof.run.registers import OneRegister, add_block_hook
from callproof.run.signals import Registers
from callproof.run.startup import initial_stack
from callproof.run.trace import VIOLATION_STATUS, Trace
from callproof.source import CallproofError

unicorn: Any = import_module("unicorn")  # its published types are for Python 2

NOWHERE = (1 << 64) - 8  # an address that is never reached: the program ends by itself
GUARD = 1 << 20  # an access this close below the stack is called an overflow of it

SIGILL, SIGTRAP, SIGSEGV, SIGXCPU = 4, 5, 11, 24
SYSCALL_SIZE = 2  # of the only instruction that is hooked

ACCESSES = {
    UC_MEM_READ_UNMAPPED: "read at unmapped address",
    UC_MEM_WRITE_UNMAPPED: "write at unmapped address",
    UC_MEM_FETCH_UNMAPPED: "jump to unmapped address",
    UC_MEM_READ_PROT: "read of unreadable memory at",
    UC_MEM_WRITE_PROT: "write to read-only memory at",
    UC_MEM_FETCH_PROT: "jump into memory that is not executable at",
}


@dataclass(slots=True)
class Outcome:
    """`signal` is 0 for an ordinary exit; `instructions` is None unless counted."""

    exit_status: int
    signal: int = 0
    instructions: int | None = None
    violations: int = 0
    poisoned: int = 0


class Emulator:
    """One program, loaded; `run` runs it once."""

    def __init__(
        self,
        image: Image,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        files: dict[int, OpenFile],
        name: str,
        limits: Limits,
        notes: TextIO | None = None,
    ) -> None:
        """Raises `CallproofError` if the program and its arguments do not fit into memory."""
        self.image = image
        self.limits = limits
        self.machine = machine = machine_of(image.machine)
        self.uc = unicorn.Uc(*machine.cpu)
        if machine.untranslated:
            self.uc.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        self.memory = Memory(self.uc, limits.memory_bytes)
        stack = (STACK_TOP - page_up(limits.stack_bytes), STACK_TOP)
        self.process = Process(self.memory, name, files, stack, notes=notes, kernel=machine.kernel)
        if machine.thread_base is not None:
            self.process.thread_base = OneRegister(self.uc, machine.thread_base)
        self.places = Places(image, machine.code.call_site)
        self.fault: Fault | None = None
        self.ended: Ended | None = None
        self.error: BaseException | None = None
        # Takes the address of a breakpoint that the program reached; where to go on.
        self.trap: Callable[[int], int] | None = None
        self._trapped = False
        self._invalid = ""
        self._address = 0
        self._handled: Fault | None = None  # the fault whose handler is running
        self._blocks: dict[tuple[int, int], int] = {}  # how often each was run
        self._lengths: dict[tuple[int, int], int] = {}  # in instructions
        self._repeating: dict[tuple[int, int], bool] = {}
        self._last_block = (0, 0)
        self._hooks: list[object] = []
        self._watcher: CallWatcher | None = None
        try:
            self._load(image.segments)
            self.memory.map(stack[0], stack[1] - stack[0], 3)
        except OutOfMemory:
            raise CallproofError(f"{name}: the program does not fit into memory") from None
        self.memory.brk_start = self.memory.brk = image.end + PAGE
        self._sp = OneRegister(self.uc, machine.numbers[machine.sp])
        self._sp.write(
            initial_stack(
                self.memory, image, machine.hardware, limits, [name, *arguments], environment
            )
        )
        for register, value in machine.start:
            self.uc.reg_write(register, value)
        self.uc.hook_add(UC_HOOK_INTR, self._interrupt)
        self.uc.hook_add(UC_HOOK_MEM_INVALID, self._invalid_access)
        system = machine.system
        self._call_registers = (system.number, *system.arguments)
        if system.instruction is not None:
            self.uc.hook_add(UC_HOOK_INSN, self._call_instruction, None, 1, 0, system.instruction)
            self.uc.hook_add(UC_HOOK_EDGE_GENERATED, self._new_block)

    # --- before the start ----------------------------------------------------------------

    def _load(self, segments: list[Segment]) -> None:
        """Map the segments; pages that two of them share get the rights of both."""
        rights: dict[int, int] = {}
        for segment in segments:
            first = segment.address // PAGE
            for page in range(first, -(-(segment.address + segment.size) // PAGE)):
                rights[page] = rights.get(page, 0) | segment.flags
        start = previous = -1
        for page in [*sorted(rights), -1]:
            if start >= 0 and (page != previous + 1 or rights[page] != rights[start]):
                flags = rights[start]
                # PF_X, PF_W, PF_R are 1, 2, 4; PROT_READ, PROT_WRITE, PROT_EXEC are 1, 2, 4.
                protection = (flags & READABLE) >> 2 | flags & 2 | (flags & 1) << 2
                self.memory.map(start * PAGE, (previous + 1 - start) * PAGE, protection)
                start = -1
            if start < 0:
                start = page
            previous = page
        for segment in segments:
            self.memory.write(segment.address, segment.data)

    # --- hooks ---------------------------------------------------------------------------

    def _interrupt(self, uc: Any, number: int, _data: object) -> None:
        if number == self.machine.system.exception:
            self._system_call()
            return
        uc.emu_stop()
        exceptions = self.machine.exceptions
        if number == exceptions.breakpoint and self.trap is not None:
            self._trapped = True
        elif number == exceptions.breakpoint:
            what = self._instruction("the program executed a breakpoint", exceptions.behind)
            self._set_fault(SIGTRAP, what, exceptions.behind)
        else:
            signal, what = exceptions.others.get(number, (SIGILL, f"exception {number}"))
            self._set_fault(signal, self._instruction(what))

    def _system_call(self) -> None:
        """Do what the program's registers ask of Linux."""
        uc, system = self.uc, self.machine.system
        values = uc.reg_read_batch(self._call_registers)
        if values[0] == system.returning and self._handled is not None:
            # A handler of a fault has nothing to put right, and it would happen again.
            self.fault = self._handled
            uc.emu_stop()
            return
        try:
            result = linux.call(self.process, values[0], values[1:], system.table)
        except Ended as ended:
            if ended.why:
                self._set_fault(ended.signal, ended.why)
            self.ended = ended
            uc.emu_stop()
            return
        uc.reg_write(system.result, result & (1 << 64) - 1)

    def _call_instruction(self, uc: Any, _data: object) -> None:
        """SYSCALL: Linux gives back what the processor left in two registers."""
        links = self.machine.system.links
        assert links is not None
        try:
            self._system_call()
            flags = self.machine.numbers[self.machine.contract.flags.register]
            uc.reg_write(links[0], uc.reg_read(self.machine.pc) + SYSCALL_SIZE)
            uc.reg_write(links[1], uc.reg_read(flags))
        except BaseException as error:
            self._failed(error)

    def _new_block(self, _uc: Any, block: Any, _before: Any, _data: object) -> None:
        """Unicorn sees a block for the first time."""
        try:
            self._look_at_code(block.pc, block.size)
        except BaseException as error:
            self._failed(error)

    def _look_at_code(self, start: int, size: int) -> None:
        """Refuse code that Unicorn would get wrong in silence."""
        refused = self.machine.code.refused(self._code(start, size))
        if refused:
            where = self.places.name(start)
            self._failed(CallproofError(f"{self.process.name}: in {where}: {refused}"))

    def _instruction(self, what: str, behind: int = 0) -> str:
        pc = self.uc.reg_read(self.machine.pc) - behind
        try:
            code = self.image.code(pc, 16) or self.memory.read(pc, 4)
        except BadAddress:
            return what
        return f"{what} ({self.machine.code.text(code)})"

    def _invalid_access(
        self, _uc: Any, access: int, address: int, size: int, _value: int, _data: object
    ) -> bool:
        self._address = address
        low = self.process.stack[0]
        if low - GUARD <= address < low:
            megabytes = (self.process.stack[1] - low) / (1 << 20)
            self._invalid = f"stack overflow: the stack of {megabytes:g} MiB is used up"
        else:
            self._invalid = f"{ACCESSES.get(access, 'access to')} {address:#x}"
        return False

    def _set_fault(self, signal: int, what: str, behind: int = 0) -> Fault:
        machine = self.machine
        pc = self.uc.reg_read(machine.pc) - behind
        frame = self.uc.reg_read(machine.numbers[machine.frame_pointer])
        if machine.contract.link is not None:
            link = self.uc.reg_read(machine.numbers[machine.contract.link])
        else:
            try:
                link = int.from_bytes(self.memory.read(self._sp.read(), 8), "little")
            except BadAddress:
                link = 0
        self.fault = Fault(signal, what, pc, frame, link)
        return self.fault

    def _failed(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self.uc.emu_stop()

    def _count_block(self, _uc: object, address: int, size: int, _data: object) -> None:
        block = address, size
        previous = self._last_block
        self._last_block = block
        # An instruction that repeats itself makes a block of each round, and is one.
        if previous[0] + previous[1] == address + size and self._repeats(block):
            return
        times = self._blocks.get(block)
        if times is None:  # later its bytes may have been unmapped
            self._lengths[block] = self.machine.code.count(self._code(address, size))
        self._blocks[block] = (times or 0) + 1

    def _repeats(self, block: tuple[int, int]) -> bool:
        known = self._repeating.get(block)
        if known is None:
            known = self.machine.code.repeats(self.image, block[0], block[0] + block[1])
            self._repeating[block] = known
        return known

    # --- the run -------------------------------------------------------------------------

    def run(
        self,
        *,
        poison: bool = False,
        strict: bool = False,
        trace_calls: TextIO | None = None,
        count_instructions: bool = False,
    ) -> Outcome:
        """Run to the end.  Faults are reported on the program's standard error."""
        trace: Trace | None = None
        poisoner: Poison | None = None
        listeners: list[Listener] = []
        if trace_calls is not None:
            # Before the poison: it must see the callee's registers, not rubbish.
            trace = Trace(
                self.uc,
                self.machine,
                self.image,
                self.memory,
                trace_calls,
                self.places.of_return,
            )
            listeners.append(trace)
        if poison:
            poisoner = Poison(self.uc, self.machine, strict=strict)
            listeners.append(poisoner)
        if listeners:
            self._watcher = CallWatcher(
                self.image, self.machine, self._sp.read, listeners, self._failed
            )
            self._hooks.append(add_block_hook(self.uc, self._watcher.block))
        if count_instructions:
            self._hooks.append(add_block_hook(self.uc, self._count_block))
        try:
            with self._stopped_by_interrupt():
                outcome = self._emulate()
        finally:
            self.process.close()
        if count_instructions:
            outcome.instructions = self._instructions()
        if poisoner is not None:
            outcome.poisoned = poisoner.fills
        if trace is not None:
            outcome.violations = trace.violations
            if trace.violations:
                outcome.exit_status = VIOLATION_STATUS
        return outcome

    @contextmanager
    def _stopped_by_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C stop the emulation, to be raised behind it.

        Python would raise `KeyboardInterrupt` inside a block's hook, where the C code that
        called it drops it; and while no hook runs, it would not look at signals at all.  So
        a thread waits for the byte that Python's own handler writes when a signal arrives.
        """
        usual = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or usual is not signal.default_int_handler:
            yield
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)

        def watch() -> None:
            while arrived := os.read(reader, 64):
                if signal.SIGINT in arrived:
                    self._failed(KeyboardInterrupt())

        watcher = threading.Thread(target=watch, daemon=True)
        signal.signal(signal.SIGINT, lambda _number, _frame: self._failed(KeyboardInterrupt()))
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            signal.signal(signal.SIGINT, usual)
            os.close(writer)
            watcher.join()
            os.close(reader)

    def _emulate(self) -> Outcome:
        """Run to the end, but for faults that the program handles itself.

        There is no stop from outside but a last one: Unicorn does not keep the program
        counter exact then, and a program that is started again from there goes wrong.
        """
        uc = self.uc
        seconds = self.limits.seconds
        limit = 0 if seconds is None else max(1, int(seconds * 1e6))
        pc = self.image.entry
        if self.machine.system.instruction is not None:
            # The hook of new blocks has the one before, which the first does not have.
            start, _, size = uc.ctl_request_cache(pc)
            self._look_at_code(start, size)
        while self.error is None:
            try:
                uc.emu_start(pc, NOWHERE, timeout=limit)
            except unicorn.UcError as error:
                if self.error is None and error.errno == UC_ERR_INSN_INVALID:
                    self._set_fault(SIGILL, self._instruction("undefined instruction"))
                elif self.error is None:
                    handler = self._handler_of_fault(self._invalid or str(error))
                    if handler is not None:
                        pc = handler
                        continue
            self._look_why_stopped()
            if not self._trapped:
                break
            self._trapped = False
            assert self.trap is not None
            pc = self.trap(uc.reg_read(self.machine.pc))
        if self.error is not None:
            raise self.error
        if self.fault is not None:
            return self._faulted(self.fault)
        if self.ended is not None:
            return Outcome(self.ended.status, self.ended.signal)
        if seconds is None:
            raise CallproofError("the emulator stopped by itself; this is a bug in it")
        late = self._set_fault(SIGXCPU, f"it ran for more than {seconds:g} seconds")
        self._faulted(late)
        return Outcome(TIMEOUT_STATUS, SIGXCPU)

    def _look_why_stopped(self) -> None:
        """Set the fault of an instruction at which Unicorn just stops (x86-64's HLT)."""
        stopping = self.machine.exceptions.stopping
        if not stopping or self.fault or self.ended or self.error or self._trapped:
            return
        pc = self.uc.reg_read(self.machine.pc) - len(stopping)
        if self.image.code(pc, len(stopping)) == stopping:
            self._set_fault(*self.machine.exceptions.stopped, len(stopping))

    def _handler_of_fault(self, what: str) -> int | None:
        """Where to go on after a bad access; None, and the fault is set, if nowhere."""
        fault = self._set_fault(SIGSEGV, what)
        if not self._invalid:
            return None
        uc, machine, numbers = self.uc, self.machine, self.machine.numbers
        flags = numbers[machine.contract.flags.register]
        registers = Registers(
            tuple(uc.reg_read(numbers[register]) for register in machine.general),
            self._sp.read(),
            fault.pc,
            uc.reg_read(flags),
        )
        try:
            delivery = machine.deliver(self.process, SIGSEGV, self._address, registers)
        except BadAddress:
            return None
        if delivery is None:
            return None
        self.fault, self._handled, self._invalid = None, fault, ""
        self._sp.write(delivery.sp)
        if machine.return_to is not None:
            uc.reg_write(numbers[machine.return_to], delivery.restorer)
        for register, value in zip(machine.handed, delivery.arguments, strict=True):
            uc.reg_write(numbers[register], value)
        if self._watcher is not None:
            self._watcher.interrupted()
        return delivery.handler

    def _faulted(self, fault: Fault) -> Outcome:
        self.process.warn(report(self.process.name, fault, self.memory, self.places))
        return Outcome(fault.status, fault.signal)

    def _instructions(self) -> int:
        """Instructions completed: a block that a fault cut short counts up to the fault."""
        count = self.machine.code.count
        total = 0
        for block, times in self._blocks.items():
            total += times * self._lengths[block]
        if self.fault is not None and self.ended is None:
            start, size = self._last_block
            done = self.fault.pc - start  # not in the block after a jump to nowhere
            if 0 <= done < size:
                code = self._code(start, size)
                total -= count(code) - count(code[:done])
        return total

    def _code(self, start: int, size: int) -> bytes:
        """The bytes of a block, which may be of memory that the program filled itself.

        Zeros if that cannot be read.
        """
        try:
            return self.image.code(start, size) or self.memory.read(start, size)
        except BadAddress:
            return bytes(size)
