"""Structure: the edges of a graph, sorted by target and by source, ready to be swept over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "Segments", "Structure"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segments:
    """Pairs of rows, segment by segment.

    Args:
        first: Where each segment begins, and where the last one ends: (segments + 1).
        left: (entries).
        right: (entries).
    """

    first: Rows
    left: Rows
    right: Rows

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def owners(self) -> Rows:
        """The segment of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))


@dataclass(frozen=True, eq=False)
class Structure:
    """Edges of a graph.

    Args:
        source: Row of the node that each edge leaves.
        relation: Its relation.
        target: Row of the node that it reaches.
        nodes: How many there are.
        relations: How many there are.
        part_of: The structure of which these edges were kept.
    """

    source: Rows
    relation: Rows
    target: Rows
    nodes: int
    relations: int
    part_of: Structure | None = None

    @classmethod
    def of(cls, triples: Rows, *, nodes: int, relations: int) -> Structure:
        """Edges as triples.

        Args:
            triples: (edges, 3): head, relation, tail.
            nodes: How many there are.
            relations: How many there are.

        Example:
            >>> edges = Structure.of(np.array([[0, 0, 1], [2, 0, 1]]), nodes=3, relations=1)
            >>> edges.by_target.first.tolist(), edges.by_target.left.tolist()
            ([0, 0, 2, 2], [0, 2])
        """
        source, relation, target = (np.ascontiguousarray(column, dtype=np.int64) for column in triples.reshape(-1, 3).T)
        return cls(source, relation, target, nodes, relations)

    def __len__(self) -> int:
        return len(self.source)

    def kept(self, keep: NDArray[np.bool_]) -> Structure:
        """Some of the edges.

        Args:
            keep: (edges).
        """
        if keep.all():
            return self
        columns = (self.source[keep], self.relation[keep], self.target[keep])
        found = Structure(*columns, self.nodes, self.relations, self.whole)
        # What is sorted already stays so: nothing need be sorted anew for each batch.
        found.__dict__["_orders"] = {name: _renumbered(order, keep) for name, order in self._orders.items()}
        return found

    @property
    def whole(self) -> Structure:
        """All edges of the graph, also if these are some of them."""
        return self.part_of or self

    @property
    def parts(self) -> Rows:
        """All sources are one part: any of them may have any relation."""
        return np.array([0, self.nodes])

    @cached_property
    def _orders(self) -> dict[str, Rows]:
        columns = {"by_target": self.target, "by_source": self.source}
        return {name: np.lexsort((self.relation, column)) for name, column in columns.items()}

    @cached_property
    def by_target(self) -> Segments:
        """Sources and relations, by target, and by relation within."""
        return _segments(self._orders["by_target"], self.target, self.nodes, self.source, self.relation)

    @cached_property
    def by_source(self) -> Segments:
        """Targets and relations, by source, and by relation within."""
        return _segments(self._orders["by_source"], self.source, self.nodes, self.target, self.relation)

    @cached_property
    def degree(self) -> Rows:
        """How many edges reach each node."""
        return np.bincount(self.target, minlength=self.nodes)


def _segments(order: Rows, by: Rows, count: int, left: Rows, right: Rows) -> Segments:
    first = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(by, minlength=count), out=first[1:])
    return Segments(first, left[order], right[order])


def _renumbered(order: Rows, keep: NDArray[np.bool_]) -> Rows:
    places = np.cumsum(keep) - 1
    return np.asarray(places[order[keep[order]]])
