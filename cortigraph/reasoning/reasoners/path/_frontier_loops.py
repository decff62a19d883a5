"""The loops of `frontier`. A module of their own, imported when first needed: importing numba takes a while."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["arrange", "unseen", "walk"]

_jit = numba.njit(parallel=True, cache=True)
_inline = numba.njit(inline="always", cache=True)


@_inline  # type: ignore[untyped-decorator]
def unseen(node: Any, by: Any, to: Any, head: Any, kind: Any, tail: Any, half: Any) -> Any:
    """Whether an edge is the one that is hidden, in either direction; without a kind all between the two are."""
    if node == head and to == tail:
        return kind < 0 or by == kind
    if node == tail and to == head:
        return kind < 0 or by == (kind - half if kind >= half else kind + half)
    return False


@_jit  # type: ignore[untyped-decorator]
def walk(
    first: Any, reached: Any, out: Any, targets: Any, relations: Any, hidden: Any, turns: Any, half: Any,
    room: Any, source: Any, relation: Any, target: Any, entity: Any, counts: Any, nodes: Any,
) -> None:  # fmt: skip
    for part in numba.prange(len(turns)):
        places = np.full(nodes, -1, dtype=np.int64)  # of each entity among the rows of the query at hand
        for query in turns[part]:
            if query < 0:
                break
            low, begin = first[query], room[query] + first[query]
            size = first[query + 1] - low
            for row in range(size):
                entity[begin + row] = reached[low + row]
                places[reached[low + row]] = row
            head, kind, tail = hidden[query, 0], hidden[query, 1], hidden[query, 2]
            at, total = room[query], size
            for row in range(size):
                node = reached[low + row]
                for edge in range(out[node], out[node + 1]):
                    to, by = targets[edge], relations[edge]
                    if unseen(node, by, to, head, kind, tail, half):
                        continue
                    if places[to] < 0:
                        places[to] = total
                        entity[begin + total] = to
                        total += 1
                    source[at], relation[at], target[at] = low + row, by, places[to]
                    at += 1
            counts[query, 0], counts[query, 1] = total, at - room[query]
            for row in range(total):
                places[entity[begin + row]] = -1


@_jit  # type: ignore[untyped-decorator]
def arrange(
    before: Any, room: Any, first: Any, ends: Any, turns: Any, relations: Any,
    source: Any, relation: Any, target: Any, entity: Any, reached: Any,
    into: Any, into_left: Any, into_right: Any, out: Any, out_left: Any, out_right: Any,
) -> None:  # fmt: skip
    for part in numba.prange(len(turns)):
        # What a query reaches, and from where, are rows of its own: nobody else writes there.
        for query in turns[part]:
            if query < 0:
                break
            low, rows, old = first[query], first[query + 1] - first[query], before[query]
            begin, edges, at = room[query], ends[query + 1] - ends[query], ends[query]
            for row in range(rows):
                reached[low + row] = entity[begin + old + row]
            for edge in range(edges):
                into[low + target[begin + edge] + 1] += 1
                out[source[begin + edge] + 1] += 1
            free = np.empty(rows, dtype=np.int64)
            total = at
            for row in range(rows):
                free[row] = total
                total += into[low + row + 1]
                into[low + row + 1] = total
            total = at
            for row in range(old, before[query + 1]):
                total += out[row + 1]
                out[row + 1] = total
            for edge in range(edges):
                to, by = target[begin + edge], query * relations + relation[begin + edge]
                into_left[free[to]], into_right[free[to]] = source[begin + edge], by
                free[to] += 1
                out_left[at + edge], out_right[at + edge] = low + to, by
