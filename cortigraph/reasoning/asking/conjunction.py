"""Conjunctions: what a reasoner predicts of questions of several parts, answered part by part, joined by fuzzy logic.

How true it is that an entity answers a part is the reasoner's calibrated probability; what the graph holds is true, and
is followed wherever it leads. `AND` is the product; of several entities that a variable in between may be, the best
counts, and only from the likeliest of them are facts predicted (a beam). See Arakelyan et al., *Complex Query Answering
with Neural Link Predictors* (2021), and Zhu et al., *Neural-Symbolic Models for Logical Queries on Knowledge Graphs*
(2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.asking.answers import Step
from cortigraph.reasoning.asking.carriers import Carriers
from cortigraph.reasoning.asking.join import Link
from cortigraph.reasoning.asking.mind import Sight
from cortigraph.reasoning.asking.pattern import Branch
from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Conjunction"]

Bound = Callable[[Branch], Link]


@dataclass(frozen=True, eq=False)
class _Part:
    """A branch, answered.

    Args:
        relation: Number of its relation, asked from the far end.
        truth: Of each entity at the near end: (entities).
        most: What that may be at most, if no beam had cut: (entities).
        via: For each entity which at the far end is best.
        each: Truth of the fact between the two.
        known: Whether the graph holds it.
        below: What led to the far end.
        cut: How many entities might have been followed, and were not.
    """

    relation: int
    truth: Floats
    most: Floats
    via: Rows
    each: Floats
    known: NDArray[np.bool_]
    below: tuple[_Part, ...] = field(default=())
    cut: int = 0


class Conjunction:
    """A tree of branches before a reasoner.

    Args:
        sight: The reasoner, and what it sees of the graph.
        branches: What leads to the variable that is asked for.
        bound: A branch's clause by rows.
        conditions: Clauses without a variable.
        beam: Entities from which facts are predicted, at most, for a variable in between.
    """

    def __init__(
        self, sight: Sight, branches: Sequence[Branch], bound: Bound, conditions: Sequence[Link], *, beam: int = 16
    ) -> None:
        self._sight, self._bound, self._beam = sight, bound, beam
        self._facts = sight.knowledge.facts
        self._parts = tuple(map(self._answered, branches))
        self._conditions = [(link, *self._held(link)) for link in conditions]
        sure = float(np.prod([truth for _, truth, _ in self._conditions]))
        self.truth: Floats = sure * np.prod([part.truth for part in self._parts], axis=0)
        self._most: Floats = sure * np.prod([part.most for part in self._parts], axis=0)

    def best(self, known: Rows, top: int) -> Rows:
        """The likeliest answers.

        Args:
            known: Rows of those that the graph holds, which are told already.
            top: How many.
        """
        truth = self.truth.copy()
        truth[known] = 0.0
        order = np.argsort(-truth, kind="stable")[:top]
        return order[truth[order] > 0]

    def cut(self, known: Rows, told: Rows, top: int) -> int:
        """How many entities were not followed although they might have led to a better answer; 0 if none can have.

        Args:
            known: Rows of the answers that the graph holds.
            told: Rows of the likeliest others, which are told.
            top: How many of these were wanted.
        """
        others = self._most.copy()
        others[known] = others[told] = 0.0
        least = self.truth[told].min(initial=1.0) if len(told) >= top else 0.0
        return sum(part.cut for part in self._all(self._parts)) if others.max(initial=0.0) > least else 0

    def steps(self, row: int, carriers: Carriers, paths: int) -> tuple[Step, ...]:
        """The facts that lead to an answer, those nearest to it first, and then the conditions.

        Args:
            row: Of the answer.
            carriers: Say why each of them holds.
            paths: For each fact.
        """
        found = [each for part in self._parts for each in self._steps(part, row, carriers, paths)]
        return (*found, *(carriers.step(link, truth, held, paths) for link, truth, held in self._conditions))

    def _answered(self, branch: Branch) -> _Part:
        link, count, nodes = self._bound(branch), len(self._facts.relations), len(self._facts.entities)
        number = (link.relation + count) % (2 * count) if branch.backwards else link.relation
        beyond = link.end if branch.backwards else link.start
        below = tuple(map(self._answered, branch.branches))
        before, most = np.zeros(nodes), np.zeros(nodes)
        if below:
            before = np.prod([part.truth for part in below], axis=0)
            most = np.prod([part.most for part in below], axis=0)
        elif isinstance(beyond, int):
            before[beyond] = most[beyond] = 1.0
        (truth, via), (upper, _) = self._led(number, before), self._led(number, most)
        each, known = np.ones(nodes), truth > 0
        left = (self._sight.places >= 0) & (most > 0) & (self._sight.numbers[number] >= 0)
        likely = np.flatnonzero(left & (before > 0))
        followed = likely[np.argsort(-before[likely], kind="stable")][: self._beam]
        left[followed] = False
        for far, guess in self._guessed(followed, number):
            better = guess * before[far] > truth
            truth, via = np.where(better, guess * before[far], truth), np.where(better, far, via)
            each, known = np.where(better, guess, each), known & ~better
            upper = np.maximum(upper, guess * most[far])
        upper = np.maximum(upper, most[left].max(initial=0.0))
        return _Part(number, truth, upper, via, each, known, below, int(left.sum()))

    def _led(self, relation: int, before: Floats) -> tuple[Floats, Rows]:
        """Where facts lead: for each entity the greatest truth of what lies beyond, and which that is."""
        count, nodes = len(self._facts.relations), len(self._facts.entities)
        triples = self._facts.triples[self._facts.triples[:, 1] == relation % count]
        far, near = triples[:, [0, 2] if relation < count else [2, 0]].T
        order = np.argsort(before[far], kind="stable")
        truth, via = np.zeros(nodes), np.zeros(nodes, dtype=np.int64)
        far, near = far[order], near[order]
        truth[near], via[near] = before[far], far  # of several the last, the greatest, stays
        return truth, via

    def _guessed(self, rows: Rows, relation: int) -> Iterator[tuple[int, Floats]]:
        """For each entity the probabilities of what the graph does not hold: (entities)."""
        thought, sight = self._sight.thought, self._sight
        queries = np.stack([sight.places[rows], np.full(len(rows), sight.numbers[relation])], axis=1)
        first, answers = thought.known.of(queries)
        there = sight.rows >= 0
        for start in range(0, len(queries), thought.reasoner.batch):
            scores = thought.reasoner.score(thought.facts, queries[start : start + thought.reasoner.batch])
            for row, own in enumerate(scores, start):
                known = answers[first[row] : first[row + 1]]
                guess = thought.calibration.probabilities(own, known)
                guess[known] = 0.0
                found = np.zeros(len(self._facts.entities))
                found[sight.rows[there]] = guess[there]
                yield int(rows[row]), found

    def _held(self, link: Link) -> tuple[float, bool]:
        """How true a condition is, and whether the graph holds it."""
        assert isinstance(link.start, int)
        assert isinstance(link.end, int)
        if link.end in self._sight.knowledge.known.of(np.array([[link.start, link.relation]]))[1]:
            return 1.0, True
        if self._sight.query(link.start, link.relation) is None:
            return 0.0, False
        ((_, guess),) = self._guessed(np.array([link.start]), link.relation)
        return float(guess[link.end]), False

    def _all(self, parts: Sequence[_Part]) -> Iterator[_Part]:
        for part in parts:
            yield part
            yield from self._all(part.below)

    def _steps(self, part: _Part, row: int, carriers: Carriers, paths: int) -> Iterator[Step]:
        """The facts that lead to an entity, those nearest to it first."""
        far = int(part.via[row])
        yield carriers.step(Link(far, part.relation, row), float(part.each[row]), bool(part.known[row]), paths)
        for each in part.below:
            yield from self._steps(each, far, carriers, paths)
