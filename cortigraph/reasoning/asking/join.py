"""Joins: what the graph itself holds of a question of several parts, all of it.

Each variable has the entities that it may be, and each two variables that clauses join the pairs that hold. What has
no partner in one clause is struck out of all others, until nothing changes: of a question without circles, just the
answers are left (Yannakakis, *Algorithms for Acyclic Database Schemes*, 1981). In circles each that is left is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Join", "Link"]


@dataclass(frozen=True)
class Link:
    """A clause over rows.

    Args:
        start: Name of a variable, or the row of an entity.
        relation: Number of the relation; from the number of relations on it is asked the other way round.
        end: As the start.
    """

    start: str | int
    relation: int
    end: str | int


class Join:
    """The answers that facts hold.

    Args:
        facts: The graph.
        links: All that must be true at once.
        asked: The variable that is asked for.

    Example:
        >>> import pyarrow as pa
        >>> columns = {"head": ["a", "a", "b"], "relation": ["r", "s", "r"], "tail": ["b", "c", "c"]}
        >>> facts = Facts.of(pa.table(columns))
        >>> join = Join(facts, [Link("x", 0, "y"), Link("y", 0, 2)], "x")
        >>> join.rows().tolist(), join.values(0)
        ([0], {'x': 0, 'y': 1})
    """

    def __init__(self, facts: Facts, links: Sequence[Link], asked: str) -> None:
        self._facts, self._nodes, self._asked = facts, len(facts.entities), asked
        self._may_be: dict[str, NDArray[np.bool_]] = {}
        self._pairs: dict[tuple[str, str], Rows] = {}  # (2, pairs): of the first variable and the second, sorted
        self._orders: dict[tuple[str, str], tuple[Rows, Rows]] = {}
        self._holds = True
        for link in links:
            self._take(link)
        self._strike_out()
        self._plans = self._planned()

    def rows(self, most: int | None = None) -> Rows:
        """The answers, by row.

        Args:
            most: So many are enough; all when left out.
        """
        own, *others = self._plans
        if not self._holds or any(self._completed(plan, {}) is None for plan in others):
            return np.zeros(0, dtype=np.int64)
        left = np.flatnonzero(self._may_be[self._asked])
        if len([pair for pair in self._pairs if pair[0] in own]) < len(own):  # no circle: what is left is an answer
            return left[:most]
        fits = (row for row in left.tolist() if self._completed(own, {self._asked: row}) is not None)
        return np.fromiter(islice(fits, most), dtype=np.int64)

    def values(self, row: int) -> dict[str, int]:
        """What the variables may be, all at once, where the one that is asked for is a certain answer.

        Args:
            row: Of the answer.
        """
        found = {self._asked: row}
        for plan in self._plans:
            found |= self._completed(plan, {self._asked: row} if plan[0] == self._asked else {}) or {}
        return found

    def _take(self, link: Link) -> None:
        """What a clause says of its variable, or of its two."""
        count = len(self._facts.relations)
        turned = link.relation >= count
        start, end = (link.end, link.start) if turned else (link.start, link.end)
        triples = self._facts.triples
        heads, tails = triples[triples[:, 1] == link.relation % count][:, [0, 2]].T
        if isinstance(start, int) and isinstance(end, int):
            self._holds &= bool(((heads == start) & (tails == end)).any())
        elif isinstance(start, int):
            self._narrow(str(end), tails[heads == start])
        elif isinstance(end, int):
            self._narrow(start, heads[tails == end])
        elif start == end:
            self._narrow(start, heads[heads == tails])
        else:
            first, second = sorted((start, end))
            one, other = (heads, tails) if first == start else (tails, heads)
            codes = np.unique(one * self._nodes + other)
            if (first, second) in self._pairs:
                there = self._pairs[first, second]
                codes = np.intersect1d(codes, there[0] * self._nodes + there[1], assume_unique=True)
            self._pairs[first, second] = np.stack([codes // self._nodes, codes % self._nodes])

    def _narrow(self, name: str, rows: Rows) -> None:
        mask = np.zeros(self._nodes, dtype=bool)
        mask[rows] = True
        self._may_be[name] = mask & self._may_be.get(name, True)

    def _strike_out(self) -> None:
        """Leaves only pairs both of whose ends may be, and entities that are in such a pair of each two variables."""
        for pair, rows in self._pairs.items():
            for name, own in zip(pair, rows, strict=True):
                self._narrow(name, own)
        struck = True
        while struck:
            struck = False
            for pair, rows in self._pairs.items():
                there = self._may_be[pair[0]][rows[0]] & self._may_be[pair[1]][rows[1]]
                if not there.all():
                    struck, self._pairs[pair] = True, rows[:, there]
                    for name, own in zip(pair, self._pairs[pair], strict=True):
                        self._narrow(name, own)

    def _planned(self) -> list[list[str]]:
        """Variables that hang together, each in the order in which to try them: circles first, then what hangs on."""
        left = [self._asked, *sorted(set(self._may_be) - {self._asked})]
        plans = []
        while left:
            whole = self._together(left[0])
            ends: list[str] = []
            while end := next((name for name in whole[1:] if self._neighbours(name, whole) <= 1), None):
                whole.remove(end)
                ends.insert(0, end)
            plans.append(whole + ends)
            left = [name for name in left if name not in plans[-1]]
        return plans

    def _together(self, first: str) -> list[str]:
        """A variable and what hangs together with it; what most of those before it say something of comes first."""
        found = [first]
        while True:
            beyond = {name for pair in self._pairs if set(pair) & set(found) for name in pair} - set(found)
            if not beyond:
                return found
            found.append(max(sorted(beyond), key=lambda name: self._neighbours(name, found)))

    def _neighbours(self, name: str, among: Sequence[str]) -> int:
        return sum(name in pair and set(pair) <= {name, *among} for pair in self._pairs)

    def _completed(self, plan: Sequence[str], values: dict[str, int]) -> dict[str, int] | None:
        """Values for all variables of a plan, those given included; none where there are none."""
        if len(values) == len(plan):
            return values
        name = plan[len(values)]
        for row in self._options(name, values):
            found = self._completed(plan, {**values, name: row})
            if found is not None:
                return found
        return None

    def _options(self, name: str, values: dict[str, int]) -> Iterator[int]:
        options: Rows | None = None
        for other, row in values.items():
            if (name, other) in self._pairs or (other, name) in self._pairs:
                own = self._partners(other, row, name)
                options = own if options is None else np.intersect1d(options, own, assume_unique=True)
        yield from (np.flatnonzero(self._may_be[name]) if options is None else options).tolist()

    def _partners(self, given: str, row: int, wanted: str) -> Rows:
        """What a variable may be where another is a certain entity; sorted."""
        if (given, wanted) not in self._orders:
            one, other = self._pairs[given, wanted] if given < wanted else self._pairs[wanted, given][::-1]
            order = np.lexsort((other, one))
            self._orders[given, wanted] = one[order], other[order]
        one, other = self._orders[given, wanted]
        low, high = np.searchsorted(one, row, side="left"), np.searchsorted(one, row, side="right")
        return other[low:high]
