"""Ranking: the best answers first, what is known told from what is predicted, whatever the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cortigraph.reasoning.reasoners.calibration import Calibration
from cortigraph.reasoning.reasoners.rank import Ranked, best, rank
from cortigraph.reasoning.reasoners.train import train

from .made import ring


@pytest.fixture(scope="module")
def asked():
    facts, held = ring()
    return train("complex", facts, held, {"rank": 16, "epochs": 30, "batch": 16}), facts, held


def test_known_answers_come_first_and_are_told_from_predicted_ones(asked):
    reasoner, facts, held = asked
    queries = np.concatenate([held[:, :2], facts.triples[:3, :2]])
    for query, answers in zip(queries, rank(reasoner, facts, queries, top=4), strict=True):
        true = {str(facts.entities[t]) for h, r, t in facts.triples if (h, r) == tuple(query)}
        assert [each.entity for each in answers if each.known] == [each.entity for each in answers][: len(true)]
        assert {each.entity for each in answers if each.known} == true
        assert all(each.probability == 1 for each in answers if each.known)
        chances = [each.probability for each in answers]
        assert chances == sorted(chances, reverse=True)


def test_only_known_and_only_predicted_make_up_all(asked):
    reasoner, facts, _ = asked
    query, count = facts.triples[:1, :2], len(facts.entities)
    (every,), (known,), (predicted,) = (
        list(rank(reasoner, facts, query, top=count, known=which)) for which in (None, True, False)
    )
    assert every == known + predicted
    assert len(every) == count
    assert [each.entity for each in known] == [str(facts.entities[facts.triples[0, 2]])]


def test_calibration_changes_probabilities_and_no_order(asked):
    reasoner, facts, held = asked
    plain = list(rank(reasoner, facts, held[:, :2], known=False))
    timid = list(rank(reasoner, facts, held[:, :2], known=False, calibration=Calibration(slope=0.5, offset=-3.0)))
    blank = [[replace(each, probability=0.0) for each in answers] for answers in plain]
    assert blank == [[replace(each, probability=0.0) for each in answers] for answers in timid]
    assert all(a[0].probability > b[0].probability for a, b in zip(plain, timid, strict=True))


def test_scores_that_are_equally_likely_are_ranked_by_score():
    probabilities, scores = np.array([0.0, 1.0, 0.0]), np.array([-9.0, 0.0, -8.0], np.float32)
    assert best(probabilities, scores, np.array([1]), 3).tolist() == [1, 2, 0]
    assert best(probabilities, scores, np.array([1]), 1, known=False).tolist() == [2]


def test_no_question_has_no_answer(asked):
    reasoner, facts, _ = asked
    found: list[list[Ranked]] = list(rank(reasoner, facts, np.zeros((0, 2), dtype=np.int64)))
    assert found == []
