"""The functions of libSystem that programs call on the small macOS of `darwin.py`.

Each takes its arguments from the registers, and gives what is to be in X0 or D0.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.darwin import Mac

PAGE = 0x4000
STACK_TOP = 0x3_0000_0000


class Ended(Exception):
    """The program called exit."""


NUMBER = (
    rb"(?i)\s*[-+]?(0x[0-9a-f]+\.?[0-9a-f]*(p[-+]?\d+)?|inf(inity)?|nan"
    rb"|(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)"
)


def _exit(mac: Mac) -> int:
    mac.status = mac.get("X0") & 0xFF
    raise Ended


def _write(mac: Mac) -> int:
    handle, place, size = (mac.get(f"X{n}") for n in range(3))
    mac.output[handle] += mac.uc.mem_read(place, size)
    return size


def _read(mac: Mac) -> int:
    handle, place, size = (mac.get(f"X{n}") for n in range(3))
    assert handle == 0
    data, mac.stdin = mac.stdin[:size], mac.stdin[size:]
    mac.uc.mem_write(place, data)
    return len(data)


def _memset(mac: Mac) -> int:
    place, value, size = (mac.get(f"X{n}") for n in range(3))
    mac.uc.mem_write(place, bytes((value & 0xFF,)) * size)
    return place


def _bzero(mac: Mac) -> int:
    mac.uc.mem_write(mac.get("X0"), bytes(mac.get("X1")))
    return 0


def _memcpy(mac: Mac) -> int:
    to, place, size = (mac.get(f"X{n}") for n in range(3))
    mac.uc.mem_write(to, bytes(mac.uc.mem_read(place, size)))
    return to


def _memcmp(mac: Mac) -> int:
    one, other, size = (mac.get(f"X{n}") for n in range(3))
    a, b = bytes(mac.uc.mem_read(one, size)), bytes(mac.uc.mem_read(other, size))
    return (a > b) - (a < b)


def _malloc(mac: Mac) -> int:
    return mac.allocate(mac.get("X0"))


def _calloc(mac: Mac) -> int:
    return mac.allocate(mac.get("X0") * mac.get("X1"))


def _realloc(mac: Mac) -> int:
    old, size = mac.get("X0"), mac.get("X1")
    new = mac.allocate(size)
    if old:
        kept = min(size, mac.sizes[old])
        mac.uc.mem_write(new, bytes(mac.uc.mem_read(old, kept)))
    return new


def _mmap(mac: Mac) -> int:
    assert mac.get("X3") & 0x1002 == 0x1002  # MAP_ANON, MAP_PRIVATE: Darwin's numbers
    return mac.allocate(mac.get("X1"), PAGE)


def _mprotect(mac: Mac) -> int:
    place, size, protection = (mac.get(f"X{n}") for n in range(3))
    assert place % PAGE == 0 and size % PAGE == 0
    mac.uc.mem_protect(place, size, protection)
    return 0


def _getenv(mac: Mac) -> int:
    value = mac.environment.get(mac.text(mac.get("X0")).decode())
    if value is None:
        return 0
    place = mac.allocate(len(value) + 1)
    mac.uc.mem_write(place, value.encode() + b"\0")
    return place


def _snprintf(mac: Mac) -> int:
    to, size = mac.get("X0"), mac.get("X1")
    text = mac.format(mac.text(mac.get("X2")), mac.get("SP"))
    if size:
        mac.uc.mem_write(to, text[: size - 1] + b"\0")
    return len(text)


def _vsnprintf(mac: Mac) -> int:
    to, size = mac.get("X0"), mac.get("X1")
    text = mac.format(mac.text(mac.get("X2")), mac.get("X3"))
    if size:
        mac.uc.mem_write(to, text[: size - 1] + b"\0")
    return len(text)


def _dprintf(mac: Mac) -> int:
    text = mac.format(mac.text(mac.get("X1")), mac.get("SP"))
    mac.output[mac.get("X0")] += text
    return len(text)


def _vdprintf(mac: Mac) -> int:
    text = mac.format(mac.text(mac.get("X1")), mac.get("X2"))  # va_list is a pointer
    mac.output[mac.get("X0")] += text
    return len(text)


def _sigaction(mac: Mac) -> int:
    handler = mac.word(mac.get("X1"))
    (flags,) = struct.unpack("<i", bytes(mac.uc.mem_read(mac.get("X1") + 12, 4)))
    assert flags & 0x41 == 0x41  # SA_SIGINFO, SA_ONSTACK
    mac.handlers[mac.get("X0")] = handler
    return 0


def _sigaltstack(mac: Mac) -> int:
    mac.signal_stack = mac.word(mac.get("X0")) + mac.word(mac.get("X0") + 8)
    return 0


def _printf(mac: Mac) -> int:
    text = mac.format(mac.text(mac.get("X0")), mac.get("SP"))
    mac.output[1] += text
    return len(text)


def _fprintf(mac: Mac) -> int:
    text = mac.format(mac.text(mac.get("X1")), mac.get("SP"))
    mac.output[mac.get("X0")] += text
    return len(text)


def _fwrite(mac: Mac) -> int:
    size = mac.get("X1") * mac.get("X2")
    mac.output[mac.get("X3")] += mac.uc.mem_read(mac.get("X0"), size)
    return mac.get("X2")


def _fputc(mac: Mac) -> int:
    mac.output[mac.get("X1")].append(mac.get("X0") & 0xFF)
    return mac.get("X0") & 0xFF


def _putchar(mac: Mac) -> int:
    mac.output[1].append(mac.get("X0") & 0xFF)
    return mac.get("X0") & 0xFF


def _puts(mac: Mac) -> int:
    mac.output[1] += mac.text(mac.get("X0")) + b"\n"
    return 1


def _clock_gettime(mac: Mac) -> int:
    mac.put(mac.get("X1"), 1_700_000_000)
    mac.put(mac.get("X1") + 8, sum(mac.calls.values()))
    return 0


def _nanosleep(mac: Mac) -> int:
    mac.slept += mac.word(mac.get("X0")) + mac.word(mac.get("X0") + 8) / 1e9
    return 0


def _clock(mac: Mac) -> int:
    return sum(mac.calls.values())  # microseconds


def _error(mac: Mac) -> int:
    if not mac.error_place:
        mac.error_place = mac.allocate(8)
    return mac.error_place


def _fopen(mac: Mac) -> int:
    """There are no files: ENOENT."""
    mac.uc.mem_write(_error(mac), struct.pack("<i", 2))
    return 0


def _strcmp(mac: Mac) -> int:
    a, b = mac.text(mac.get("X0")), mac.text(mac.get("X1"))
    return (a > b) - (a < b)


def _memchr(mac: Mac) -> int:
    place, byte, size = (mac.get(f"X{n}") for n in range(3))
    at = bytes(mac.uc.mem_read(place, size)).find(byte & 0xFF)
    return place + at if at >= 0 else 0


def _remainder(a: float, b: float) -> float:
    try:
        return math.fmod(a, b)
    except ValueError:
        return math.nan


def _sysctlbyname(mac: Mac) -> int:
    assert mac.text(mac.get("X0")) == b"hw.memsize"
    mac.put(mac.get("X1"), 8 << 30)
    return 0


def _strtoull(mac: Mac) -> int:
    match = re.match(rb"\s*(\d+)", mac.text(mac.get("X0")))
    return int(match[1]) if match else 0


def _strtod(mac: Mac) -> float:
    place = mac.get("X0")
    match = re.match(NUMBER, mac.text(place))
    if mac.get("X1"):
        mac.put(mac.get("X1"), place + (match.end() if match else 0))
    if match and b"x" in match[0].lower():
        return float.fromhex(match[0].decode())
    return float(match[0]) if match else 0.0


def _wcslen(mac: Mac) -> int:
    place = mac.get("X0")
    length = 0
    while bytes(mac.uc.mem_read(place + 4 * length, 4)) != bytes(4):
        length += 1
    return length


def _qsort(mac: Mac) -> int:
    place, count, size, compare = (mac.get(f"X{n}") for n in range(4))
    items = [bytes(mac.uc.mem_read(place + size * n, size)) for n in range(count)]
    one, other = mac.allocate(size), mac.allocate(size)

    def order(a: Any, b: Any) -> int:
        mac.uc.mem_write(one, a)
        mac.uc.mem_write(other, b)
        result = mac.call_back(compare, one, other) & 0xFFFFFFFF
        return result - (result >> 31 << 32)

    mac.uc.mem_write(place, b"".join(sorted(items, key=cmp_to_key(order))))
    return 0


def _math(function: Callable[..., float], count: int = 1) -> Callable[[Mac], float]:
    def call(mac: Mac) -> float:
        return function(*(mac.double(n) for n in range(count)))

    return call


def _constant(value: int) -> Callable[[Mac], int]:
    return lambda mac: value


FUNCTIONS: dict[str, Callable[[Mac], int | float]] = {
    "_exit": _exit,
    "__exit": _exit,
    "_write": _write,
    "_read": _read,
    "_memset": _memset,
    "_bzero": _bzero,
    "_memcpy": _memcpy,
    "_memmove": _memcpy,
    "___memcpy_chk": _memcpy,
    "_memcmp": _memcmp,
    "_malloc": _malloc,
    "_calloc": _calloc,
    "_realloc": _realloc,
    "_free": _constant(0),
    "_mmap": _mmap,
    "_munmap": _constant(0),
    "_mprotect": _mprotect,
    "_getenv": _getenv,
    "_snprintf": _snprintf,
    "_dprintf": _dprintf,
    "_vsnprintf": _vsnprintf,
    "_vdprintf": _vdprintf,
    "_printf": _printf,
    "_fprintf": _fprintf,
    "_fwrite": _fwrite,
    "_fputc": _fputc,
    "_putchar": _putchar,
    "_puts": _puts,
    "_fflush": _constant(0),
    "_clock_gettime": _clock_gettime,
    "_sysctlbyname": _sysctlbyname,
    "_nanosleep": _nanosleep,
    "_clock": _clock,
    "___error": _error,
    "_fopen": _fopen,
    "_strcmp": _strcmp,
    "_strtoull": _strtoull,
    "_strtod": _strtod,
    "_strlen": lambda mac: len(mac.text(mac.get("X0"))),
    "_wcslen": _wcslen,
    "_qsort": _qsort,
    "_isatty": _constant(0),
    "_sigaction": _sigaction,
    "_sigaltstack": _sigaltstack,
    "_signal": _constant(0),
    "_pthread_self": _constant(STACK_TOP),
    "_pthread_get_stackaddr_np": _constant(STACK_TOP),
    "_memchr": _memchr,
    "_fmod": _math(_remainder, 2),
    "_pow": _math(math.pow, 2),
    **{f"_{name}": _math(getattr(math, name)) for name in ("sin", "cos", "tan", "exp", "log")},
}
