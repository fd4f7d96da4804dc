"""Strongly connected components: which functions call each other, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def components(
    roots: Iterable[Node], edges: Mapping[Node, Collection[Node]]
) -> list[tuple[list[Node], bool]]:
    """Groups of nodes that reach each other, those that others lead to first, and whether a
    group leads back to itself.

    Tarjan's algorithm (1972), without recursion of its own.
    """
    number: dict[Node, int] = {}
    low: dict[Node, int] = {}
    open_: list[Node] = []
    is_open: set[Node] = set()
    result: list[tuple[list[Node], bool]] = []
    for root in roots:
        if root in number:
            continue
        work: list[tuple[Node, Iterator[Node]]] = [(root, iter(edges[root]))]
        number[root] = low[root] = len(number)
        open_.append(root)
        is_open.add(root)
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in number:
                    number[target] = low[target] = len(number)
                    open_.append(target)
                    is_open.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in is_open:
                    low[node] = min(low[node], number[target])
            else:
                work.pop()
                if work:
                    outer = work[-1][0]
                    low[outer] = min(low[outer], low[node])
                if low[node] == number[node]:
                    group = [open_.pop()]
                    while group[-1] != node:
                        group.append(open_.pop())
                    is_open.difference_update(group)
                    result.append((group, len(group) > 1 or node in edges[node]))
    return result
