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
_FREE = 100.0  # where all lie together is left open while runs are compared with each other


@dataclass(frozen=True)
class Belief:
    """What is thought of all regions on a data set, in the units of the metric.

    Args:
        mean: (regions,): expected score.
        covariance: (regions, regions): of what the regions can do there.
        noise: Variance of one run about that.
        gain: (regions, runs seen on the data set): how far each of those moved each region.
        apart: (regions,): standard deviation of how a region stands to the others; where the data set's scores lie, and
            how far they spread, ranks nobody.
    """

    mean: Floats
    covariance: Floats
    noise: float
    gain: Floats
    apart: Floats

    @property
    def deviation(self) -> Floats:
        """(regions,): standard deviation of one run's score."""
        return np.asarray(np.sqrt(np.maximum(self.covariance.diagonal(), 0.0) + self.noise))


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
        noise = level.spread**2 * self.noise
        alone = level.spread**2 * self.covariance
        left = alone.diagonal()
        spread = alone + level.spread_deviation**2 * np.outer(self.mean, self.mean)
        shift = level.centre_deviation**2
        gain = np.zeros((len(mean), 0))
        if len(rows):
            gain, shift = _gain(mean, spread, shift, noise, rows, scores)
            left = left - np.einsum("ri,ir->r", gain, alone[rows])
            mean = mean + gain @ (scores - mean[rows])
            spread = spread + shift - gain @ (spread[rows] + shift)
        else:
            spread = spread + shift
        return Belief(self._within(mean), spread, noise, gain, np.sqrt(np.maximum(left, 0.0)))

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


def _gain(
    mean: Floats, spread: Floats, shift: float, noise: float, rows: NDArray[np.int64], scores: Floats
) -> tuple[Floats, float]:
    """How far each run moves each region, (regions, rows); and `shift`, the variance of what all have in common.

    A run that lies far from what the others make of it counts for less: it failed, perhaps. That all lie higher or
    lower than was believed is no such sign: the data set is easier or harder, and more than was thought possible.
    """
    left = scores - mean[rows]
    between = spread[np.ix_(rows, rows)]
    extra = _distrust(left, between, noise)
    inverse = np.linalg.inv(between + np.diag(noise + extra))
    common = float(inverse.sum(0) @ left / inverse.sum())
    shift = max(shift, common**2)
    total = between + shift + np.diag(noise + extra)
    return np.asarray(np.linalg.solve(total, spread[rows] + shift).T), shift


def _distrust(left: Floats, between: Floats, noise: float) -> Floats:
    """Variance to be added to each run, by how far it lies from what the others make of it."""
    usual = between.diagonal() + noise
    free = _FREE * float(usual.max())
    extra = np.zeros(len(left))
    for _ in range(_PASSES):
        inverse = np.linalg.inv(between + free + np.diag(noise + extra))
        far = (inverse @ left) ** 2 / inverse.diagonal()
        trust = np.minimum((_FREEDOM + 1) / (_FREEDOM + far), 1.0)
        extra = usual * (1 / trust - 1)
    return extra
