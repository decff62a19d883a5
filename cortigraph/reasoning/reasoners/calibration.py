"""Calibration: scores of reasoners as probabilities, learned on facts held out.

A score says nothing by itself. Taken as a softmax over all entities that are not known answers already, it says how
much of the whole one entity has; two numbers, learned on held-out facts, make a probability of that (Platt's scaling of
its logit). What it means: asked something to which the graph lacks an answer, so many of the entities given such a
probability are that answer. As in every graph, what nobody has told counts as false, so it is rather too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock, OnPart, ignore

__all__ = ["Calibration", "Floats", "calibrate", "calibration_error", "shares"]

Floats = NDArray[np.float64]
_LOWEST = -50.0  # logits below this are as good as impossible
_GRID = 4000
_STEPS = 60
_FEW = 8  # queries at a time, where the clock is looked at in between


@dataclass(frozen=True)
class Calibration:
    """How a share of the softmax becomes a probability: the logistic function of `slope * logit + offset`.

    Args:
        slope: Above 1 where the reasoner is too timid, below where it is too sure.
        offset: Of the logits.
        facts: How many held-out facts it was learned on; with none, shares are taken as they are.
    """

    slope: float = 1.0
    offset: float = 0.0
    facts: int = 0

    def probabilities(self, scores: Scores, known: Rows | None = None) -> Floats:
        """Probabilities of all entities as answers of one query.

        Args:
            scores: Of all entities: (entities).
            known: Rows of answers that are known, whose probability is 1.

        Example:
            >>> Calibration().probabilities(np.array([0.0, 0.0, 9.0], np.float32), np.array([2])).tolist()
            [0.5, 0.5, 1.0]
        """
        known = np.zeros(0, dtype=np.int64) if known is None else known
        found: Floats = _logistic(self.slope * shares(scores, known) + self.offset)
        found[known] = 1.0
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"slope": self.slope, "offset": self.offset, "facts": self.facts}

    @classmethod
    def from_json(cls, told: Mapping[str, Any] | None) -> Calibration:
        """From plain values; none is as if nothing was learned."""
        return cls(**told) if told else cls()


def shares(scores: Scores, known: Rows) -> Floats:
    """Logits of the shares that entities have of the softmax over all that are not known answers.

    Args:
        scores: (entities).
        known: Rows, whose logit is the highest there is.
    """
    values = scores.astype(np.float64)
    values[~np.isfinite(values)] = -np.inf
    values[known] = -np.inf
    highest = values.max(initial=-np.inf)
    if not np.isfinite(highest):
        return np.where(np.isin(np.arange(len(values)), known), -_LOWEST, _LOWEST)
    powers = np.exp(values - highest)
    total = powers.sum()
    with np.errstate(divide="ignore"):
        found: Floats = np.log(powers) - np.log(total - powers)  # log of p / (1 - p)
    found = np.clip(found, _LOWEST, -_LOWEST)
    found[known] = -_LOWEST
    return found


def calibrate(
    reasoner: Reasoner,
    facts: Facts,
    held_out: Rows,
    *,
    also: Rows | None = None,
    most: int = 1000,
    seed: int = 0,
    seconds: float | None = None,
    shown: OnPart = ignore,
) -> Calibration:
    """Learns what a reasoner's scores are worth.

    Args:
        reasoner: Trained without the facts held out.
        facts: What it may know.
        held_out: (any, 3): true, and not among the facts.
        also: What else is true, and left out as known answers are.
        most: So many are asked for at most, drawn by the seed, in both directions.
        seed: Of the draw.
        seconds: That it may take; fewer are asked for where there would be no time for more.
        shown: Told how far it is.
    """
    if not len(held_out):
        return Calibration()
    chosen = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:most])
    asked = _asked(reasoner, facts, held_out, also, chosen, Clock(seconds), shown)
    logits, true, false = _counted(asked)
    slope, offset = 1.0, 0.0
    ridge = np.diag([1.0, 1e-3])  # a few facts can't move the slope far from 1
    for _ in range(_STEPS):  # Newton's steps
        told = _logistic(slope * logits + offset)
        error = (true + false) * told - true
        weight = (true + false) * told * (1 - told)
        inputs = np.stack([logits, np.ones_like(logits)])
        gradient = inputs @ error + ridge @ [slope - 1.0, offset]
        step = np.linalg.solve((inputs * weight) @ inputs.T + ridge, gradient)
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-6:
            break
    return Calibration(float(slope), float(offset), len(held_out))


def calibration_error(
    reasoner: Reasoner,
    facts: Facts,
    held_out: Rows,
    calibration: Calibration,
    *,
    also: Rows | None = None,
    top: int = 10,
    bins: int = 10,
) -> float:
    """Expected calibration error of the first answers to each held-out query: what probability says, and what is true.

    Args:
        reasoner: Any.
        facts: What it may know.
        held_out: (any, 3): true, and not among the facts.
        calibration: What is judged.
        also: What else is true, and left out as known answers are.
        top: How many answers of each query count; the thousands behind them would only flatter.
        bins: Of equally many answers, by probability.

    Returns:
        Mean over bins of |mean probability - share that is true|.
    """
    told, true = [], []
    for logits, answers in _asked(reasoner, facts, held_out, also):
        first = np.argsort(-logits, kind="stable")[:top]  # what is not a number comes last
        first = first[~np.isnan(logits[first])]
        told.append(_logistic(calibration.slope * logits[first] + calibration.offset))
        true.append(answers[first])
    if not told:
        return float("nan")
    probability, truth = np.concatenate(told), np.concatenate(true)
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [len(part) * abs(probability[part].mean() - truth[part].mean()) for part in parts if len(part)]
    return float(np.sum(gaps) / len(order))


def _counted(asked: Iterable[tuple[Floats, NDArray[np.bool_]]]) -> tuple[Floats, Floats, Floats]:
    """How many entities with each logit are answers, and how many are not; on a grid, so that all of them fit."""
    edges = np.linspace(_LOWEST, -_LOWEST, _GRID + 1)
    true, false, total = np.zeros(_GRID), np.zeros(_GRID), np.zeros(_GRID)
    for logits, answers in asked:
        known = np.isnan(logits)
        logits, answers = logits[~known], answers[~known]
        cells = np.clip(np.searchsorted(edges, logits, side="right") - 1, 0, _GRID - 1)
        true += np.bincount(cells[answers], minlength=_GRID)
        false += np.bincount(cells[~answers], minlength=_GRID)
        total += np.bincount(cells, weights=logits, minlength=_GRID)
    used = true + false > 0
    return total[used] / (true + false)[used], true[used], false[used]


def _asked(
    reasoner: Reasoner,
    facts: Facts,
    held_out: Rows,
    also: Rows | None,
    chosen: Rows | None = None,
    clock: Clock | None = None,
    shown: OnPart = ignore,
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """For each different query of held-out facts the logits of entities, and which are answers; known ones are NaN."""
    relations = len(facts.relations)
    some = held_out if chosen is None else held_out[chosen]
    queries = np.unique(np.concatenate([some, inverse(some, relations)])[:, :2], axis=0)
    told = facts.triples if also is None else np.concatenate([facts.triples, also])
    known, true = Known(told, relations), Known(held_out, relations)
    batch = reasoner.batch
    if clock is not None and clock.seconds is not None:  # it may end anywhere: then after some from all over
        queries, batch = np.random.default_rng(0).permutation(queries), min(_FEW, batch)
    for start in range(0, len(queries), batch):
        part = np.ascontiguousarray(queries[start : start + batch])
        scores = reasoner.score(facts, part)
        (first, others), (begin, right) = known.of(part), true.of(part)
        for row in range(len(part)):
            own = others[first[row] : first[row + 1]]
            logits, answer = shares(scores[row], own), np.zeros(scores.shape[1], dtype=bool)
            answer[right[begin[row] : begin[row + 1]]] = True
            logits[own] = np.nan
            yield logits, answer
        shown("calibrating, queries", min(start + batch, len(queries)), len(queries))
        if clock is not None and clock.left <= 0:
            return


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
