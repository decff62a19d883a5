"""Frontiers: for each query the entities that its paths have reached so far, and the edges that lead further.

On a large graph a query touches a small part of it. So each query of a batch has rows of its own, one for every entity
that it has reached; an edge whose removal the query asks for (its own, while training) is never walked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cortigraph.reasoning.reasoners.structure import Rows, Segments, Structure
from cortigraph.reasoning.reasoners.threads import compiled

__all__ = ["Frontier", "Step", "Walked", "arranged", "begin", "expand", "hidden_of"]


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
        hidden: For each query an edge that it must not see, in both directions: (queries, 3); none where it is -1,
            all between head and tail where only its relation is.

    Returns:
        The edges, and what they reach.

    Example:
        >>> edges = Structure.of(np.array([[0, 0, 1], [1, 1, 0], [1, 0, 2]]), nodes=3, relations=2)
        >>> step = expand(begin(np.array([0])), edges)
        >>> step.frontier.entity.tolist(), step.by_target.first.tolist()
        ([0, 1], [0, 0, 1])
    """
    found, out = Walked.empty(frontier, edges), edges.by_source
    _loops().walk(
        frontier.first, frontier.entity, out.first, out.left, out.right, hidden_of(frontier, hidden), found.turns,
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


def hidden_of(frontier: Frontier, hidden: Rows | None) -> Rows:
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
    _loops().arrange(
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


def _loops() -> Any:
    return compiled("cortigraph.reasoning.reasoners.path._frontier_loops")
