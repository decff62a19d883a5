"""Candidates: what a reasoner would add to a graph, asked from both ends of each relation, and what speaks for each.

A fact can be found by asking for its tail or for its head. It is judged from the end from which it looks surer: that a
country lies on one continent says more than that a continent lacks one of its many countries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.asking.habits import Habits
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import Floats, shares
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Candidates", "candidates", "codes"]

_SUREST, _LEAST = 8.0, -5.0  # logits: beyond the first all are as sure, and below the other none is a candidate
Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Facts that a graph lacks, each once.

    Args:
        triples: (candidates, 3).
        scores: The reasoner's, from the surer end.
        logits: Of the share that the answer has of what is not known, from the surer end.
        places: How many answers were likelier there.
        backwards: Whether the surer end asks for the head.
    """

    triples: Rows
    scores: Floats
    logits: Floats
    places: Rows
    backwards: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.triples)

    def of(self, keep: NDArray[np.bool_] | Rows) -> Candidates:
        """Some of them."""
        return Candidates(
            self.triples[keep], self.scores[keep], self.logits[keep], self.places[keep], self.backwards[keep]
        )

    def features(self, facts: Facts, habits: Habits) -> Floats:
        """What speaks for and against each.

        Args:
            facts: What is known.
            habits: What was learned of relations.
        """
        logits = np.minimum(self.logits, _SUREST)
        own = np.stack([logits, logits**2 / 10, -np.log1p(self.places)], axis=1)
        return np.concatenate([own, habits.features(facts, self.triples, self.backwards)], axis=1)


def candidates(
    reasoner: Reasoner,
    facts: Facts,
    questions: Rows,
    top: int,
    progress: Progress | None = None,
) -> Candidates:
    """Asks, and keeps the best of what is not known.

    Args:
        reasoner: Any.
        facts: What is known.
        questions: (questions, 2): entities and relations, in both directions.
        top: How many answers of each question.
        progress: Told how many questions are done.
    """
    relations, known = len(facts.relations), Known(facts.triples, len(facts.relations))
    parts: list[Floats] = []
    for start in range(0, len(questions), reasoner.batch):
        some = np.ascontiguousarray(questions[start : start + reasoner.batch])
        scores = reasoner.score(facts, some)
        first, answers = known.of(some)
        for row in range(len(some)):
            own = answers[first[row] : first[row + 1]]
            logits = shares(scores[row], own)
            logits[own] = -np.inf
            best = _best(logits, top)
            told = np.stack([np.full(len(best), start + row), best, scores[row][best], logits[best]], axis=1)
            parts.append(np.concatenate([told, np.arange(len(best))[:, None]], axis=1))
        if progress is not None:
            progress(start + len(some))
    found = np.concatenate(parts) if parts else np.zeros((0, 5))
    return _each_once(found, questions, relations, facts)


def codes(facts: Facts, triples: Rows) -> Rows:
    """One number for each fact."""
    heads, kinds, tails = triples.T
    return np.asarray((heads * len(facts.relations) + kinds) * len(facts.entities) + tails)


def _best(logits: Floats, top: int) -> Rows:
    top = min(top, len(logits))
    best = np.argpartition(-logits, top - 1)[:top] if top else np.zeros(0, dtype=np.int64)
    best = best[np.argsort(-logits[best], kind="stable")]
    return np.asarray(best[logits[best] > _LEAST])


def _each_once(found: Floats, questions: Rows, relations: int, facts: Facts) -> Candidates:
    asked, answer = questions[found[:, 0].astype(np.int64)], found[:, 1].astype(np.int64)
    backwards = asked[:, 1] >= relations
    heads, tails = np.where(backwards, answer, asked[:, 0]), np.where(backwards, asked[:, 0], answer)
    triples = np.stack([heads, asked[:, 1] % relations, tails], axis=1)
    whole = Candidates(triples, found[:, 2], found[:, 3], found[:, 4].astype(np.int64), backwards)
    numbers = codes(facts, triples)
    order = np.lexsort((-whole.logits, numbers))
    return whole.of(order[np.diff(numbers[order], prepend=-1) > 0])
