"""`seconds` is for all of a training: the clock is looked at within an epoch, and what closes it is in time."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from cortigraph.reasoning.reasoners import pace
from cortigraph.reasoning.reasoners.calibration import calibrate
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings
from cortigraph.reasoning.reasoners.estimate import estimate
from cortigraph.reasoning.reasoners.pace import in_time, spread
from cortigraph.reasoning.reasoners.train import train
from cortigraph.train import clock
from cortigraph.train.clock import Clock
from tests.reasoning.reasoners.made import ring

TICK = 0.01
SMALL = {
    "path": {"width": 4, "layers": 2, "batch": 4},
    "complex": {"rank": 4, "batch": 1},
    "rotate": {"rank": 4, "batch": 1, "negatives": 2},
    "transe": {"rank": 4, "batch": 1, "negatives": 2},
    "foundation": {"width": 4, "layers": 2, "batch": 4},
}


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> itertools.count[int]:
    """Time that passes whenever it is looked at, and not otherwise: no machine is too slow for these tests."""
    looks = itertools.count()
    tell = lambda: next(looks) * TICK  # noqa: E731
    for module in (clock, pace):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=tell, perf_counter=tell))
    return looks


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_time_ends_a_training_wherever_it_is(kind: str, ticking: itertools.count[int]) -> None:
    facts, held = ring(200)
    told, parts = [], []
    settings = {**SMALL[kind], "epochs": 10**4, "seconds": 1.0}
    trained = train(kind, facts, held, settings, told.append, shown=lambda *part: parts.append(part))
    assert told[-1].mrr is not None  # what was learned until then is measured, and serves
    assert np.isfinite(trained.score(facts, held[:2, :2])).any()
    assert next(ticking) * TICK < 1.2
    assert any(what.startswith("training, ") and whole for what, _, whole in parts)


def test_an_epoch_is_cut(ticking: itertools.count[int]) -> None:
    facts, held = ring(200)
    told = []
    train("complex", facts, held, {"rank": 4, "batch": 1, "epochs": 1, "seconds": 1.0}, told.append)
    (only,) = told
    assert only.mrr is not None
    assert next(ticking) < len(facts)  # so many steps, each with a look, make an epoch


def test_members_share_the_time(ticking: itertools.count[int]) -> None:
    facts, held = ring(100)
    told = []
    settings = {
        "members": "complex,rotate", "seconds": 4.0, "complex.rank": 4, "rotate.rank": 4, "rotate.batch": 4,
        "complex.batch": 1, "complex.epochs": 10**4, "rotate.epochs": 10**4,
    }  # fmt: skip
    train("ensemble", facts, held, settings, told.append)
    assert next(ticking) * TICK < 4.8
    ends = [one.seconds for one, after in zip(told, [*told[1:], None], strict=True) if not after or after.epoch == 1]
    assert ends == pytest.approx([1.8, 1.8], abs=0.3)


def test_calibration_takes_what_time_there_is(ticking: itertools.count[int]) -> None:
    facts, held = ring(200)
    trained = train("complex", facts, held, {"rank": 8, "epochs": 20})
    parts = []
    short = calibrate(trained, facts, held, seconds=TICK, shown=lambda *part: parts.append(part))
    assert np.isfinite([short.slope, short.offset]).all()
    (_, done, whole) = parts[-1]
    assert done < whole
    assert calibrate(trained, facts, held, shown=lambda *part: parts.append(part)).facts == len(held)
    assert parts[-1][1] == parts[-1][2]


def test_what_closes_a_training_has_its_part_of_the_time(ticking: itertools.count[int]) -> None:
    settings = ComplExSettings(seconds=100)
    left = in_time(settings, Clock(100)).seconds
    assert left is not None
    assert 85 < left < 95
    assert in_time(settings, Clock(100, spent=99)).seconds == pytest.approx(5)  # something is learned all the same
    assert in_time(settings, None) is settings
    assert in_time(ComplExSettings(), Clock()).seconds is None


def test_rows_are_taken_from_all_over() -> None:
    rows = np.arange(1000)[:, None]
    assert len(spread(rows, 10, 0.1)) == 100
    assert spread(rows, 1e9, 0.1) is rows
    assert len(spread(rows, 0, 0.1)) > 0


def test_where_the_time_is_given_nothing_is_tried_to_estimate_it() -> None:
    facts, held = ring()
    told = estimate("path", facts, held, {"seconds": 7})
    assert (told.seconds, told.bytes) == (7, None)
    assert estimate("ensemble", facts, held, {"seconds": 9}).seconds == 9
