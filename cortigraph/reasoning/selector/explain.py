"""Explanation: which runs an expectation rests on, and what would change it.

A forecast is a weighted sum of scores, so that the weights are exact: had a run scored .01 more, the expectation would
be higher by .01 times its weight, all that was learned staying as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.forecast import Belief
from cortigraph.reasoning.selector.model import Selector

__all__ = ["Change", "Explanation", "Support", "explain", "most_telling"]

Floats = NDArray[np.float64]

_SUPPORTS, _CHANGES = 5, 3
_SLIGHT = 0.01  # of the largest weight: what counts for less is not named


@dataclass(frozen=True)
class Support:
    """A run, or several of one region on one data set, that an expectation rests on.

    Args:
        runs: Keys of the runs.
        region: Whose they are.
        dataset: On what.
        score: What was scored, on the mean.
        weight: How far the expectation moves when this score moves by one.
    """

    runs: tuple[str, ...]
    region: str
    dataset: str
    score: float
    weight: float

    @property
    def path(self) -> str:
        """Region, run and data set as they lie in the graph: what to look up to check it."""
        return f"({self.region})<-[:OF]-({', '.join(self.runs)})-[:ON]->({self.dataset})"

    def __str__(self) -> str:
        names = ", ".join(self.runs)
        return f"{self.region} scored {self.score:.3f} on {self.dataset} (weight {self.weight:+.2f}; {names})"


@dataclass(frozen=True)
class Change:
    """A score that would turn the order of two regions round.

    Args:
        region: Whose score.
        dataset: On what: the data set that is asked for, or one whose runs the ranking rests on.
        score: What it was, or is expected to be.
        turns_at: What it would have to be.
        rival: The region that would change places with the one that is explained.
        run: Whether it was run; if not, this run is still to be made.
    """

    region: str
    dataset: str
    score: float
    turns_at: float
    rival: str
    run: bool

    def __str__(self) -> str:
        word = "scored" if self.run else "is expected to score"
        change = "if it had scored" if self.run else "if a run shows"
        return (
            f"{self.region} {word} {self.score:.3f} on {self.dataset}; {change} {self.turns_at:.3f}, "
            f"{self.rival} would change places"
        )


@dataclass(frozen=True)
class Explanation:
    """Why a region stands where it stands.

    Args:
        region: Which.
        rival: The one that it would change places with first: the next, or the first one.
        rests_on: The runs that count most.
        would_change: What would turn it round, the likeliest first; empty if nothing within the metric's bounds would.
        proxies: Proxy → what it adds to the expectation.
    """

    region: str
    rival: str | None
    rests_on: tuple[Support, ...]
    would_change: tuple[Change, ...]
    proxies: dict[str, float]


def explain(
    selector: Selector, region: str, belief: Belief | None = None, among: Sequence[str] | None = None
) -> Explanation:
    """Why a region is expected to score what it is.

    Args:
        selector: That was asked.
        region: Key.
        belief: What is believed; by all runs that the evidence has on the data set when left out.
        among: Regions that it may change places with; all when left out.

    Raises:
        UnknownKeyError: There is no such region.
    """
    row = selector.evidence.region(region)
    rows = selector.seen()
    belief = belief or selector.now
    may = None if among is None else np.array([selector.evidence.region(key) for key in among])
    rival = _rival(belief.mean, row, may)
    one = _weights(selector, belief, rows, row)
    changes: list[Change] = []
    if rival is not None:
        changes = _changes(selector, belief, row, rival, one - _weights(selector, belief, rows, rival))
    key = None if rival is None else selector.evidence.regions[rival]
    return Explanation(region, key, _supports(selector, one), tuple(changes), selector.added(row))


def most_telling(selector: Selector, top: int = 3, among: Sequence[str] | None = None) -> tuple[str, ...]:
    """Regions whose run on the data set would make all expectations surest, the most telling first.

    Args:
        selector: That was asked.
        top: How many; each is chosen as if those before it had been run.
        among: Regions that may be named; all when left out.
    """
    rows = selector.seen()
    belief = selector.now
    covariance = belief.covariance.copy()
    covariance -= covariance.mean(0) + covariance.mean(1)[:, None] - covariance.mean()  # what all share ranks nobody
    chosen: list[int] = []
    may = np.ones(len(covariance), dtype=bool)
    if among is not None:
        may = np.isin(np.array(selector.evidence.regions), list(among))
    may[rows] = False
    for _ in range(min(top, int(may.sum()))):
        told = (covariance**2).sum(0) / (covariance.diagonal() + belief.noise)
        told[~may] = -np.inf
        best = int(np.argmax(told))
        chosen.append(best)
        may[best] = False
        covariance -= np.outer(covariance[best], covariance[best]) / (covariance[best, best] + belief.noise)
    return tuple(selector.evidence.regions[i] for i in chosen)


def _rival(mean: Floats, row: int, may: NDArray[np.int64] | None) -> int | None:
    """The first region, or for that one the next."""
    order = [int(i) for i in np.argsort(-mean, kind="stable") if may is None or i in may]
    if len(order) < 2:
        return None
    return order[1] if order[0] == row else order[0]


def _weights(selector: Selector, belief: Belief, rows: NDArray[np.int64], row: int) -> Floats:
    """(regions, data sets): by how much a region's expectation moves with each run's score, in the metric's units."""
    shape = selector.evidence.scores.shape
    mixture = np.zeros(shape[0])
    mixture[row] = 1.0
    np.subtract.at(mixture, rows, belief.gain[row])  # what was run on the data set itself stands in for the forecast
    found = np.zeros(shape)
    for member, posterior in zip(selector.members, selector.posteriors, strict=True):
        found[:, selector.columns] += posterior.weights(mixture, selector.column) / member.scale
    found *= selector.forecasts[selector.column].level.spread / len(selector.members)
    found[rows, selector.column] = belief.gain[row]
    return found


