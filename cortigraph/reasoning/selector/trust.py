"""Trust: how far proxies are believed, and how wide intervals must be. Both are learned from data sets that are known.

A proxy counts as far as what it adds to the forecast held on one data set after another: where it helped on some and
misled on others, it is left aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.features import normal_scores
from cortigraph.reasoning.selector.forecast import Forecast

__all__ = ["MISSES", "proxy_slopes", "proxy_table", "usual_slopes", "weighted_misses"]

Floats = NDArray[np.float64]

MISSES = (-1.2816, 1.2816)  # standard deviations between which a normal forecast holds 80 % of runs
_USUAL = {"probe": 0.5, "logme": 0.25}  # of the spread, for a region one standard deviation above the others
_RIDGE = 0.1  # of the runs' number
_FEWEST_SETS, _FEWEST_RUNS = 3, 8
_DRAWS = 5  # of the runs that are shown
_MOST_SHOWN = 50


def proxy_table(proxies: Mapping[str, Floats], column: int) -> Floats:
    """(regions, proxies): ranks on a data set as normal scores; 0 where unknown."""
    told = [normal_scores(proxies[name][:, column]) for name in sorted(proxies)]
    return np.stack(told, axis=1) if told else np.zeros((0, 0))


def usual_slopes(proxies: Mapping[str, Floats]) -> Floats:
    """(proxies,): what one unit of each is worth before it was seen to hold: nothing, but for those that we compute."""
    return np.array([_USUAL.get(name, 0.0) for name in sorted(proxies)])


def proxy_slopes(tables: Sequence[Floats], missed: Sequence[Floats], usual: Floats | None = None) -> Floats:
    """(proxies,): what one unit of each adds to a forecast, shrunk by how much that changed from set to set.

    Args:
        tables: For each known data set, (regions, proxies).
        missed: For each, (regions,): by how much the forecast was too low; not a number where there was no run.
        usual: (proxies,): what they are worth where there are too few data sets to learn it; nothing when left out.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> tables = [rng.normal(size=(50, 1)) for _ in range(4)]
        >>> bool(abs(proxy_slopes(tables, [table[:, 0] * 0.5 for table in tables])[0] - 0.45) < 0.05)
        True
    """
    found = [slope for pair in zip(tables, missed, strict=True) if (slope := _slope(*pair)) is not None]
    width = tables[0].shape[1] if tables else 0
    if len(found) < _FEWEST_SETS:
        return np.zeros(width) if usual is None else usual
    slopes = np.array(found)
    mean, error = slopes.mean(0), slopes.std(0, ddof=1) / np.sqrt(len(slopes))
    held = np.clip(1 - error**2 / np.maximum(mean**2, 1e-12), 0.0, 1.0)
    return np.asarray(mean * held)


def _slope(table: Floats, missed: Floats) -> Floats | None:
    usable = np.isfinite(missed) & (table != 0).any(1)
    if usable.sum() < _FEWEST_RUNS:
        return None
    told, left = table[usable], missed[usable] - missed[usable].mean()
    ridge = _RIDGE * len(told) * np.eye(told.shape[1])
    return np.asarray(np.linalg.solve(told.T @ told + ridge, told.T @ left))


def weighted_misses(
    forecasts: Sequence[Forecast], scores: Sequence[Floats], shown: int, rng: np.random.Generator, part: float = 0.8
) -> tuple[float, float]:
    """By how many standard deviations runs lie off, at the ends of the middle part; each data set counts the same.

    Args:
        forecasts: For known data sets, each made without its own runs.
        scores: What was scored there: (regions,), not a number where there was no run.
        shown: How many runs on the data set the forecast may see.
        rng: Draws them.
        part: Of the runs that the interval is to hold.
    """
    misses = []
    shown = min(shown, _MOST_SHOWN)  # where so many are known, more of them change little
    for forecast, told in zip(forecasts, scores, strict=True):
        runs = np.flatnonzero(np.isfinite(told))
        if len(runs) >= shown + _FEWEST_RUNS:
            misses.append(np.concatenate([_missed(forecast, told, runs, shown, rng) for _ in range(_DRAWS)]))
    if len(misses) < _FEWEST_SETS:
        return MISSES
    low, high = _quantiles(misses, ((1 - part) / 2, (1 + part) / 2))
    return min(low, 0.0), max(high, 0.0)


def _missed(forecast: Forecast, told: Floats, runs: NDArray[np.int64], shown: int, rng: np.random.Generator) -> Floats:
    """By how many standard deviations the runs that are not shown lie off."""
    seen = rng.permutation(runs)[:shown]
    belief = forecast.given(seen, told[seen])
    rest = np.setdiff1d(runs, seen)
    return np.asarray((told[rest] - belief.mean[rest]) / belief.deviation[rest])


def _quantiles(misses: Sequence[Floats], at: tuple[float, float]) -> Floats:
    """Quantiles of what is missed on a data set that is none of these; each of them counts the same.

    All runs of a data set lie off together when it is harder than was thought, and each by itself besides. The two are
    crossed: how far a new one's lie off together may be what it was on any known one, with the scatter of any other.
    """
    together = np.array([one.mean() for one in misses])
    apart = [np.add.outer(one - one.mean(), together).ravel() for one in misses]
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in apart])
    values = np.concatenate(apart)
    order = np.argsort(values)
    so_far = np.cumsum(weights[order]) - weights[order] / 2
    return np.asarray(np.interp(np.array(at) * weights.sum(), so_far, values[order]))
