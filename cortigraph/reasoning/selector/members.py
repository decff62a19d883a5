"""Members: forecasts for one data set in several ways, and what each would have said of the data sets that are known.

With a dozen data sets it can't be learned which likeness of data sets matters, nor whether scores that spread widely
are to count for more. So each way gives its own forecast and the mean is taken; where they disagree the forecast is
unsure, and runs on the data set itself decide between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.exact import Exact
from cortigraph.reasoning.selector.kernel import Covariance, Spectrum, learn
from cortigraph.reasoning.selector.process import Process

__all__ = ["Member", "Posterior", "Said", "hear", "train_members"]

Floats = NDArray[np.float64]

# Scores are divided by spread ** power: 0 takes them as they are, so that data sets that tell regions apart count for
# more; 1 gives each data set the same say.
_POWERS = (0.0, 1.0)
_DENSE = 0.6  # part of the columns that a region must have been run on for the covariance to be learned from it
_FEWEST, _MOST = 8, 800


class Posterior(Protocol):
    """What runs on some data sets say of all; see `Process`."""

    def mean(self, column: int) -> Floats: ...

    def spread(self, column: int) -> Floats: ...

    def weights(self, mixture: Floats, column: int) -> Floats: ...


@dataclass(frozen=True)
class Member:
    """One way to see it.

    Args:
        regions: How like they are: as a spectrum, or, where runs are few, as a matrix.
        covariance: Over the data sets, as seen this way.
        scores: (regions, columns): scores as this way sees them.
        scale: (columns,): what they were divided by, in the metric's units.
    """

    regions: Spectrum | Floats
    covariance: Covariance
    scores: Floats
    scale: Floats

    def posterior(self, columns: NDArray[np.int64], but: int | None = None) -> Posterior:
        """What the runs say, this way.

        Args:
            columns: The data sets that the scores are on.
            but: One of them that is left out.
        """
        keep = columns != (-1 if but is None else but)
        solve = Process if isinstance(self.regions, Spectrum) else Exact
        return solve(self.regions, self.covariance, self.scores[:, keep], columns[keep])  # type: ignore[arg-type]


@dataclass(frozen=True)
class Said:
    """What the members say together of one data set: mean, covariance, noise, in units of its spread."""

    mean: Floats
    covariance: Floats
    noise: float


def train_members(
    spectrum: Spectrum,
    likeness: Floats,
    views: Sequence[Floats],
    scores: Floats,
    levels: tuple[Floats, Floats],
    columns: NDArray[np.int64],
) -> list[Member]:
    """Learns every way's covariance.

    Args:
        spectrum: Of all regions' cards.
        likeness: The same, as a matrix.
        views: Where the data sets lie.
        scores: (regions, data sets).
        levels: Centre and spread of each data set.
        columns: The data sets that may be looked at.
    """
    centre, spread = levels[0][columns], levels[1][columns]
    usual = float(np.sqrt((spread**2).mean()))
    rows = _dense(scores[:, columns])
    inner = spectrum if len(rows) == len(scores) else Spectrum.of(likeness[np.ix_(rows, rows)])
    members = []
    for power in _POWERS:
        scale = spread**power * usual ** (1 - power)
        seen = (scores[:, columns] - centre) / scale
        for view in views:
            members.append(Member(spectrum, _learn(inner, view, seen[rows], columns), seen, scale))
    return members


def _dense(scores: Floats) -> NDArray[np.int64]:
    """Regions that were run on most data sets; at least the fullest few."""
    filled = np.isfinite(scores).mean(1)
    order = np.argsort(-filled, kind="stable")
    enough = max(_FEWEST, int((filled >= _DENSE).sum()))
    chosen = order[:enough]
    if len(chosen) > _MOST:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST).astype(np.int64)]
    return np.sort(chosen)


def _learn(spectrum: Spectrum, view: Floats, seen: Floats, columns: NDArray[np.int64]) -> Covariance:
    """Gaps are filled by each region's mean, then by what is expected there."""
    gaps = ~np.isfinite(seen)
    own = np.where(gaps, 0.0, seen).sum(1) / np.maximum((~gaps).sum(1), 1)
    filled = np.where(gaps, own[:, None], seen)
    covariance = learn(filled, spectrum, view, columns)
    if not gaps.any():
        return covariance
    process = Process(spectrum, covariance, seen, columns)
    guessed = np.stack([process.mean(int(column)) for column in columns], axis=1)
    return learn(np.where(gaps, guessed, seen), spectrum, view, columns)


def hear(members: Sequence[Member], columns: NDArray[np.int64], column: int) -> Said:
    """What the members say of a data set, without its own runs.

    Args:
        members: As trained on `columns`.
        columns: The data sets that they were trained on.
        column: The data set; if it is one of those, it is left out.
    """
    means, spreads = [], []
    for member in members:
        posterior = member.posterior(columns, column)
        means.append(posterior.mean(column))
        spreads.append(posterior.spread(column))
    told = np.array(means)
    mean = told.mean(0)
    between = (told - mean).T @ (told - mean) / len(told)
    noise = float(np.mean([member.covariance.noise for member in members]))
    return Said(mean, np.mean(spreads, axis=0) + between, noise)
