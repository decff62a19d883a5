"""A Gaussian process over the grid, given whichever cells were run.

The whole grid is solved in the cards' eigenbasis; gaps are met by conjugate gradients, for which the whole grid's
inverse is the preconditioner: a few rounds where a few cells are missing, more where many are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.kernel import Covariance, Spectrum

__all__ = ["Process"]

Floats = NDArray[np.float64]

_ROUNDS, _EXACT = 200, 1e-6


class Process:
    """What runs on some data sets say of all.

    Args:
        spectrum: Of the regions' cards.
        covariance: Over the data sets.
        scores: (regions, columns); not a number in gaps.
        columns: Which data sets the scores are on.
    """

    def __init__(self, spectrum: Spectrum, covariance: Covariance, scores: Floats, columns: NDArray[np.int64]) -> None:
        self.spectrum, self.covariance, self.columns = spectrum, covariance, columns
        self._seen = np.isfinite(scores)
        flat = covariance.blocks(np.zeros(1), columns)[0]
        self._flat, self._flat_inverse = flat, np.linalg.inv(flat)
        self._inverses = np.linalg.inv(covariance.blocks(spectrum.values, columns)) - self._flat_inverse
        self._pull = self._solve(np.where(self._seen, scores, 0.0))

    def mean(self, column: int) -> Floats:
        """(regions,): what they are expected to score on a data set."""
        own, card = self.covariance.own[self.columns, column], self.covariance.card[self.columns, column]
        by_card = self.spectrum @ (self._pull @ card)[:, None]
        return np.asarray(self._pull @ own + by_card[:, 0])

    def spread(self, column: int) -> Floats:
        """(regions, regions): covariance of what remains unknown about them on a data set.

        Between regions it is the whole grid's; on the diagonal it is each region's own, by the runs that it has.
        """
        cov, values = self.covariance, self.spectrum.values
        cross = cov.own[self.columns, column] + np.append(values, 0.0)[:, None] * cov.card[self.columns, column]
        inverses = np.concatenate([self._inverses + self._flat_inverse, self._flat_inverse[None]])
        known = np.einsum("vi,vij,vj->v", cross, inverses, cross)
        left = cov.own[column, column] + np.append(values, 0.0) * cov.card[column, column] - known
        vectors = self.spectrum.vectors
        shared = (vectors * (left[:-1] - left[-1])) @ vectors.T + left[-1] * np.eye(len(vectors))
        scale = np.sqrt(self._alone(column) / np.maximum(shared.diagonal(), 1e-12))
        return np.asarray(shared * scale[:, None] * scale[None])

    def weights(self, mixture: Floats, column: int) -> Floats:
        """(regions, columns): how much each run counts in what is expected on a data set.

        Args:
            mixture: (regions,): of which regions; a one among zeros for one of them.
            column: The data set.
        """
        card = self.spectrum @ mixture[:, None]
        own, by_card = self.covariance.own[self.columns, column], self.covariance.card[self.columns, column]
        return self._solve(np.where(self._seen, mixture[:, None] * own + card * by_card, 0.0))

    def _alone(self, column: int) -> Floats:
        """(regions,): variance that is left by a region's own runs, and by the cards of the others."""
        cov, columns = self.covariance, self.columns
        free = self._card_left()[:, None]
        both = self._seen[:, :, None] & self._seen[:, None, :]
        blocks = cov.blocks(free[:, 0], columns)
        blocks = np.where(both, blocks, 0.0) + np.eye(len(columns)) * (~self._seen)[:, :, None]
        cross = np.where(self._seen, cov.own[columns, column] + free * cov.card[columns, column], 0.0)
        known = (cross * np.linalg.solve(blocks, cross[..., None])[..., 0]).sum(1)
        left: Floats = cov.own[column, column] + free[:, 0] * cov.card[column, column] - known
        return np.maximum(left, 1e-6)

    def _card_left(self) -> Floats:
        """(regions,): the part of each card's effect, between 0 and 1, that the other regions' don't tell."""
        cov = self.covariance
        ratio = float((np.trace(cov.own) / len(cov.own) + cov.noise) / max(np.trace(cov.card) / len(cov.card), 1e-9))
        inside = 1 / ratio - 1 / (self.spectrum.values + ratio)
        inverse = 1 / ratio - (self.spectrum.vectors**2 @ inside)
        return np.asarray(np.clip(1 / np.maximum(inverse, 1e-9) - ratio, 0.0, 1.0))

    def _solve(self, right: Floats) -> Floats:
        """(regions, columns): the inverse covariance of the seen cells times a grid; zero in gaps."""
        answer = self._whole(right)
        if self._seen.all():
            return answer
        left = right - self._cover(answer)
        eased = self._whole(left)
        step, before = eased, float((left * eased).sum())
        goal = _EXACT * max(float(np.abs(right).max(initial=0.0)), 1e-12)
        for _ in range(_ROUNDS):
            if np.abs(left).max(initial=0.0) <= goal:
                break
            covered = self._cover(step)
            size = before / float((step * covered).sum())
            answer, left = answer + size * step, left - size * covered
            eased = self._whole(left)
            now = float((left * eased).sum())
            step, before = eased + now / before * step, now
        return answer

    def _whole(self, grid: Floats) -> Floats:
        """The inverse covariance of the whole grid times one, in the seen cells."""
        vectors = self.spectrum.vectors
        along = np.einsum("vi,vij->vj", vectors.T @ grid, self._inverses)
        return np.where(self._seen, grid @ self._flat_inverse + vectors @ along, 0.0)

    def _cover(self, grid: Floats) -> Floats:
        """Covariance times a grid, in the seen cells."""
        card = self.covariance.card[np.ix_(self.columns, self.columns)]
        return np.where(self._seen, grid @ self._flat + self.spectrum @ (grid @ card), 0.0)
