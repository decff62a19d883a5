"""Proxies: equal to what their definitions give the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.selector.proxies import h_score, logme, regularised_h_score


def _data(samples: int = 40, width: int = 6, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    return rng.normal(size=(samples, width)) + rng.normal(size=(classes, width))[labels], labels


@pytest.mark.parametrize(("samples", "width"), [(40, 6), (12, 30)])
def test_logme_is_the_largest_evidence(samples: int, width: int) -> None:
    features, labels = _data(samples, width)

    def evidence(target: np.ndarray) -> float:
        def minus(logs: np.ndarray) -> float:
            alpha, beta = np.exp(logs)
            covariance = np.eye(samples) / beta + features @ features.T / alpha
            return -multivariate_normal.logpdf(target, np.zeros(samples), covariance) / samples

        return -minimize(minus, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).fun

    slow = np.mean([evidence((labels == name).astype(float)) for name in range(3)])
    assert logme(features, labels) == pytest.approx(slow, abs=1e-4)


def test_h_score_by_its_definition() -> None:
    features, labels = _data()
    means = np.stack([features[labels == name].mean(0) for name in range(3)])[labels]
    slow = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(slow)


def test_h_score_counts_classes_that_are_quite_apart() -> None:
    labels = np.arange(90) % 3
    features = np.eye(3)[labels][:, :2] * 100 + np.random.default_rng(0).normal(size=(90, 2)) * 1e-3
    assert h_score(features, labels) == pytest.approx(2, abs=1e-3)


def test_regularised_h_score_stands_more_features_than_samples() -> None:
    told = regularised_h_score(*_data(20, 200, 2))
    mixed = regularised_h_score(_data(20, 200, 2)[0], np.random.default_rng(1).permutation(np.arange(20) % 2))
    assert told > mixed > 0


def test_what_does_not_fit_is_refused() -> None:
    features, labels = _data()
    with pytest.raises(InputError, match="two classes"):
        logme(features, np.zeros(40, dtype=int))
    with pytest.raises(InputError, match=r"\(40, 6\) and \(39,\)"):
        h_score(features, labels[1:])
    with pytest.raises(InputError, match="finite"):
        h_score(np.where(features > 1, np.inf, features), labels)
