"""The process: quick algebra over the grid gives what plain algebra over the cells gives."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.reasoning.selector.kernel import Covariance, Spectrum, learn
from cortigraph.reasoning.selector.process import Process

REGIONS, DATASETS = 12, 5


def _likeness(seed: int = 0, size: int = REGIONS) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(size, 2))
    return np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(-1))


def _covariance() -> Covariance:
    near = np.exp(-0.5 * (np.arange(DATASETS)[:, None] - np.arange(DATASETS)[None]) ** 2 / 2)
    return Covariance(0.1 + 0.3 * near + 0.05 * np.eye(DATASETS), 0.2 + 0.5 * near, 0.15)


def _dense(likeness: np.ndarray, seen: np.ndarray, scores: np.ndarray, columns: np.ndarray, column: int) -> tuple:
    """Mean and covariance on one data set, cell by cell."""
    cov = _covariance()
    cells = [(i, j) for i in range(len(seen)) for j in range(len(columns)) if seen[i, j]]
    rows, sets = np.array([i for i, _ in cells]), columns[[j for _, j in cells]]
    same = rows[:, None] == rows[None]
    inner = same * cov.own[np.ix_(sets, sets)] + likeness[np.ix_(rows, rows)] * cov.card[np.ix_(sets, sets)]
    inner = inner + cov.noise * np.eye(len(cells))
    own, card = cov.own[sets, column], cov.card[sets, column]
    cross = (np.arange(len(seen))[:, None] == rows) * own + likeness[:, rows] * card
    weights = np.linalg.solve(inner, cross.T).T
    prior = np.eye(len(seen)) * cov.own[column, column] + likeness * cov.card[column, column]
    return weights @ scores[seen], prior - weights @ cross.T, weights, cells


@pytest.mark.parametrize("gaps", [0.0, 0.1, 0.6])
def test_the_mean_is_exact_whatever_is_missing(gaps: float) -> None:
    rng = np.random.default_rng(1)
    columns = np.array([0, 1, 3, 4])
    scores = rng.normal(size=(REGIONS, 4))
    scores[rng.random(scores.shape) < gaps] = np.nan
    scores[3] = np.nan if gaps else scores[3]  # a region without a single run
    process = Process(Spectrum.of(_likeness()), _covariance(), scores, columns)
    mean, _, weights, cells = _dense(_likeness(), np.isfinite(scores), scores, columns, 2)
    assert process.mean(2) == pytest.approx(mean, abs=1e-6)
    told = process.weights(np.eye(REGIONS)[5], 2)
    assert [told[cell] for cell in cells] == pytest.approx(weights[5], abs=1e-6)


def test_what_remains_unknown_is_exact_on_a_full_grid() -> None:
    columns = np.array([0, 1, 3, 4])
    scores = np.random.default_rng(2).normal(size=(REGIONS, 4))
    spread = Process(Spectrum.of(_likeness()), _covariance(), scores, columns).spread(2)
    _, dense, _, _ = _dense(_likeness(), np.isfinite(scores), scores, columns, 2)
    correlation = np.corrcoef(spread[np.triu_indices(REGIONS, 1)], dense[np.triu_indices(REGIONS, 1)])[0, 1]
    assert spread.diagonal() == pytest.approx(dense.diagonal(), rel=0.25)  # on the diagonal it is an approximation
    assert correlation > 0.98
    assert np.linalg.eigvalsh(spread).min() > -1e-9


def test_fewer_runs_leave_more_unknown() -> None:
    columns = np.array([0, 1, 3, 4])
    scores = np.random.default_rng(3).normal(size=(REGIONS, 4))
    scores[0, 1:] = np.nan
    scores[1] = np.nan
    left = Process(Spectrum.of(_likeness()), _covariance(), scores, columns).spread(2).diagonal()
    assert left[1] > left[0] > left[2:].max()


def test_learning_finds_what_made_the_scores() -> None:
    likeness = _likeness(size=150)
    spectrum = Spectrum.of(likeness)
    rng = np.random.default_rng(4)
    places = np.linspace(-1.5, 1.5, 8)[:, None]
    near = np.exp(-0.5 * (places - places.T) ** 2)
    lower = np.linalg.cholesky(likeness + 1e-9 * np.eye(150))
    by_card = lower @ rng.normal(size=(150, 8)) @ np.linalg.cholesky(0.7 * near + 1e-9 * np.eye(8)).T
    scores = by_card + rng.normal(size=(150, 8)) * np.sqrt(0.2)
    found = learn(scores, spectrum, places, np.arange(8))
    assert found.card[0, 0] == pytest.approx(0.7, abs=0.35)
    assert found.noise + found.own[0, 0] == pytest.approx(0.2, abs=0.1)
    assert found.card[0, 1] > 3 * abs(found.card[0, 7])


def test_learning_twice_gives_the_same() -> None:
    scores = np.random.default_rng(5).normal(size=(REGIONS, 4))
    spectrum, places = Spectrum.of(_likeness()), np.arange(5.0)[:, None] - 2
    one, two = (learn(scores, spectrum, places, np.arange(4)) for _ in range(2))
    assert np.array_equal(one.own, two.own)
    assert np.array_equal(one.card, two.card)
