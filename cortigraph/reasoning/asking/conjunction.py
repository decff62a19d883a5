"""Conjunctions: questions of several parts, answered part by part and joined by fuzzy logic.

How true it is that an entity answers a part is the reasoner's calibrated probability; what the graph holds is true.
`AND` is the product; of several entities that a variable in between may be, the best counts, and only the likeliest are
followed (a beam). See Arakelyan et al., *Complex Query Answering with Neural Link Predictors* (2021), and Zhu et al.,
*Neural-Symbolic Models for Logical Queries on Knowledge Graphs* (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.asking.answers import Answer, Step
from cortigraph.reasoning.asking.carriers import Carrier
from cortigraph.reasoning.asking.mind import Thought
from cortigraph.reasoning.asking.pattern import Branch
from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Conjunction"]

Resolve = Callable[[str], int]


@dataclass(frozen=True, eq=False)
class _Part:
    """A branch, answered.

    Args:
        branch: Which.
        relation: Number of its relation, asked from the far end.
        truth: Of each entity at the near end: (entities).
        beyond: Rows of the entities at the far end that were followed.
        each: Truth of the fact between each of them and each entity: (followed, entities).
        known: Whether the graph holds it, in the same form.
        via: For each entity which of the followed is best.
        below: What led to the far end.
    """

    branch: Branch
    relation: int
    truth: Floats
    beyond: Rows
    each: Floats
    known: NDArray[np.bool_]
    via: Rows
    below: tuple[_Part, ...] = field(default=())


class Conjunction:
    """A tree of branches before a reasoner.

    Args:
        thought: The reasoner and what it sees.
        branches: What leads to the variable that is asked for.
        entity: Row of an entity by its text.
        relation: Number of a relation by its text.
        beam: Entities that a variable in between may be, at most.
    """

    def __init__(
        self, thought: Thought, branches: Sequence[Branch], entity: Resolve, relation: Resolve, *, beam: int = 16
    ) -> None:
        self._thought, self._entity, self._relation, self._beam = thought, entity, relation, beam
        self._carriers: dict[tuple[int, int], Carrier] = {}
        self._parts = tuple(map(self._answered, branches))
        self.truth: Floats = np.prod([part.truth for part in self._parts], axis=0)

    def answer(self, row: int, paths: int) -> Answer:
        """One answer, with the facts that it rests on.

        Args:
            row: Of the entity.
            paths: For each fact.
        """
        steps = tuple(step for part in self._parts for step in self._steps(part, row, paths))
        key = str(self._thought.facts.entities[row])
        name = self._thought.knowledge.called(int(self._thought.view.rows[row]))
        truth = float(self.truth[row])
        return Answer(key, name, truth, truth, all(step.known for step in steps), steps=steps)

    def _answered(self, branch: Branch) -> _Part:
        thought = self._thought
        count = len(thought.facts.relations)
        number = self._relation(branch.clause.relation)
        number = (number + count) % (2 * count) if branch.backwards else number
        if branch.branches:
            below = tuple(map(self._answered, branch.branches))
            told: Floats = np.prod([part.truth for part in below], axis=0)
            likeliest = np.argsort(-told, kind="stable")[: self._beam]
            beyond, before = likeliest[told[likeliest] > 0], told
        else:
            below, beyond = (), np.array([self._entity(branch.beyond)])
            before = np.ones(len(thought.facts.entities))
        queries = np.stack([beyond, np.full(len(beyond), number)], axis=1)
        each, known = self._truths(queries)
        joined = each * before[beyond][:, None]
        empty = np.zeros(len(thought.facts.entities))
        truth, via = (joined.max(axis=0), joined.argmax(axis=0)) if len(beyond) else (empty, empty.astype(np.int64))
        return _Part(branch, number, truth, beyond, each, known, via, below)

    def _truths(self, queries: Rows) -> tuple[Floats, NDArray[np.bool_]]:
        thought, batch = self._thought, self._thought.reasoner.batch
        parts = [thought.reasoner.score(thought.facts, queries[i : i + batch]) for i in range(0, len(queries), batch)]
        first, answers = thought.known.of(queries)
        truths = np.zeros((len(queries), len(thought.facts.entities)))
        known = np.zeros(truths.shape, dtype=bool)
        for row, scores in enumerate(scores for part in parts for scores in part):
            own = answers[first[row] : first[row + 1]]
            truths[row] = thought.calibration.probabilities(scores, own)
            known[row, own] = True
        return truths, known

    def _steps(self, part: _Part, row: int, paths: int) -> list[Step]:
        """The facts that lead to an entity, those nearest to it first."""
        if not len(part.beyond):
            return []
        via = int(part.via[row])
        beyond, entities, thought = int(part.beyond[via]), self._thought.facts.entities, self._thought
        near, far = str(entities[row]), str(entities[beyond])
        count = len(thought.facts.relations)
        head, tail = (far, near) if part.relation < count else (near, far)
        asked = (beyond, part.relation)
        if paths and asked not in self._carriers:
            self._carriers[asked] = Carrier(thought, *asked)
        name = thought.facts.relations[part.relation % count]
        found = self._carriers[asked].told(row, paths) if paths else ()
        step = Step(head, name, tail, float(part.each[via, row]), bool(part.known[via, row]), found)
        return [step, *(below for each in part.below for below in self._steps(each, beyond, paths))]
