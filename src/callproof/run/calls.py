"""Calls and returns of an emulated program, seen as they happen.

The emulator tells the start of every basic block.  The last instruction of the previous
block led here: after a call (BL, BLR; CALL) this block is a callee's entry, after RET it
is an arrival at a return address.  That is exact, also where an instruction after a call
is a loop's head, because a shadow stack of (return address, SP at the call) says which
call is being returned from.

Where several frames go at once (longjmp), those whose stack is gone are dropped without
a return.  A tail call is part of the call before it: its return is the first callee's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from callproof.run.functions import FunctionRecord
from callproof.run.loader import Image

if TYPE_CHECKING:
    from callproof.run.machine import Machine

OTHER, CALL, RETURN = 0, 1, 2


class Frame:
    """A call that has not returned: `sp` is SP before the call; `state` belongs to the trace."""

    __slots__ = ("address", "from_known", "record", "return_address", "sp", "state")

    def __init__(
        self,
        address: int,
        return_address: int,
        sp: int,
        record: FunctionRecord | None,
        from_known: bool,
    ) -> None:
        self.address = address
        self.return_address = return_address
        self.sp = sp
        self.record = record
        self.from_known = from_known
        self.state: object = None


class Listener(Protocol):
    """Who wants to know of calls.  `depth` is the number of frames outside of this one."""

    def entered(self, frame: Frame, depth: int) -> None: ...

    def returned(self, frame: Frame, depth: int, sp: int) -> None: ...

    def dropped(self, frame: Frame, depth: int) -> None: ...


class CallWatcher:
    """Turns blocks into calls and returns for its listeners, in their order.

    `failed` is told of an exception in a listener, which cannot pass through the emulator.
    """

    __slots__ = (
        "_callees",
        "_callers",
        "_ends",
        "_failed",
        "_image",
        "_last_of",
        "_listeners",
        "_previous_end",
        "_previous_start",
        "_pushed",
        "_read_sp",
        "_return_addresses",
        "frames",
    )

    def __init__(
        self,
        image: Image,
        machine: Machine,
        read_sp: Callable[[], int],
        listeners: list[Listener],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._image = image
        self._last_of = machine.code.last_of
        self._pushed = machine.pushed
        self._read_sp = read_sp
        self._listeners = listeners
        self._failed = failed
        self._previous_start = self._previous_end = 0
        self._ends: dict[int, int] = {0: OTHER}
        self._return_addresses: set[int] = set()
        self._callees: dict[int, FunctionRecord | None] = {}
        self._callers: dict[int, bool] = {}
        self.frames: list[Frame] = []

    def block(self, _uc: object, address: int, size: int, _data: object) -> None:
        """The hook: runs at each basic block, before its first instruction."""
        try:
            end = self._previous_end
            kind = self._ends.get(end)
            if kind is None:
                kind = self._last_of(self._image, self._previous_start, end)
                self._ends[end] = kind
            if kind == CALL:
                self._call(address, end)
            elif address in self._return_addresses:
                self._arrive(address, kind == RETURN)
            self._previous_start = address
            self._previous_end = address + size
        except BaseException as error:
            self._failed(error)

    def interrupted(self) -> None:
        """The previous block was not completed: whatever it ends with has not led anywhere."""
        self._previous_end = 0

    def _call(self, address: int, return_address: int) -> None:
        sp = self._read_sp() + self._pushed
        frames = self.frames
        while frames and frames[-1].sp < sp:
            self._drop()
        callees, callers = self._callees, self._callers
        if address not in callees:
            callees[address] = self._image.record_at(address)
        if return_address not in callers:
            callers[return_address] = self._is_known(return_address - 1)
            self._return_addresses.add(return_address)
        frame = Frame(address, return_address, sp, callees[address], callers[return_address])
        depth = len(frames)
        frames.append(frame)
        for listener in self._listeners:
            listener.entered(frame, depth)

    def _is_known(self, address: int) -> bool:
        """Whether the code at the address is of a function with a record of its own."""
        found = self._image.symbols.find(address)
        if found is None:
            return False
        record = self._image.record_at(address - found[1])
        return record is not None and not record.external

    def _arrive(self, address: int, by_return: bool) -> None:
        frames = self.frames
        if not frames:
            return
        sp = self._read_sp()
        top = frames[-1]
        if top.return_address == address and top.sp == sp:
            self._return(sp)
            return
        # An outer frame with this very SP?  SP never falls from a frame to one outside of it.
        index = len(frames) - 1
        while index >= 0 and frames[index].sp <= sp:
            if frames[index].return_address == address and frames[index].sp == sp:
                while len(frames) > index + 1:
                    self._drop()
                self._return(sp)
                return
            index -= 1
        if by_return:
            if top.return_address == address:  # to the right place with the wrong SP
                self._return(sp)
        elif sp > top.sp or self._same_function(top.return_address, address):
            # longjmp to a setjmp whose own frame is long gone
            self._unwind(sp, address)

    def _unwind(self, sp: int, address: int) -> None:
        frames = self.frames
        while frames and (
            frames[-1].sp < sp
            or (frames[-1].sp == sp and self._same_function(frames[-1].return_address, address))
        ):
            self._drop()

    def _same_function(self, first: int, second: int) -> bool:
        symbols = self._image.symbols
        one, other = symbols.find(first - 1), symbols.find(second - 1)
        return one is not None and other is not None and first - one[1] == second - other[1]

    def _return(self, sp: int) -> None:
        frame = self.frames.pop()
        depth = len(self.frames)
        for listener in self._listeners:
            listener.returned(frame, depth, sp)

    def _drop(self) -> None:
        frame = self.frames.pop()
        for listener in self._listeners:
            listener.dropped(frame, len(self.frames))
