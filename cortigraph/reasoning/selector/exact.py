"""The same Gaussian process as `process.Process`, solved cell by cell: exact where most of the grid is empty.

See Rasmussen & Williams, *Gaussian Processes for Machine Learning*, algorithm 2.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.kernel import Covariance

__all__ = ["Exact"]

Floats = NDArray[np.float64]


class Exact:
    """What a few runs say of all regions.

    Args:
        likeness: (regions, regions).
        covariance: Over the data sets.
        scores: (regions, columns); not a number in gaps.
        columns: Which data sets the scores are on.
    """

    def __init__(self, likeness: Floats, covariance: Covariance, scores: Floats, columns: NDArray[np.int64]) -> None:
        self.likeness, self.covariance = likeness, covariance
        self._shape = scores.shape
        self._rows, self._at = np.nonzero(np.isfinite(scores))
        self._on = columns[self._at]
        own, card = (part[np.ix_(self._on, self._on)] for part in (covariance.own, covariance.card))
        same = self._rows[:, None] == self._rows[None]
        among = own * same + card * likeness[np.ix_(self._rows, self._rows)]
        self._inverse = np.linalg.inv(among + covariance.noise * np.eye(len(among)))
        self._told = scores[self._rows, self._at]

    def mean(self, column: int) -> Floats:
        """(regions,): what they are expected to score on a data set."""
        return np.asarray(self._cross(column) @ (self._inverse @ self._told))

    def spread(self, column: int) -> Floats:
        """(regions, regions): covariance of what remains unknown about them on a data set."""
        own, card = self.covariance.own[column, column], self.covariance.card[column, column]
        cross = self._cross(column)
        left = own * np.eye(len(self.likeness)) + card * self.likeness - cross @ self._inverse @ cross.T
        return np.asarray((left + left.T) / 2)

    def weights(self, mixture: Floats, column: int) -> Floats:
        """(regions, columns): how much each run counts in what is expected on a data set.

        Args:
            mixture: (regions,): of which regions.
            column: The data set.
        """
        found = np.zeros(self._shape)
        found[self._rows, self._at] = mixture @ self._cross(column) @ self._inverse
        return found

    def _cross(self, column: int) -> Floats:
        """(regions, cells)."""
        same = np.arange(len(self.likeness))[:, None] == self._rows[None]
        own, card = self.covariance.own[column, self._on], self.covariance.card[column, self._on]
        return np.asarray(own * same + card * self.likeness[:, self._rows])
