"""An ensemble: trusts the member that is right, relation by relation; members may be anything."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners.base import Scores
from cortigraph.reasoning.reasoners.embedding.adversarial import train_distance
from cortigraph.reasoning.reasoners.embedding.distance import TransE
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings, DistanceSettings
from cortigraph.reasoning.reasoners.embedding.softmax import train_complex
from cortigraph.reasoning.reasoners.ensemble import Ensemble, log_shares, train_ensemble
from cortigraph.reasoning.reasoners.evaluate import evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.registry import kind
from cortigraph.reasoning.reasoners.structure import Rows

from .made import ring, table
from .test_evaluate import Fixed, _graph


class Oracle(Fixed):
    """Right about one relation, in both directions; noise about all others."""

    def __init__(self, relation: int, true: Rows) -> None:
        super().__init__(1000)
        self._relation, self._true = relation, true

    def score(self, facts: Facts, queries: Rows) -> Scores:
        scores, count = super().score(facts, queries) + 1000 * self._relation, len(facts.relations)
        for head, relation, tail in self._true[self._true[:, 1] == self._relation].tolist():
            scores[(queries == (head, relation)).all(axis=1), tail] += 2000
            scores[(queries == (tail, relation + count)).all(axis=1), head] += 2000
        return scores


def test_each_relation_trusts_who_is_right() -> None:
    facts, held = _graph(relations=2, facts=300)
    members = [Oracle(relation, held) for relation in (0, 1)]
    ensemble = train_ensemble(members, facts, held[:20])
    for relation in (0, 1, 2, 3):
        assert ensemble.weights[relation].argmax() == relation % 2
    alone = [evaluate(member, facts, held).mrr for member in members]
    assert evaluate(ensemble, facts, held).mrr > max(alone) + 0.1


class Scaled(Fixed):
    """The same, in another unit."""

    def __init__(self, unit: float) -> None:
        super().__init__(5)
        self._unit = np.float32(unit)

    def score(self, facts: Facts, queries: Rows) -> Scores:
        return self._unit * super().score(facts, queries)


def test_without_facts_held_out_all_count_alike_in_whatever_unit() -> None:
    facts, held = _graph()
    ensemble = train_ensemble([Scaled(1), Scaled(500)], facts, held[:0])
    np.testing.assert_allclose(ensemble.weights[:, 0] / ensemble.weights[:, 1], 500, rtol=1e-3)


class Half(Fixed):
    """Sure, and right, about every other head; a guess, of little weight, about the rest."""

    def __init__(self, parity: int, true: Rows) -> None:
        super().__init__(1000)
        self._parity, self._true = parity, true

    def score(self, facts: Facts, queries: Rows) -> Scores:
        scores, count = super().score(facts, queries) / np.float32(1000), len(facts.relations)
        for head, relation, tail in self._true.tolist():
            for asked, answer in (((head, relation), tail), ((tail, relation + count), head)):
                if asked[0] % 2 == self._parity:
                    scores[(queries == asked).all(axis=1), answer] += 8
        return scores


def test_who_is_sure_outweighs_who_is_not() -> None:
    facts, held = _graph()
    members = [Half(parity, held) for parity in (0, 1)]
    ensemble = train_ensemble(members, facts, held[:20])
    alone = [evaluate(member, facts, held).mrr for member in members]
    assert max(alone) < 0.7
    assert evaluate(ensemble, facts, held).mrr > 0.95


def test_one_of_before_is_not_taken_for_what_it_is_not() -> None:
    ensemble = Ensemble([Fixed(3)], ["r"], np.ones((3, 1), np.float32))
    told = {name: value for name, value in ensemble.config().items() if name != "pool"}
    with pytest.raises(InputError, match="train it anew"):
        Ensemble.restore(told, ensemble.state())


def test_saved_and_made_again_it_scores_the_same() -> None:
    facts, held = ring()
    members = [
        train_complex(facts, held, ComplExSettings(rank=8, epochs=5)),
        train_distance(TransE, facts, held, DistanceSettings(rank=8, epochs=5)),
    ]
    ensemble = train_ensemble(members, facts, held)
    queries = facts.triples[:, :2]
    again = kind("ensemble").restore(ensemble.config(), ensemble.state())
    assert (again.score(facts, queries) == ensemble.score(facts, queries)).all()
    with pytest.raises(UnknownKeyError, match="did you mean complex"):
        kind("complx")


def test_relations_go_by_name_and_new_ones_take_what_suits_all() -> None:
    facts, _ = ring()
    weights = np.arange(10, dtype=np.float32).reshape(5, 2)
    ensemble = Ensemble([Fixed(3), Fixed(5)], facts.relations, weights)
    other = Facts.of(table(("a", "new", "b"), ("a", "next", "b")))
    found = ensemble.score(other, np.array([[0, 0], [0, 1], [0, 3]]))
    parts = [log_shares(member.score(other, np.array([[0, 0], [0, 1], [0, 3]]))) for member in ensemble.members]
    expected = weights[[4, 1, 3], :1] * parts[0] + weights[[4, 1, 3], 1:] * parts[1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scores_that_are_not_finite_count_as_the_lowest() -> None:
    found = log_shares(np.array([[-np.inf, 1.0, 3.0], [np.nan, -np.inf, np.inf]], np.float32))
    np.testing.assert_allclose(np.exp(found), [[0.1065, 0.1065, 0.787], [1 / 3, 1 / 3, 1 / 3]], atol=1e-3)


def test_it_needs_members() -> None:
    with pytest.raises(InputError, match="needs members"):
        Ensemble([], ["r"], np.ones((3, 0), np.float32))
