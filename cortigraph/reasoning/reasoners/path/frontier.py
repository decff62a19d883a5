"""Frontiers: for each query the entities that its paths have reached so far, and the edges that lead further.

On a large graph a query touches a small part of it. So each query of a batch has rows of its own, one for every entity
that it has reached; an edge whose removal the query asks for (its own, while training) is never walked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from cortigraph.reasoning.reasoners.structure import Rows, Segments, Structure

__all__ = ["Frontier", "Step", "Walked", "arranged", "begin", "expand", "facts_of"]


@dataclass(frozen=True, eq=False)
class Frontier:
    """What is reached.

    Args:
        first: Where the rows of each query begin: (queries + 1).
        entity: The entity of each row.
    """

    first: Rows
    entity: Rows

    def __len__(self) -> int:
        return len(self.entity)

    @property
    def query(self) -> Rows:
        """The query of each row."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True, eq=False)
class Step:
    """One step outwards.

    Args:
        frontier: What is reached after it; what was reached before comes first in each query.
        old: For each row of the frontier before, its row now.
        by_target: Rows before, and numbers of relations, by row now. Each query numbers them on its own:
            `query * relations + relation`.
        by_source: Rows now, and numbers of relations, by row before.
        parts: Where the rows of each query began before it.
    """

    frontier: Frontier
    old: Rows
    by_target: Segments
    by_source: Segments
    parts: Rows


def begin(heads: Rows) -> Frontier:
    """The frontiers of queries before the first step: their heads.

    Args:
        heads: (queries).
    """
    return Frontier(np.arange(len(heads) + 1), np.asarray(heads, dtype=np.int64))


def expand(frontier: Frontier, edges: Structure, hidden: Rows | None = None) -> Step:
    """All edges that leave what is reached.

    Args:
        frontier: What is reached.
        edges: Of the graph, in both directions.
        hidden: For each query an edge that it must not see, in both directions: (queries, 3); none where it is -1.

    Returns:
        The edges, and what they reach.

    Example:
        >>> edges = Structure.of(np.array([[0, 0, 1], [1, 1, 0], [1, 0, 2]]), nodes=3, relations=2)
        >>> step = expand(begin(np.array([0])), edges)
        >>> step.frontier.entity.tolist(), step.by_target.first.tolist()
        ([0, 1], [0, 0, 1])
    """
    found, out = Walked.empty(frontier, edges), edges.by_source
    walk, _ = _kernels()
    walk(
        frontier.first, frontier.entity, out.first, out.left, out.right, facts_of(frontier, hidden), found.turns,
        edges.relations // 2, found.room, found.source, found.relation, found.target, found.entity, found.counts,
        edges.nodes,
    )  # fmt: skip
    return arranged(frontier, found, edges.relations)


@dataclass(frozen=True, eq=False)
class Walked:
    """The edges that queries have walked, one by one, each query's in a place of its own.

    Args:
        room: Where the place of each query's edges begins; that of its entities lies as many further as there are rows
            before it.
        source: The row before that each leaves.
        relation: Its relation.
        target: Of what the query reaches, the number that it reaches.
        entity: What is reached: all that was before, in order, and the new ones.
        counts: How many entities and edges each query has: (queries, 2).
        turns: The queries of each thread: (threads, any), -1 where there are no more.
    """

    room: Rows
    source: Rows
    relation: Rows
    target: Rows
    entity: Rows
    counts: Rows
    turns: Rows

    @classmethod
    def empty(cls, frontier: Frontier, edges: Structure) -> Walked:
        """Room for all edges that leave what is reached."""
        most = np.diff(edges.by_source.first)[frontier.entity]
        room = np.concatenate([[0], np.cumsum(most)])[frontier.first]
        source, relation, target = (np.empty(room[-1], dtype=np.int64) for _ in range(3))
        entity = np.empty(room[-1] + len(frontier), dtype=np.int64)
        counts = np.zeros((len(room) - 1, 2), dtype=np.int64)
        return cls(room, source, relation, target, entity, counts, _turns(np.diff(room), torch.get_num_threads()))


def facts_of(frontier: Frontier, hidden: Rows | None) -> Rows:
    """For each query the edge that it must not see; -1 where there is none."""
    queries = len(frontier.first) - 1
    return np.full((queries, 3), -1, dtype=np.int64) if hidden is None else np.ascontiguousarray(hidden)


def arranged(frontier: Frontier, walked: Walked, relations: int) -> Step:
    """Edges that were walked, by target and by source.

    Args:
        frontier: Where they began.
        walked: The edges.
        relations: How many there are.
    """
    first, ends = (np.concatenate([[0], np.cumsum(column)]) for column in walked.counts.T)
    by_target, by_source = (
        Segments(np.zeros(rows + 1, dtype=np.int64), *(np.empty(ends[-1], dtype=np.int64) for _ in range(2)))
        for rows in (first[-1], len(frontier))
    )
    reached = np.empty(first[-1], dtype=np.int64)
    _, arrange = _kernels()
    arrange(
        frontier.first, walked.room, first, ends, walked.turns, relations, walked.source, walked.relation,
        walked.target, walked.entity, reached, by_target.first, by_target.left, by_target.right, by_source.first,
        by_source.left, by_source.right,
    )  # fmt: skip
    old = np.arange(len(frontier)) + np.repeat(first[:-1] - frontier.first[:-1], np.diff(frontier.first))
    return Step(Frontier(first, reached), old, by_target, by_source, parts=frontier.first)


def _turns(work: Rows, threads: int) -> Rows:
    """The queries of each thread, so that all have about the same work: (threads, any), -1 where there are no more."""
    threads = max(1, min(len(work), threads))
    order = np.full(-(-len(work) // threads) * threads, -1, dtype=np.int64)
    order[: len(work)] = np.argsort(-work, kind="stable")
    rounds = order.reshape(-1, threads)
    rounds[1::2] = rounds[1::2, ::-1]
    return np.ascontiguousarray(rounds.T)


@cache
def _kernels() -> tuple[Any, Any]:
    import numba

    @numba.njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
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
                back = kind - half if kind >= half else kind + half
                at, total = room[query], size
                for row in range(size):
                    node = reached[low + row]
                    for edge in range(out[node], out[node + 1]):
                        to, by = targets[edge], relations[edge]
                        if (node == head and to == tail and by == kind) or (node == tail and to == head and by == back):
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

    @numba.njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
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

    return walk, arrange
