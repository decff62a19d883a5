"""Evaluation: leave one data set out, forecast every run on it, and compare with what was scored.

Spearman says most; Pearson rests on the few runs that failed, so it is told with and without them; relative top-1 is
the score of the region that was put first, over the best there was, and hardly tells methods apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.model import Selector

__all__ = ["failed", "leave_one_out", "metrics"]

Floats = NDArray[np.float64]

_FAILED = 0.5


def failed(scores: Floats) -> NDArray[np.bool_]:
    """Runs that scored less than half of their data set's median: they didn't learn.

    Args:
        scores: Of all runs on one data set.

    Example:
        >>> failed(np.array([0.9, 0.8, 0.02])).tolist()
        [False, False, True]
    """
    return np.asarray(scores < _FAILED * np.nanmedian(scores))


def metrics(expected: Floats, scores: Floats, bad: NDArray[np.bool_], doubt: Floats | float = 0.0) -> dict[str, float]:
    """How well a forecast of some runs was.

    Args:
        expected: What was forecast.
        scores: What was scored.
        bad: Which of the runs failed.
        doubt: What is taken off before the first is chosen; see `Ranking.choice`.
    """
    from scipy.stats import pearsonr, spearmanr

    def correlation(measure: object, x: Floats, y: Floats) -> float:
        if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
            return 0.0
        return float(measure(x, y)[0])  # type: ignore[operator]

    return {
        "pearson": correlation(pearsonr, expected, scores),
        "pearson_without_failed": correlation(pearsonr, expected[~bad], scores[~bad]),
        "spearman": correlation(spearmanr, expected, scores),
        "relative_top1": float(scores[np.argmax(expected - doubt)] / scores.max()),
    }


def leave_one_out(
    evidence: Evidence, targets: Sequence[str], *, shown: Sequence[int] = (0,), seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Forecasts each data set from the others, and from some of its runs.

    Args:
        evidence: All runs.
        targets: The data sets that are left out, one at a time.
        shown: How many of its runs the forecast sees; it is judged by the others.
        seeds: Of the draws of those.

    Returns:
        Target → how many were shown → `metrics` and `coverage80`, one for each seed.
    """
    found: dict[str, dict[int, list[dict[str, float]]]] = {}
    for target in targets:
        selector = Selector.for_dataset(evidence, target)
        found[target] = {count: [_judged(selector, count, seed) for seed in seeds] for count in shown}
    return found


def _judged(selector: Selector, count: int, seed: int) -> dict[str, float]:
    scores = selector.evidence.scores[:, selector.column]
    runs = np.flatnonzero(np.isfinite(scores))
    rows = np.random.default_rng(seed).permutation(runs)[:count]
    belief = selector.belief(rows)
    low, high = selector.misses(count, seed)
    rest = np.setdiff1d(runs, rows)
    away = (scores[rest] - belief.mean[rest]) / belief.deviation[rest]
    covered = float(((away >= low) & (away <= high)).mean())
    told = metrics(belief.mean[rest], scores[rest], failed(scores)[rest], belief.apart[rest])
    return {**told, "coverage80": covered}
