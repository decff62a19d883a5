"""Proxies: how well a region's features suit labels, told without training anything.

logme                   log evidence of a linear model from features to labels, per sample (You et al., ICML 2021)
h_score                 how much of the features' variance lies between classes (Bao et al., ICIP 2019)
regularised_h_score     the same with a shrunk covariance (Ibrahim et al., ECML 2022)
few_sample_accuracy     of a linear reading of the features, each sample foretold by all others
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError

__all__ = ["few_sample_accuracy", "h_score", "logme", "regularised_h_score"]

Floats = NDArray[np.float64]

_ROUNDS, _SETTLED = 100, 1e-6
_SMOOTH = 0.1


def logme(features: Floats, labels: NDArray[np.int64]) -> float:
    """Log of the maximum evidence of a linear model, per sample, on the mean over classes; more is better.

    Args:
        features: (samples, features), as a region gives them.
        labels: (samples,): class numbers.

    Raises:
        InputError: The two don't fit, or there are fewer than two classes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 200)
        >>> told = rng.normal(size=(200, 5)) + labels[:, None] * 3
        >>> bool(logme(told, labels) > logme(rng.normal(size=(200, 5)), labels))
        True
    """
    features, labels = _checked(features, labels)
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    return float(np.mean([_evidence(left, singular**2, labels == name, features) for name in np.unique(labels)]))


def _evidence(left: Floats, squares: Floats, member: NDArray[np.bool_], features: Floats) -> float:
    """Evidence of one class against the rest, at the best precisions of weights (alpha) and noise (beta)."""
    samples, width = features.shape
    target = member.astype(np.float64)
    along = (left.T @ target) ** 2
    beyond = max(float(target @ target - along.sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(_ROUNDS):
        ratio = alpha / beta
        certain = float((squares / (squares + ratio)).sum())
        weights = float((squares * along / (squares + ratio) ** 2).sum())
        missed = float((along * ratio**2 / (squares + ratio) ** 2).sum()) + beyond
        alpha, beta = certain / max(weights, 1e-12), (samples - certain) / max(missed, 1e-12)
        if abs(alpha / beta - ratio) <= _SETTLED * ratio:
            break
    ratio = alpha / beta
    weights = float((squares * along / (squares + ratio) ** 2).sum())
    missed = float((along * ratio**2 / (squares + ratio) ** 2).sum()) + beyond
    curved = float(np.log(alpha + beta * squares).sum()) + (width - len(squares)) * np.log(alpha)
    total = width * np.log(alpha) + samples * np.log(beta / (2 * np.pi)) - beta * missed - alpha * weights - curved
    return float(total / (2 * samples))


def h_score(features: Floats, labels: NDArray[np.int64]) -> float:
    """Trace of the inverse covariance of the features times the covariance of the classes' means; more is better.

    Args:
        features: (samples, features).
        labels: (samples,): class numbers.

    Raises:
        InputError: The two don't fit, or there are fewer than two classes.
    """
    features, labels = _checked(features, labels)
    centred = features - features.mean(0)
    between = _between(centred, labels)
    inverse = np.linalg.pinv(centred.T @ centred / len(centred), rcond=1e-10, hermitian=True)
    return float((inverse * between).sum())


def regularised_h_score(features: Floats, labels: NDArray[np.int64]) -> float:
    """The H-score with the covariance shrunk to a multiple of the unit matrix, by as much as Ledoit and Wolf advise.

    Args:
        features: (samples, features).
        labels: (samples,): class numbers.

    Raises:
        InputError: The two don't fit, or there are fewer than two classes.
    """
    from sklearn.covariance import ledoit_wolf

    features, labels = _checked(features, labels)
    centred = features - features.mean(0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    between = (1 - shrinkage) * _between(centred, labels)
    return float(np.trace(np.linalg.solve(covariance, between)))


def few_sample_accuracy(features: Floats, labels: NDArray[np.int64]) -> float:
    """Accuracy of ridge regression from features to classes, each sample left out in turn; more is better.

    Args:
        features: (samples, features).
        labels: (samples,): class numbers.

    Raises:
        InputError: The two don't fit, or there are fewer than two classes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 3, 150)
        >>> few_sample_accuracy(np.eye(3)[labels] + 0.1 * rng.normal(size=(150, 3)), labels) > 0.95
        True
    """
    features, labels = _checked(features, labels)
    told = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    told = np.hstack([told / np.sqrt(told.shape[1]), np.ones((len(told), 1))])
    names, codes = np.unique(labels, return_inverse=True)
    target = np.eye(len(names))[codes]
    likeness = told @ told.T
    hat = np.linalg.solve(likeness + _SMOOTH * np.eye(len(told)), likeness).T
    left_out = (hat @ target - hat.diagonal()[:, None] * target) / (1 - hat.diagonal())[:, None]
    return float((left_out.argmax(1) == codes).mean())


def _between(centred: Floats, labels: NDArray[np.int64]) -> Floats:
    """(features, features): covariance of the classes' means, each sample counting once."""
    found = np.zeros((centred.shape[1], centred.shape[1]))
    for name in np.unique(labels):
        here = centred[labels == name]
        mean = here.mean(0)
        found += len(here) / len(centred) * np.outer(mean, mean)
    return found


def _checked(features: Floats, labels: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    problems = []
    if features.ndim != 2 or labels.ndim != 1 or len(features) != len(labels):
        problems.append(
            f"features must be (samples, features) and labels (samples,); got {features.shape} and {labels.shape}"
        )
    elif len(np.unique(labels)) < 2:
        problems.append(f"at least two classes are needed; got {len(np.unique(labels))}")
    if not np.isfinite(features).all():
        problems.append("features must be finite numbers; look for overflow in the region that gave them")
    if problems:
        raise InputError(problems)
    return features, labels
