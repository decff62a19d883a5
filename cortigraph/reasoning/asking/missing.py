"""What is likely missing in a graph: who lacks a fact is asked, and answers are worth what held-out facts say they are.

The same selection runs twice: over the graph as it is, and over the graph without the facts that were held out when the
reasoner was trained. What it brings back of these says how likely the rest is to be true, as `likelihood` learns it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking.candidates import Candidates, candidates, codes
from cortigraph.reasoning.asking.habits import Habits
from cortigraph.reasoning.asking.likelihood import Measured, learned, measured
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.pace import seconds_a_query
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock

__all__ = ["Missing", "missing"]

_FEW = 10  # fewer facts held out say nothing
_ENOUGH = 200  # so many held-out facts of the relations asked about are learned from alone
_ASKING = 0.8  # share of a limited time in which is asked; what comes of it is learned from and written in the rest
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Missing:
    """What is likely missing.

    Args:
        found: Candidates, each with its probability.
        probabilities: (candidates).
        questions: How many were asked.
        share: Of those that there were, where there was no time for all.
        held_out: Facts of the relations learned from that were held out.
        expected: How many facts are thought to be missing of the relations asked about, found or not.
        quality: By facts held out.
    """

    found: Candidates
    probabilities: Floats
    questions: int
    share: float
    held_out: int
    expected: float
    quality: Measured


def missing(
    reasoner: Reasoner,
    facts: Facts,
    rest: Facts,
    held: Rows,
    kinds: Rows,
    *,
    relations: Rows,
    top: int = 3,
    least: float = 0.5,
    every: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Missing:
    """Looks for what is likely missing.

    Args:
        reasoner: Trained without the facts held out.
        facts: What is known.
        rest: The same without the facts held out.
        held: (any, 3): these.
        kinds: A label's number for each entity.
        relations: Which are asked about, without their inverses.
        top: Answers of each question that are looked at.
        least: Probability from which on precision is measured.
        every: All entities are asked.
        progress: Told what is done, how much, and of how much.
        clock: Of all that is to be done; where it leaves no time for all questions, some from all over are asked.

    Raises:
        InputError: Too few facts were held out.
    """
    if len(held) < _FEW:
        raise InputError(
            f"{len(held)} facts were held out when the reasoner was trained, and at least {_FEW} are needed to tell "
            "what is likely missing; ingest more facts, then `cortigraph reason refresh` and ask again"
        )
    count = len(facts.relations)
    asked = relations if np.isin(held[:, 1], relations).sum() >= _ENOUGH else np.arange(count)
    held = held[np.isin(held[:, 1], asked)]
    ends = np.concatenate([asked, asked + count])
    habits = Habits.of(rest, kinds)
    questions = habits.questions(facts, ends, every=every)
    again = habits.questions(rest, ends, every=every)
    again = again[_concerned(again, held, count)]
    share = _in_time(reasoner, facts, questions, len(questions) + len(again), clock or Clock())
    # Of both alike: what is held out must have been looked for as much as what is missing.
    questions, again = (each[:: max(1, round(1 / share))] for each in (questions, again))
    whole = len(questions) + len(again)
    told = progress or (lambda what, done, whole: None)
    found = candidates(reasoner, facts, questions, top, lambda done: told("questions", done, whole))
    back = candidates(reasoner, rest, again, top, lambda done: told("questions", len(questions) + done, whole))
    back = back.of(np.isin(codes(facts, back.triples), codes(facts, held)))
    features = np.concatenate([found.features(facts, habits), back.features(rest, habits)])
    own = np.concatenate([found.triples[:, 1], back.triples[:, 1]])
    true = np.arange(len(own)) >= len(found)
    likelihood = learned(features, own, true, count)
    quality = measured(features, own, true, likelihood, least, round(share * len(held)))
    wanted = np.flatnonzero(np.isin(found.triples[:, 1], relations))
    probabilities = likelihood.probabilities(features[wanted], own[wanted])
    expected = float(likelihood.missing[held[np.isin(held[:, 1], relations), 1]].sum())
    return Missing(found.of(wanted), probabilities, len(questions), share, len(held), expected, quality)


def _in_time(reasoner: Reasoner, facts: Facts, questions: Rows, whole: int, clock: Clock) -> float:
    """The share of so many questions that there is time for: one, a half, a third, …"""
    if clock.seconds is None or not whole:
        return 1.0
    some = questions if len(questions) else facts.triples[:1, :2]
    fits = _ASKING * clock.left / max(seconds_a_query(reasoner, facts, some), 1e-9)
    return 1.0 / max(1, -(-whole // max(1, int(fits))))


def _concerned(questions: Rows, held: Rows, relations: int) -> NDArray[np.bool_]:
    """Which questions have a held-out fact among their answers."""
    first, _ = Known(held, relations).of(questions)
    return np.diff(first) > 0
