"""The emulated program's memory: what is mapped where, and access that can fail.

Addresses and sizes are in bytes; mappings are whole pages.  Unicorn holds the
bytes; this module keeps the map of them that `mmap` and `munmap` need.

Each mapping is a Unicorn mapping of its own, so that a stray access is a fault, until
there are many: Unicorn's cost to add one grows with their number (2000 cost 3 seconds).
Further anonymous mappings come from one large pool, inside which nothing faults.
The bytes of large mappings are ours, not Unicorn's: it copies its own where a part of
a mapping is protected or unmapped (a guard page below 64 MiB of stack cost 0.2 seconds).
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect_right, insort
from importlib import import_module

from callproof.run.loader import PAGE
from callproof.run.registers import Uc

STACK_TOP = 0x7FFF_FF00_0000
POOL_BASE = 0x5000_0000_0000
POOL_SIZES = (1 << 36, 1 << 33, 1 << 31)  # the first that the host lets us reserve
SEPARATE_MAPPINGS = 256
LARGE = 1 << 20  # mappings of so many bytes have host memory of their own
MMAP_GAP = 1 << 30  # between the stack and the highest anonymous mapping


class BadAddress(Exception):
    """Guest memory that is not there, or not to be read or written: EFAULT."""


class OutOfMemory(Exception):
    """The guest asks for more than its limit: ENOMEM."""


def page_up(size: int) -> int:
    return -(-size // PAGE) * PAGE


class _Pool:
    """A reserved range of host memory, one Unicorn mapping, handed out piece by piece."""

    __slots__ = ("_free", "_host", "_keep", "_next", "size")

    def __init__(self, uc: Uc) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        for size in POOL_SIZES:
            try:
                self._host = mmap.mmap(-1, size, flags)
            except OSError:
                continue
            break
        else:
            raise OutOfMemory
        self.size = size
        self._keep = (ctypes.c_ubyte * 0).from_buffer(self._host)
        uc.mem_map_ptr(POOL_BASE, size, 7, ctypes.addressof(self._keep))
        self._next = 0
        self._free: dict[int, list[int]] = {}

    def take(self, size: int) -> int:
        """The address of `size` zeroed bytes; raises `OutOfMemory`."""
        free = self._free.get(size)
        if free:
            return free.pop()
        if self._next + size > self.size:
            raise OutOfMemory
        address = POOL_BASE + self._next
        self._next += size
        return address

    def clear(self, address: int, size: int) -> None:
        """Make the bytes zero and give their pages back to the host."""
        _release(self._host, address - POOL_BASE, size)

    def give_back(self, address: int, size: int) -> None:
        self.clear(address, size)
        self._free.setdefault(size, []).append(address)

    def holds(self, address: int) -> bool:
        return POOL_BASE <= address < POOL_BASE + self.size


def _release(host: mmap.mmap, start: int, size: int) -> None:
    """Make bytes zero and give their pages back to the host."""
    if hasattr(mmap, "MADV_DONTNEED") and sys.platform == "linux":
        host.madvise(mmap.MADV_DONTNEED, start, size)
    else:
        host[start : start + size] = bytes(size)


class _Host:
    """Host memory behind the guest's pages from `start` on."""

    __slots__ = ("_keep", "_memory", "start")

    def __init__(self, start: int, size: int) -> None:
        """Raises `OSError` if the host has no more."""
        self._memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._keep = (ctypes.c_ubyte * 0).from_buffer(self._memory)
        self.start = start

    @property
    def address(self) -> int:
        return ctypes.addressof(self._keep)

    def release(self, low: int, high: int) -> None:
        _release(self._memory, low - self.start, high - low)


