"""Forecasts: runs on the data set sharpen them, and one that failed by accident does not spoil them."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.reasoning.selector.forecast import Forecast
from cortigraph.reasoning.selector.levels import Level, guess_level, measure_levels

LEVEL = Level(0.7, 0.1, 0.1, 0.02)
NONE = np.zeros(0, dtype=np.int64)


def _forecast(**changes) -> Forecast:
    mean = np.linspace(1, -1, 21)
    told = {"mean": mean, "covariance": 0.3 * np.eye(21), "noise": 0.05, "level": LEVEL, "bounds": (0.0, 1.0)}
    return Forecast(**{**told, **changes})


def test_without_runs_the_level_and_the_order_are_the_forecasts() -> None:
    belief = _forecast().given(NONE, np.zeros(0))
    assert belief.mean == pytest.approx(0.7 + 0.1 * np.linspace(1, -1, 21))
    assert (belief.deviation > 0.1).all()


def test_runs_move_the_level_of_all() -> None:
    rows = np.array([4, 10, 16])
    before = _forecast().given(NONE, np.zeros(0))
    after = _forecast().given(rows, before.mean[rows] - 0.4)  # far harder than any data set that is known
    assert after.mean[0] == pytest.approx(before.mean[0] - 0.4, abs=0.06)
    assert (after.deviation < before.deviation).all()


def test_one_run_that_failed_is_not_taken_at_its_word() -> None:
    rows = np.arange(3, 18, 2)
    told = _forecast().given(NONE, np.zeros(0)).mean[rows]
    spoiled = told.copy()
    spoiled[3] = 0.01
    fine, hurt = (_forecast().given(rows, scores).mean for scores in (told, spoiled))
    others = np.setdiff1d(np.arange(21), rows)
    assert np.abs(fine - hurt)[others].max() < 0.05


def test_a_region_that_was_run_is_known_best() -> None:
    belief = _forecast().given(np.array([5]), np.array([0.9]))
    assert belief.deviation[5] < np.delete(belief.deviation, 5).min()


def test_bounds_keep_the_order() -> None:
    belief = _forecast(level=Level(0.98, 0.1, 0.3, 0.02)).given(NONE, np.zeros(0))
    assert belief.mean.max() <= 1
    assert (np.diff(belief.mean) < 0).all()


def test_levels_are_not_bent_by_who_was_run() -> None:
    strength = np.linspace(-0.3, 0.3, 30)
    scores = 0.6 + strength[:, None] + np.zeros((30, 4))
    scores[:20, 3] = np.nan  # the best ten alone were run on the last
    centre, _ = measure_levels(scores)
    assert centre[3] == pytest.approx(0.6, abs=0.08)
    assert np.nanmean(scores[:, 3]) > 0.75


def test_the_level_of_a_new_data_set_is_that_of_like_ones() -> None:
    place = np.array([[-2.0], [-1.9], [2.0], [1.9], [2.1]])
    centre, spread = np.array([0.9, 0.9, 0.5, 0.5, 0.5]), np.full(5, 0.1)
    level = guess_level(centre, spread, [place], 4, np.arange(4))
    assert level.centre == pytest.approx(0.53, abs=0.04)
    assert level.centre_deviation > 0.05
