"""Ranks: filtered, ties against the answer, the same however queries are grouped; equal to the definition by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from torch import Tensor

from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate, ranks
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows

from .made import ring


class Fixed(Reasoner):
    """Scores drawn for each query by itself, or the same for all."""

    name: ClassVar[str] = "fixed"
    inductive: ClassVar[bool] = True

    def __init__(self, levels: int, constant: bool = False) -> None:
        self.levels, self.constant, self.asked = levels, constant, 0

    def score(self, facts: Facts, queries: Rows) -> Scores:
        self.asked += len(queries)
        if self.constant:
            return np.zeros((len(queries), len(facts.entities)), dtype=np.float32)
        rows = [
            np.random.default_rng(query).integers(0, self.levels, len(facts.entities)) for query in queries.tolist()
        ]
        return np.array(rows, dtype=np.float32).reshape(len(queries), -1)

    def config(self) -> Mapping[str, Any]:
        return {}

    def state(self) -> Mapping[str, Tensor]:
        return {}

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Fixed:
        return cls(2)


def _graph(seed: int = 0, entities: int = 30, relations: int = 3, facts: int = 200) -> tuple[Facts, Rows]:
    drawn = np.random.default_rng(seed)
    shape = (drawn.integers(0, limit, facts) for limit in (entities, relations, entities))
    triples = np.unique(np.stack(list(shape), axis=1), axis=0)
    order = drawn.permutation(len(triples))
    names, _ = ring(entities)
    kept = Facts(names.entities, tuple("abcdef"[:relations]), triples[np.sort(order[40:])])
    return kept, triples[order[:40]]


def _by_hand(reasoner: Reasoner, facts: Facts, held: Rows, true: Rows) -> Rows:
    """1 + how many other entities score at least as much, those left out that are known to be true (pessimistic)."""
    count = len(facts.relations)
    every = {tuple(fact) for fact in np.concatenate([true, inverse(true, count)]).tolist()}
    found = []
    for head, relation, answer in np.concatenate([held, inverse(held, count)]).tolist():
        scores = reasoner.score(facts, np.array([[head, relation]]))[0]
        rivals = [e for e in range(len(scores)) if e != answer and (head, relation, e) not in every]
        found.append(1 + sum(scores[rival] >= scores[answer] for rival in rivals))
    return np.array(found).reshape(2, -1).T


@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_ranks_are_those_of_the_definition(levels: int) -> None:
    facts, held = _graph()
    reasoner = Fixed(levels)
    found = evaluate(reasoner, facts, held)
    expected = _by_hand(reasoner, facts, held, np.concatenate([facts.triples, held]))
    assert found.ranks.tolist() == expected.tolist()
    assert found.mrr == pytest.approx((1 / expected).mean(), abs=1e-12)
    assert found.hits(3) == pytest.approx((expected <= 3).mean(), abs=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 1000, None])
def test_batches_do_not_matter(batch: int | None) -> None:
    facts, held = _graph(1)
    whole = evaluate(Fixed(5), facts, held, batch=33).ranks
    assert evaluate(Fixed(5), facts, held, batch=batch).ranks.tolist() == whole.tolist()


def test_a_query_with_several_answers_is_asked_once() -> None:
    facts, held = _graph(2, entities=5, relations=1, facts=40)
    reasoner, told = Fixed(5), []
    evaluate(reasoner, facts, held, progress=lambda done, of: told.append((done, of)))
    different = len(np.unique(np.concatenate([held, inverse(held, 1)])[:, :2], axis=0))
    assert reasoner.asked == different < 2 * len(held)
    assert told[-1] == (different, different)


def test_a_constant_scorer_ranks_last() -> None:
    facts, held = _graph(3)
    assert evaluate(Fixed(1, constant=True), facts, held).ranks.min() > 15


def test_nothing_held_out() -> None:
    facts, held = _graph(4)
    assert np.isnan(evaluate(Fixed(3), facts, held[:0]).mrr)


def test_what_is_not_a_number_ranks_last() -> None:
    scores = np.array([[np.nan, 1.0, 2.0], [0.0, np.nan, 1.0]], np.float32)
    assert ranks(scores, np.array([0, 0]), np.zeros(3, np.int64), np.zeros(0, np.int64)).tolist() == [3, 3]


def test_known_answers() -> None:
    known = Known(np.array([[0, 0, 1], [0, 0, 2], [0, 0, 2], [3, 1, 0]]), 2)
    first, tails = known.of(np.array([[0, 0], [5, 0], [0, 3], [2, 2]]))
    assert first.tolist() == [0, 2, 2, 3, 4]
    assert tails.tolist() == [1, 2, 3, 0]