class Memory:
    """Mapped ranges over a Unicorn instance; protections are PROT_* bits (R 1, W 2, X 4)."""

    __slots__ = (
        "_error",
        "_hosts",
        "_next",
        "_pool",
        "_uc",
        "brk",
        "brk_start",
        "limit",
        "mapped",
        "ranges",
    )

    def __init__(self, uc: Uc, limit: int) -> None:
        self._uc = uc
        self._error: type[Exception] = import_module("unicorn").UcError
        self._pool: _Pool | None = None
        # Guest ranges and what is behind them; the last range of a host keeps it alive.
        self._hosts: list[tuple[int, int, _Host]] = []
        self.limit = limit
        self.mapped = 0
        self.ranges: list[tuple[int, int]] = []  # disjoint, sorted
        self.brk_start = 0
        self.brk = 0
        self._next = STACK_TOP - MMAP_GAP

    # --- bytes ---------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes; raises `BadAddress`."""
        if size == 0:
            return b""
        if not self.covers(address, size):
            raise BadAddress(address)
        try:
            return bytes(self._uc.mem_read(address, size))
        except self._error as error:
            raise BadAddress(address) from error

    def write(self, address: int, data: bytes) -> None:
        """Raises `BadAddress`."""
        if not data:
            return
        if not self.covers(address, len(data)):
            raise BadAddress(address)
        try:
            self._uc.mem_write(address, data)
        except self._error as error:
            raise BadAddress(address) from error

    def text(self, address: int, limit: int = 4096) -> bytes:
        """The bytes before a NUL; raises `BadAddress`, also if there is none within `limit`."""
        found = bytearray()
        while len(found) < limit:
            size = PAGE - (address + len(found)) % PAGE
            piece = self.read(address + len(found), size)
            end = piece.find(b"\0")
            if end >= 0:
                return bytes(found + piece[:end])
            found += piece
        raise BadAddress(address)

    def covers(self, address: int, size: int) -> bool:
        """Whether all bytes of the range are mapped."""
        end = address + size
        while address < end:
            index = bisect_right(self.ranges, (address, 1 << 64)) - 1
            if index < 0 or self.ranges[index][1] <= address:
                return False
            address = self.ranges[index][1]
        return True

    # --- mappings ------------------------------------------------------------------------

    def map(self, address: int, size: int, protection: int) -> None:
        """Map zeroed pages at a page-aligned address in place of whatever was there.

        Raises `OutOfMemory` past the limit.
        """
        size = page_up(size)
        self.unmap(address, size)
        if self.mapped + size > self.limit:
            raise OutOfMemory
        if not (self._pool and self._pool.holds(address)):
            try:
                if size >= LARGE:
                    host = _Host(address, size)
                    self._uc.mem_map_ptr(address, size, protection, host.address)
                    self._hosts.append((address, address + size, host))
                else:
                    self._uc.mem_map(address, size, protection)
            except (self._error, OSError) as error:
                raise OutOfMemory from error
        self.mapped += size
        insort(self.ranges, (address, address + size))

    def unmap(self, address: int, size: int) -> None:
        """Unmap the pages of the range that are mapped."""
        for start, end in self._intersection(address, page_up(size)):
            if self._pool and self._pool.holds(start):
                self._pool.give_back(start, end - start)
            else:
                self._uc.mem_unmap(start, end - start)
                self._release_host(start, end)
            self.mapped -= end - start
            self._forget(start, end)

    def _release_host(self, start: int, end: int) -> None:
        """Give back the host's memory of pages that Unicorn has forgotten."""
        kept = []
        for low, high, host in self._hosts:
            first, last = max(start, low), min(end, high)
            if first >= last:
                kept.append((low, high, host))
                continue
            host.release(first, last)
            kept += [(low, first, host)] if low < first else []
            kept += [(last, high, host)] if last < high else []
        self._hosts = kept

    def protect(self, address: int, size: int, protection: int) -> None:
        """Change protection of mapped pages; raises `OutOfMemory` (as Linux does) for a hole."""
        size = page_up(size)
        if not self.covers(address, size):
            raise OutOfMemory
        if size and not (self._pool and self._pool.holds(address)):
            self._uc.mem_protect(address, size, protection)

    def overlaps(self, address: int, size: int) -> bool:
        """Whether any page of the range is mapped."""
        return bool(self._intersection(address, page_up(size)))

    def allocate(self, size: int, protection: int) -> int:
        """Map zeroed pages somewhere.

        An address outside the pool is never given twice: a use after `munmap` is found.
        """
        size = page_up(size)
        if self.mapped + size > self.limit:
            raise OutOfMemory
        if len(self.ranges) >= SEPARATE_MAPPINGS:
            if self._pool is None:
                self._pool = _Pool(self._uc)
            address = self._pool.take(size)
            self.map(address, size, protection)
            return address
        address = self._next - size
        if address < STACK_TOP >> 1:
            raise OutOfMemory
        self.map(address, size, protection)
        self._next = address
        return address

    def set_brk(self, address: int) -> int:
        """Move the end of the heap; the new end, or the old one if it cannot be moved there."""
        if address < self.brk_start:
            return self.brk
        old, new = page_up(self.brk), page_up(address)
        if new > old:
            if self._intersection(old, new - old):
                return self.brk
            try:
                self.map(old, new - old, 3)
            except OutOfMemory:
                return self.brk
        else:
            self.unmap(new, old - new)
        self.brk = address
        return address

    def _intersection(self, address: int, size: int) -> list[tuple[int, int]]:
        limit = address + size
        found = []
        index = max(0, bisect_right(self.ranges, (address, 1 << 64)) - 1)
        while index < len(self.ranges) and self.ranges[index][0] < limit:
            start, end = self.ranges[index]
            if end > address:
                found.append((max(start, address), min(end, limit)))
            index += 1
        return found

    def _forget(self, start: int, end: int) -> None:
        index = bisect_right(self.ranges, (start, 1 << 64)) - 1
        low, high = self.ranges[index]
        pieces = [(low, start)] if low < start else []
        if end < high:
            pieces.append((end, high))
        self.ranges[index : index + 1] = pieces
