"""Beams: the paths on which an answer's score hangs most, by the gradients of their edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["best_paths", "short_paths"]

Floats = NDArray[np.float32]
_BEAM = 8
_STRONGEST = 4000


def best_paths(
    edges: Structure, gradients: Floats, head: int, answer: int, *, longest: int, top: int = 3
) -> list[tuple[float, Rows]]:
    """Paths from a head to an answer, by the sum of their edges' gradients; none passes a node twice.

    The sum says, to first order, how much the score would lose if all edges of the path were gone.

    Args:
        edges: Of the graph, in both directions.
        gradients: Of each, in the order of `edges.by_source`.
        head: Where paths begin.
        answer: Where they end.
        longest: Edges that a path may have.
        top: How many paths.

    Returns:
        Sums, and the places of edges in the order of `edges.by_source`; best first.
    """
    if head == answer:
        return []  # it leads nowhere
    used = np.flatnonzero(gradients)
    if len(used) > _STRONGEST:
        used = used[np.argpartition(-gradients[used], _STRONGEST)[:_STRONGEST]]
        found = _searched(edges, gradients, np.sort(used), head, answer, longest, top)
        if found:
            return found
        used = np.flatnonzero(gradients)  # the strongest alone don't lead there
    return _searched(edges, gradients, used, head, answer, longest, top)


def _searched(
    edges: Structure, gradients: Floats, used: Rows, head: int, answer: int, longest: int, top: int
) -> list[tuple[float, Rows]]:
    out = edges.by_source
    sources = np.searchsorted(out.first, used, side="right") - 1
    nodes, both = np.unique(np.concatenate([sources, out.left[used], [head, answer]]), return_inverse=True)
    sources, targets = both[: len(used)], both[len(used) : -2]
    first = np.searchsorted(sources, np.arange(len(nodes) + 1))
    worth, at = np.empty((longest + 1) * _BEAM), np.full(((longest + 1) * _BEAM, longest), -1, dtype=np.int64)
    count = _kernel()(first, targets, gradients[used], both[-2], both[-1], longest, _BEAM, worth, at)
    order = np.argsort(-worth[:count], kind="stable")[:top]
    return [(float(worth[place]), used[at[place][at[place] >= 0]]) for place in order]


def short_paths(edges: Structure, head: int, answer: int, *, longest: int = 3, top: int = 3) -> list[Rows]:
    """The shortest paths from a head to an answer, those first that pass nodes with few edges.

    Args:
        edges: Of the graph, in both directions.
        head: Where paths begin.
        answer: Where they end.
        longest: Edges that a path may have.
        top: How many paths.

    Returns:
        Places of edges in the order of `edges.by_source`.
    """
    out = edges.by_source
    near, far = _distances(edges, head, longest), _distances(edges, answer, longest)
    inside = np.flatnonzero(near + far <= longest)
    starts, counts = out.first[inside], np.diff(out.first)[inside]
    places = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    sources = np.repeat(inside, counts)
    places = places[near[sources] + 1 + far[out.left[places]] <= longest]
    if head == answer or not len(places):
        return []
    costs = np.zeros(len(edges), dtype=np.float32)
    costs[places] = -1000.0 - np.log(edges.degree[out.left[places]] + 1.0)  # length first, then degrees
    return [path for _, path in _searched(edges, costs, places, head, answer, longest, top)]


def _distances(edges: Structure, node: int, longest: int) -> Rows:
    """Steps from a node to each, as far as that matters."""
    out = edges.by_source
    found = np.full(edges.nodes, longest + 1, dtype=np.int64)
    found[node] = 0
    reached = np.array([node])
    for steps in range(1, longest):
        counts = out.first[reached + 1] - out.first[reached]
        shift = np.repeat(out.first[reached] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        targets = np.unique(out.left[shift + np.arange(counts.sum())])
        reached = targets[found[targets] > steps]
        found[reached] = steps
    return found


@cache
def _kernel() -> Any:
    import numba

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def search(
        first: Any, targets: Any, gradients: Any, head: Any, answer: Any, longest: Any, beam: Any, worth: Any, at: Any
    ) -> Any:
        nodes = len(first) - 1
        total = np.full((longest + 1, nodes, beam), -np.inf)
        edge = np.full((longest + 1, nodes, beam), -1, dtype=np.int64)
        origin = np.full((longest + 1, nodes, beam, 2), -1, dtype=np.int64)
        total[0, head, 0] = 0.0
        for length in range(longest):
            for node in range(nodes):
                if node == answer or total[length, node, 0] == -np.inf:
                    continue
                for place in range(first[node], first[node + 1]):
                    target = targets[place]
                    for slot in range(beam):
                        value = total[length, node, slot]
                        if value == -np.inf:
                            break
                        value += gradients[place]
                        row = total[length + 1, target]
                        if value <= row[beam - 1]:
                            continue
                        # Has this path been there before?
                        back, which, step, seen = node, slot, length, False
                        while not seen and step >= 0:
                            seen = back == target
                            back, which = origin[step, back, which]
                            step -= 1
                        if seen:
                            continue
                        spot = beam - 1
                        while spot > 0 and row[spot - 1] < value:
                            row[spot] = row[spot - 1]
                            edge[length + 1, target, spot] = edge[length + 1, target, spot - 1]
                            origin[length + 1, target, spot] = origin[length + 1, target, spot - 1]
                            spot -= 1
                        row[spot] = value
                        edge[length + 1, target, spot] = place
                        origin[length + 1, target, spot, 0], origin[length + 1, target, spot, 1] = node, slot
        count = 0
        for length in range(1, longest + 1):
            for slot in range(beam):
                if total[length, answer, slot] == -np.inf:
                    break
                worth[count] = total[length, answer, slot]
                node, which = answer, slot
                for step in range(length, 0, -1):
                    at[count, step - 1] = edge[step, node, which]
                    node, which = origin[step, node, which]
                count += 1
        return count

    return search
