"""The covariance of scores over a grid of regions × data sets, and how it is learned.

A score is the sum of what is a region's own and of what goes by its card; either is alike on like data sets:

    cov((m, d), (n, e)) = own[d, e] · [m = n]  +  card[d, e] · likeness(m, n)  +  noise · [m = n, d = e]
    own[d, e], card[d, e] = everywhere + by_place · exp(-|place(d) - place(e)|² / 2) + here · [d = e]

`own` is over the unit matrix, so that both share the eigenvectors of the cards' likeness: in their basis a grid falls
into one small (data sets × data sets) block for each eigenvalue. Learning costs milliseconds, however many regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Covariance", "Spectrum", "learn"]

Floats = NDArray[np.float64]

_RANK = 256  # eigenvalues of the cards' likeness that count
_BINS = 24  # like eigenvalues share a block while learning
_PARTS = 7  # logarithms: own (everywhere, by place, here), card (the same), noise
_START = (-1.0, -1.5, -2.0, -1.0, -1.5, -3.0, -1.0)
_PRIOR, _WIDE = -2.0, 3.0  # what the logarithms are thought to be, before any run was seen
_SCALE, _SCALE_WIDE = -0.5, 1.0  # the same for the scales of places, which are standardised
_FAR = 12.0  # logarithms are looked for this far from 0: beyond, matrices can't be inverted
_LEAST = 1e-6  # noise


@dataclass(frozen=True)
class Spectrum:
    """The likeness of cards by its eigenvectors; what lies beyond them counts as nothing.

    Args:
        values: (rank,).
        vectors: (regions, rank).
    """

    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, likeness: Floats) -> Spectrum:
        """The largest eigenvalues of a (regions, regions) likeness."""
        size = len(likeness)
        if size <= 2 * _RANK:
            values, vectors = np.linalg.eigh(likeness)
        else:
            from scipy.linalg import eigh

            values, vectors = eigh(likeness, subset_by_index=(size - _RANK, size - 1))
        return cls(np.clip(values, 0, None), vectors)

    def __matmul__(self, grid: Floats) -> Floats:
        """Likeness times a (regions, columns) grid."""
        return np.asarray(self.vectors @ (self.values[:, None] * (self.vectors.T @ grid)))


@dataclass(frozen=True)
class Covariance:
    """What was learned, over some data sets.

    Args:
        own: (data sets, data sets).
        card: (data sets, data sets).
        noise: Variance of one run about what its region can do there.
    """

    own: Floats
    card: Floats
    noise: float

    def blocks(self, values: Floats, columns: NDArray[np.int64]) -> Floats:
        """(values, columns, columns): covariance of runs on some data sets, for each eigenvalue."""
        cell = np.ix_(columns, columns)
        found: Floats = self.own[cell] + values[:, None, None] * self.card[cell] + self.noise * np.eye(len(columns))
        return found


def learn(scores: Floats, spectrum: Spectrum, places: Floats, columns: NDArray[np.int64]) -> Covariance:
    """The covariance under which the scores are likeliest.

    Args:
        scores: (regions, columns), of about unit spread, without gaps.
        spectrum: Of the regions' cards.
        places: (data sets, dimensions): where each lies, standardised.
        columns: Which of the data sets the scores are on.

    Returns:
        Covariance over all of `places`, those without scores too.
    """
    from scipy.optimize import minimize

    sizes, values, moments = _binned(scores, spectrum)
    start = np.array([*_START, *[_SCALE] * places.shape[1]])
    told = (sizes, values, moments, places[columns])
    bounds = [(-_FAR, _FAR)] * len(start)
    found = minimize(_doubted, start, told, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    own, card, noise = _covariances(found.x, _apart(places))
    return Covariance(own, card, noise)


def _doubted(parts: Floats, sizes: Floats, values: Floats, moments: Floats, places: Floats) -> tuple[float, Floats]:
    """How unlikely the scores are, with what is thought of the parts beforehand; and its slope along each part."""
    apart = _apart(places)
    own, card, noise = _covariances(parts, apart)
    blocks = own + values[:, None, None] * card + noise * np.eye(len(places))
    lower = np.linalg.cholesky(blocks)
    inverse = np.linalg.inv(blocks)
    along = inverse @ moments
    volume = float(np.log(lower.diagonal(axis1=1, axis2=2)).sum(1) @ sizes)
    fit = 0.5 * float(along.trace(axis1=1, axis2=2).sum())
    pull = 0.5 * (sizes[:, None, None] * inverse - along @ inverse)  # (values, columns, columns): slope by each block
    slope = np.zeros(len(parts))
    near = np.exp(-0.5 * (apart * np.exp(2 * parts[_PARTS:])).sum(-1))
    by_place = np.zeros_like(near)
    for first, weight in ((0, np.ones(len(values))), (3, values)):
        total = np.einsum("v,vij->ij", weight, pull)
        everywhere, placed, here = np.exp(parts[first : first + 3])
        slope[first] = everywhere * total.sum()
        slope[first + 1] = placed * (total * near).sum()
        slope[first + 2] = here * total.trace()
        by_place += placed * total * near
    slope[6] = np.exp(parts[6]) * float(pull.trace(axis1=1, axis2=2).sum())
    slope[_PARTS:] = -(by_place[..., None] * apart).sum((0, 1)) * np.exp(2 * parts[_PARTS:])
    away, scales = (parts[:_PARTS] - _PRIOR) / _WIDE, (parts[_PARTS:] - _SCALE) / _SCALE_WIDE
    slope += np.concatenate([away / _WIDE, scales / _SCALE_WIDE])
    return volume + fit + 0.5 * float((away**2).sum() + (scales**2).sum()), slope


def _binned(scores: Floats, spectrum: Spectrum) -> tuple[Floats, Floats, Floats]:
    """How many eigenvalues fall together, what they are, and the sum of squares of the scores along them."""
    along = spectrum.vectors.T @ scores
    rest = len(scores) - len(spectrum.values)  # directions in which the cards say nothing
    beyond = scores.T @ scores - along.T @ along
    bins = np.minimum((np.log2(spectrum.values + 1e-6) + 20).astype(np.int64), _BINS + 3).clip(0)
    sizes, values, moments = [], [], []
    for name in np.unique(bins):
        here = bins == name
        sizes.append(float(here.sum()))
        values.append(float(spectrum.values[here].mean()))
        moments.append(along[here].T @ along[here])
    if rest:
        sizes.append(float(rest))
        values.append(0.0)
        moments.append(beyond)
    return np.array(sizes), np.array(values), np.array(moments)


def _apart(places: Floats) -> Floats:
    """(data sets, data sets, dimensions): squared distances."""
    return np.asarray((places[:, None] - places[None]) ** 2)


def _covariances(parts: Floats, apart: Floats) -> tuple[Floats, Floats, float]:
    """`own`, `card` and `noise` from the logarithms of their parts."""
    near = np.exp(-0.5 * (apart * np.exp(2 * parts[_PARTS:])).sum(-1))
    size = np.exp(parts)
    own, card = (size[i] + size[i + 1] * near + size[i + 2] * np.eye(len(near)) for i in (0, 3))
    return own, card, float(size[6]) + _LEAST
