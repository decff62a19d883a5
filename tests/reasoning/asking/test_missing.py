"""What is likely missing: habits of a graph, and what held-out facts say of candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cortigraph.reasoning.asking import missing as module
from cortigraph.reasoning.asking.habits import Habits
from cortigraph.reasoning.asking.likelihood import calibration_gap, learned, measured
from cortigraph.reasoning.asking.missing import missing
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.train import train
from cortigraph.train.clock import Clock
from tests.reasoning.reasoners.made import table

COUNTRIES = [(f"c{each:02}", "locatedin", f"r{each % 3}") for each in range(30) if each != 7]
COUNTRIES += [(f"c{each:02}", "neighbor", f"c{(each + 3) % 30:02}") for each in range(30)]
COUNTRIES += [(f"r{each}", "partof", "world") for each in range(3)]


def _asked(questions: np.ndarray, facts: Facts, name: str) -> list[str]:
    return [str(facts.entities[row]) for row in questions[questions[:, 1] == facts.relation(name), 0].tolist()]


def test_who_lacks_a_relation_is_asked_and_who_has_its_one_answer_is_not() -> None:
    facts = Facts.of(table(*COUNTRIES))
    habits = Habits.of(facts, np.zeros(len(facts.entities), dtype=np.int64))
    questions = habits.questions(facts, np.arange(2 * len(facts.relations)))
    assert _asked(questions, facts, "locatedin") == ["c07"]
    assert {"r0", "r1", "r2"} <= set(_asked(questions, facts, "inverse of locatedin"))  # has many, may have more
    assert "r0" not in _asked(questions, facts, "neighbor")  # nothing around it says that it has neighbours
    every = habits.questions(facts, np.array([facts.relation("locatedin")]), every=True)
    assert len(every) == len(facts.entities)
    assert str(facts.entities[every[0, 0]]) == "c07"


def _drawn(seed: int, missing: int, held: int, false: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates whose features tell true from false fairly well: others, of which some are true, and held-out ones."""
    random = np.random.default_rng(seed)
    right, wrong = (random.normal(shift, 1.0, (size, 2)) for shift, size in ((2.0, missing + held), (-1.0, false)))
    features = np.concatenate([wrong, right])
    true = np.arange(len(features)) >= false
    return features, true, np.arange(len(features)) >= false + missing


def test_probabilities_are_shares_that_are_true_though_missing_facts_look_false() -> None:
    features, true, held = _drawn(0, missing=600, held=200, false=4000)
    relations = np.arange(len(features)) % 3
    found = learned(features, relations, held, 3)
    assert 2.0 < found.missing.mean() < 4.0  # three are missing for each held out
    told = found.probabilities(features, relations)
    gap = calibration_gap(told[~held], true[~held])
    assert gap is not None
    assert gap < 0.12  # doubt counts against
    written = (told >= 0.5) & ~held
    quality = measured(features, relations, held, found, 0.5, int(held.sum()))
    assert quality.precision is not None
    assert abs(quality.precision - true[written].mean()) < 0.12
    assert quality.found > 0.5


def test_few_facts_leave_doubt_and_doubt_counts_against() -> None:
    at, told = np.array([[1.0, 1.0]]), []
    for features, _, held in (_drawn(1, 30, 10, 200), _drawn(1, 3000, 1000, 20_000)):
        found = learned(features, np.zeros(len(features), dtype=np.int64), held, 1)
        told.append(float(found.probabilities(at, np.zeros(1, dtype=np.int64))[0]))
    assert told[0] < told[1]


def test_a_complete_graph_lacks_nothing() -> None:
    features, _, held = _drawn(2, missing=0, held=200, false=4000)
    relations = np.zeros(len(features), dtype=np.int64)
    found = learned(features, relations, held, 1)
    assert (found.probabilities(features[~held], relations[~held]) >= 0.5).sum() < 10


def test_where_there_is_no_time_for_all_some_from_all_over_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts.of(table(*COUNTRIES, *((f"c{each:02}", "speaks", f"l{each % 4}") for each in range(30))))
    held, kept = facts.triples[::5], np.delete(np.arange(len(facts)), np.s_[::5])
    rest = replace(facts, triples=facts.triples[kept])
    kinds = np.zeros(len(facts.entities), dtype=np.int64)
    reasoner = train("complex", rest, held, {"rank": 8, "epochs": 3})
    asked = {"relations": np.arange(len(facts.relations)), "every": True}
    whole = missing(reasoner, facts, rest, held, kinds, **asked)
    monkeypatch.setattr(module, "seconds_a_query", lambda *_: 1.0)
    # Most of the time is for asking, so half of that for all leaves a third of the questions.
    short = missing(reasoner, facts, rest, held, kinds, **asked, clock=Clock(whole.questions / 2))
    assert whole.share == 1
    assert short.share == pytest.approx(1 / 4, abs=1 / 11)
    assert short.questions == pytest.approx(short.share * whole.questions, abs=1)
    assert np.isfinite(short.probabilities).all()