def _supports(selector: Selector, weights: Floats) -> tuple[Support, ...]:
    evidence = selector.evidence
    order = np.argsort(-np.abs(weights), axis=None, kind="stable")[:_SUPPORTS]
    cells = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, weights.shape), strict=True)]
    return tuple(
        Support(
            runs=evidence.runs.get((evidence.regions[i], evidence.datasets[j]), ()),
            region=evidence.regions[i],
            dataset=evidence.datasets[j],
            score=float(evidence.scores[i, j]),
            weight=float(weights[i, j]),
        )
        for i, j in cells
        if abs(weights[i, j]) > _SLIGHT * np.abs(weights).max()
    )


def _changes(selector: Selector, belief: Belief, row: int, rival: int, apart: Floats) -> list[Change]:
    """The runs, made or to be made, that would bring two regions level, by how little they need to move."""
    evidence, gap = selector.evidence, float(belief.mean[row] - belief.mean[rival])
    low, high = selector.bounds or (-np.inf, np.inf)
    found: list[tuple[float, Change]] = []

    def add(region: int, column: int, score: float, move: float, sure: float, run: bool) -> None:
        if low <= score + move <= high:
            names = (evidence.regions[region], evidence.datasets[column])
            found.append((abs(move) / sure, Change(*names, score, score + move, evidence.regions[rival], run)))

    for i in {row, rival} - set(selector.seen().tolist()):
        pull = belief.covariance[[row, rival], i] / (belief.covariance[i, i] + belief.noise)
        if abs(pull[0] - pull[1]) > 1e-9:
            add(i, selector.column, float(belief.mean[i]), -gap / float(pull[0] - pull[1]), belief.deviation[i], False)
    for i, j in zip(*np.nonzero(np.abs(apart) > 1e-6), strict=True):
        add(int(i), int(j), float(evidence.scores[i, j]), -gap / float(apart[i, j]), selector.levels[1][j], True)
    return [change for _, change in sorted(found, key=lambda one: one[0])[:_CHANGES]]
