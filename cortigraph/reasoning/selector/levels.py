"""Levels: how hard a data set is and how far its scores spread, apart from which region is better than which.

Both are measured where there are runs, and guessed from like data sets where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.evidence import Evidence

__all__ = ["Level", "expected_seconds", "guess_level", "measure_levels"]

Floats = NDArray[np.float64]

_ROUNDS = 10
_FLOOR = 0.1  # what a data set that is not like at all still counts


@dataclass(frozen=True)
class Level:
    """What scores on a data set are expected to lie about, and how wide; each with its standard deviation."""

    centre: float
    centre_deviation: float
    spread: float
    spread_deviation: float


def measure_levels(scores: Floats, unknown: float = 1.0) -> tuple[Floats, Floats]:
    """Centre and spread of every column with runs; regions that were run on few of them don't bend either.

    Args:
        scores: (regions, data sets); not a number in gaps.
        unknown: The spread, if there are too few runs on any.

    Returns:
        Two of (data sets,); 0 and a usual spread where there is no run.
    """
    seen = np.isfinite(scores)
    filled = np.where(seen, scores, 0.0)
    by_set, by_region = np.maximum(seen.sum(0), 1), seen.sum(1) + 1.0
    region = np.zeros(len(scores))
    centre = filled.sum(0) / by_set
    for _ in range(_ROUNDS):
        region = np.where(seen, filled - centre, 0.0).sum(1) / by_region
        centre = np.where(seen, filled - region[:, None], 0.0).sum(0) / by_set
    spread = np.sqrt(np.where(seen, (filled - centre) ** 2, 0.0).sum(0) / by_set)
    usual = spread[seen.sum(0) >= 3]
    fallback = (float(np.median(usual)) if len(usual) else unknown) or unknown
    poor = (seen.sum(0) < 3) | (spread < 1e-3 * fallback)
    return centre, np.where(poor, fallback, spread)


def guess_level(
    centre: Floats, spread: Floats, views: Sequence[Floats], column: int, others: NDArray[np.int64]
) -> Level:
    """Level of a data set without runs, from the others' by likeness.

    Args:
        centre: (data sets,).
        spread: (data sets,).
        views: Where the data sets lie.
        column: The one that is asked for.
        others: Those that may be looked at.
    """
    weight = np.mean([_nearness(view, column, others) for view in views], axis=0)
    weight = weight / weight.sum()
    few = 1 + float((weight**2).sum())  # the fewer count, the less their mean is known
    middle = float(weight @ centre[others])
    deviation = float(np.sqrt(few * (weight @ (centre[others] - middle) ** 2)))
    logs = np.log(spread[others])
    scale = float(weight @ logs)
    factor = float(np.sqrt(few * (weight @ (logs - scale) ** 2)))
    return Level(middle, deviation, float(np.exp(scale)), float(np.exp(scale)) * min(factor, 1.0))


def _nearness(view: Floats, column: int, others: NDArray[np.int64]) -> Floats:
    return np.asarray(np.exp(-0.5 * ((view[others] - view[column]) ** 2).sum(1)) + _FLOOR)


def expected_seconds(evidence: Evidence, column: int) -> Floats:
    """(regions,): what a run on a data set may cost; not a number where nothing was ever timed.

    A region takes so many times as long as another, a data set so many times as long as another, and one of which
    nothing is known takes what is usual.

    Args:
        evidence: Runs with their seconds.
        column: The data set.
    """
    logs = np.where(evidence.seconds > 0, np.log(np.where(evidence.seconds > 0, evidence.seconds, 1.0)), np.nan)
    known = np.isfinite(logs)
    if not known.any():
        return np.full(len(evidence.regions), np.nan)
    usual = float(logs[known].mean())
    by_set, by_region = _additive(np.where(known, logs - usual, np.nan))
    size = np.array([_samples(evidence, key) for key in evidence.datasets])
    run_on = np.asarray(known.any(axis=0))
    fitted = run_on & np.isfinite(size)
    if not run_on[column] and fitted.sum() >= 3 and np.isfinite(size[column]):
        slope, start = np.polyfit(size[fitted], by_set[fitted], 1)
        by_set[column] = np.clip(slope * size[column] + start, by_set[run_on].min(), by_set[run_on].max())
    return np.asarray(np.exp(usual + by_region + by_set[column]))


def _additive(logs: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(logs)
    filled = np.where(known, logs, 0.0)
    by_set, by_region = np.zeros(logs.shape[1]), np.zeros(logs.shape[0])
    for _ in range(_ROUNDS):
        by_set = np.where(known, filled - by_region[:, None], 0.0).sum(0) / np.maximum(known.sum(0), 1)
        by_region = np.where(known, filled - by_set, 0.0).sum(1) / (known.sum(1) + 0.5)
    return by_set, by_region


def _samples(evidence: Evidence, key: str) -> float:
    told = evidence.features.get(key, {})
    found = next((told[name] for name in ("samples", "size", "rows") if isinstance(told.get(name), int | float)), None)
    return float(np.log(max(float(found), 1.0))) if found is not None else float("nan")
