"""A forecast: what is believed of all regions on one data set, before and after some were run on it.

In the units of the metric a score is  centre + spread · f  + noise, and all three are uncertain: where the data set's
scores lie, how far they spread, and how the regions stand to each other. Runs on it sharpen all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.levels import Level

__all__ = ["Belief", "Forecast"]

Floats = NDArray[np.float64]

_FREEDOM = 4.0  # of Student's distribution: a run that failed by accident is not taken at its word
_PASSES = 3


@dataclass(frozen=True)
class Belief:
    """Expected score of each region, and the standard deviation of one run's; both (regions,)."""

    mean: Floats
    deviation: Floats


@dataclass(frozen=True)
class Forecast:
    """How regions are thought to stand to each other on a data set.

    Args:
        mean: (regions,), in units of the data set's spread.
        covariance: (regions, regions), in the square of them.
        noise: Variance of one run, in the same.
        level: Where the scores lie.
        bounds: Between what the metric lies, if that is known.
    """

    mean: Floats
    covariance: Floats
    noise: float
    level: Level
    bounds: tuple[float, float] | None

    def given(self, rows: NDArray[np.int64], scores: Floats) -> Belief:
        """What is believed once some regions were run.

        Args:
            rows: Which; none for what is believed beforehand.
            scores: What they scored.
        """
        level = self.level
        mean = level.centre + level.spread * self.mean
        spread = self._spread()
        noise = level.spread**2 * self.noise
        if len(rows):
            mean, spread = _condition(mean, spread, noise, rows, scores)
        deviation = np.sqrt(np.maximum(spread.diagonal(), 0.0) + noise)
        return Belief(self._within(mean), deviation)

    def _spread(self) -> Floats:
        """(regions, regions), in the square of the metric's units."""
        level = self.level
        shared = level.spread_deviation**2 * np.outer(self.mean, self.mean) + level.centre_deviation**2
        return np.asarray(level.spread**2 * self.covariance + shared)

    def _within(self, mean: Floats) -> Floats:
        """The same order, drawn together where it would leave the metric's bounds."""
        if self.bounds is None:
            return mean
        low, high = self.bounds
        middle = float(np.clip(np.median(mean), low, high))
        top, bottom = float(mean.max()), float(mean.min())
        if top > high:
            mean = np.where(mean > middle, middle + (mean - middle) * (high - middle) / (top - middle), mean)
        if bottom < low:
            mean = np.where(mean < middle, middle - (middle - mean) * (middle - low) / (middle - bottom), mean)
        return mean


def _condition(
    mean: Floats, spread: Floats, noise: float, rows: NDArray[np.int64], scores: Floats
) -> tuple[Floats, Floats]:
    """Mean and covariance given some scores; one that is far from all that was believed counts for less."""
    between = spread[np.ix_(rows, rows)]
    usual = between.diagonal() + noise
    extra = np.zeros(len(rows))
    left = scores - mean[rows]
    for _ in range(_PASSES):
        inverse = np.linalg.inv(between + np.diag(noise + extra))
        # How far each lies from what is believed given the others.
        pull, certain = inverse @ left, inverse.diagonal()
        far = pull**2 / certain
        trust = np.minimum((_FREEDOM + 1) / (_FREEDOM + far), 1.0)
        extra = usual * (1 / trust - 1)
    gain = np.linalg.solve(between + np.diag(noise + extra), spread[rows]).T
    return mean + gain @ left, spread - gain @ spread[rows]
