"""Functions compiled in several processes: each takes a share, and sends back finished code.

The processes are forks, so that nothing has to be sent to them.  This one does a share as
well, and whatever another did not deliver (it met an error, was killed, had no memory): an
error appears here, as it would without other processes, and never twice.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from hashlib import blake2b

from callproof.codegen.emit import EmittedFunction
from callproof.codegen.packed import Packed, pack, unpack
from callproof.ir.model import Function

DIGEST = 32  # bytes before what is sent: half of it is as good as nothing
ENOUGH = 25_000  # IR instructions from which on more processes pay, where nobody says how many
MOST = 8  # processes, likewise: memory is limited, and linking is done in one


def weight(function: Function) -> int:
    """How long a function takes: its IR instructions, before the back end has it."""
    return sum(len(block.instructions) for block in function.blocks)


def processes(asked: int, weights: Sequence[int]) -> int:
    """How many processes to use for functions of these weights; `asked`: 0 to choose."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1  # others' locks would stay locked in a fork
    if asked:
        return min(asked, len(weights)) or 1
    if sum(weights) < ENOUGH:
        return 1
    return min(len(os.sched_getaffinity(0)), MOST, len(weights))


def shares(weights: Sequence[int], count: int) -> list[list[int]]:
    """Indices by process: the heaviest first, each to whom has least; in order in each."""
    totals = [0] * count
    found: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(weights)), key=lambda i: -weights[i]):
        least = totals.index(min(totals))
        totals[least] += weights[index] + 10
        found[least].append(index)
    return [sorted(share) for share in found]


def compile_shares(
    functions: Sequence[Function],
    weights: Sequence[int],
    count: int,
    compile_one: Callable[[Function], EmittedFunction],
) -> list[EmittedFunction]:
    """The functions' code in their order, compiled by `count` processes, this one included."""
    own, *others = shares(weights, count)
    children: list[tuple[int, int, list[int]]] = []  # process, its pipe's end, its share
    found: dict[int, EmittedFunction] = {}
    try:
        for share in others:
            child = _start([functions[i] for i in share], compile_one)
            if child is None:
                break  # what is not started is done here, below
            children.append((*child, share))
        for index in own:
            found[index] = compile_one(functions[index])
        while children:
            process, end, share = children[0]
            with open(end, "rb", closefd=False) as stream:
                received = _received(stream.read())
            if received is not None and len(received) == len(share):
                for index, packed in zip(share, received, strict=True):
                    found[index] = unpack(packed, functions[index].sites)
            _end(process, end)
            del children[0]
    finally:
        for process, end, _ in children:
            os.kill(process, signal.SIGKILL)  # not waited for yet, so the number is its own
            _end(process, end)
    for index, function in enumerate(functions):
        if index not in found:
            found[index] = compile_one(function)
    return [found[index] for index in range(len(functions))]


def _start(
    share: Sequence[Function], compile_one: Callable[[Function], EmittedFunction]
) -> tuple[int, int] | None:
    """A process that compiles a share: its number, and the pipe's end to read the result
    from; None if the system has no room for one."""
    try:
        end, start = os.pipe()
    except OSError:
        return None
    try:
        process = os.fork()
    except OSError:
        os.close(end)
        os.close(start)
        return None
    if process:
        os.close(start)
        return process, end
    # The fork: whatever happens, it must neither go on as if it were the compiler nor print.
    status = 1
    with contextlib.suppress(BaseException):
        os.close(end)
        data = marshal.dumps([pack(compile_one(function)) for function in share])
        with open(start, "wb") as stream:
            stream.write(blake2b(data, digest_size=DIGEST).digest() + data)
        status = 0
    os._exit(status)


def _received(data: bytes) -> list[Packed] | None:
    """What a process sent; None if that is not all of it."""
    digest, rest = data[:DIGEST], data[DIGEST:]
    if blake2b(rest, digest_size=DIGEST).digest() != digest:
        return None
    found: list[Packed] = marshal.loads(rest)
    return found


def _end(process: int, end: int) -> None:
    os.close(end)
    os.waitpid(process, 0)


__all__ = ["compile_shares", "processes", "shares", "weight"]
