"""The best answers of questions, as a person reads them: what is known, what is predicted, and how likely it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.calibration import Calibration, Floats
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Ranked", "best", "rank"]


@dataclass(frozen=True)
class Ranked:
    """One entity as an answer.

    Args:
        entity: Its key.
        score: What the reasoner says; comparable within one question only.
        probability: Of being an answer: 1 where it is known.
        known: The graph itself says so.
    """

    entity: str
    score: float
    probability: float
    known: bool


def rank(
    reasoner: Reasoner,
    facts: Facts,
    queries: Rows,
    *,
    top: int = 10,
    known: bool | None = None,
    calibration: Calibration | None = None,
) -> Iterator[list[Ranked]]:
    """Ranks all entities as answers of each question.

    Args:
        reasoner: Who is asked.
        facts: What is known.
        queries: (queries, 2): rows of heads, and relations; those from the number of relations on are inverse.
        top: How many answers.
        known: Only answers that are known, or only others; both when left out.
        calibration: How scores become probabilities; a plain softmax when left out.

    Yields:
        Of one question, the best answers first.
    """
    learned = calibration or Calibration()
    true = Known(facts.triples, len(facts.relations))
    for start in range(0, len(queries), reasoner.batch):
        asked = queries[start : start + reasoner.batch]
        first, answers = true.of(asked)
        for row, scores in enumerate(reasoner.score(facts, asked)):
            told = answers[first[row] : first[row + 1]]
            probabilities = learned.probabilities(scores, told)
            yield [
                Ranked(str(facts.entities[place]), float(scores[place]), float(probabilities[place]), place in told)
                for place in best(probabilities, scores, told, top, known).tolist()
            ]


def best(probabilities: Floats, scores: Scores, told: Rows, top: int, known: bool | None = None) -> Rows:
    """Rows of the best entities: what is known, then what is likeliest; of what is equally likely, by score.

    Args:
        probabilities: (entities).
        scores: (entities).
        told: Rows of the answers that are known.
        top: How many.
        known: Only those, or only others; both when left out.

    Example:
        >>> best(np.array([1.0, 0.2, 0.2]), np.array([3.0, 1.0, 2.0]), np.array([0]), 2, known=False).tolist()
        [2, 1]
    """
    mask = np.zeros(len(scores), dtype=bool)
    mask[told] = True
    wanted = np.arange(len(scores)) if known is None else np.flatnonzero(mask == known)
    # A guess may be so sure that its probability is rounded to 1; what is known is told before it all the same.
    return wanted[np.lexsort((-scores[wanted], -probabilities[wanted], ~mask[wanted]))][:top]
