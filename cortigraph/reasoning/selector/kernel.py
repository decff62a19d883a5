"""The covariance of scores over a grid of regions × data sets, and how it is learned.

A score is the sum of what is a region's own and of what goes by its card; either is alike on like data sets:

    cov((m, d), (n, e)) = own[d, e] · [m = n]  +  card[d, e] · likeness(m, n)  +  noise · [m = n, d = e]
    own[d, e], card[d, e] = everywhere + by_place · exp(-|place(d) - place(e)|² / 2) + here · [d = e]

`own` is over the unit matrix, so that both share the eigenvectors of the cards' likeness: in their basis a grid falls
into one small (data sets × data sets) block for each eigenvalue. Learning costs milliseconds, however many regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["Covariance", "Spectrum", "learn"]

Floats = NDArray[np.float64]

_RANK = 256  # eigenvalues of the cards' likeness that count
_BINS = 24  # like eigenvalues share a block while learning
_PARTS = 7  # logarithms: own (everywhere, by place, here), card (the same), noise
_START = (-1.0, -1.5, -2.0, -1.0, -1.5, -3.0, -1.0)
_PRIOR, _WIDE = -2.0, 3.0  # what the logarithms are thought to be, before any run was seen
_SCALE, _SCALE_WIDE = -0.5, 1.0  # the same for the scales of places, which are standardised


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
            from scipy.sparse.linalg import eigsh

            values, vectors = eigsh(likeness, k=_RANK, v0=np.ones(size))
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
    import torch

    sizes, values, moments = _binned(scores, spectrum)
    where = torch.from_numpy(places)
    parts = torch.tensor([*_START, *[_SCALE] * places.shape[1]], dtype=torch.float64, requires_grad=True)
    eye, picked = torch.eye(len(columns), dtype=torch.float64), torch.from_numpy(columns)
    optimiser = torch.optim.LBFGS([parts], max_iter=40, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        own, card, noise = _covariances(parts, where[picked])
        blocks = own + torch.from_numpy(values)[:, None, None] * card + noise * eye
        lower = torch.linalg.cholesky(blocks)
        fit = torch.cholesky_solve(torch.from_numpy(moments), lower).diagonal(dim1=1, dim2=2).sum()
        volume = (lower.diagonal(dim1=1, dim2=2).log().sum(1) * torch.from_numpy(sizes)).sum()
        loss: torch.Tensor = volume + 0.5 * fit + _doubt(parts)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        own, card, noise = _covariances(parts, where)
    return Covariance(own.numpy(), card.numpy(), float(noise))


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


def _covariances(parts: torch.Tensor, where: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`own`, `card` and `noise` from the logarithms of their parts."""
    import torch

    placed = where * parts[_PARTS:].exp()
    near = torch.exp(-0.5 * (placed[:, None] - placed[None]).square().sum(-1))
    eye = torch.eye(len(where), dtype=torch.float64)
    own, card = (parts[i].exp() + parts[i + 1].exp() * near + parts[i + 2].exp() * eye for i in (0, 3))
    return own, card, parts[6].exp()


def _doubt(parts: torch.Tensor) -> torch.Tensor:
    scales = (parts[_PARTS:] - _SCALE) / _SCALE_WIDE
    return 0.5 * (((parts[:_PARTS] - _PRIOR) / _WIDE).square().sum() + scales.square().sum())
