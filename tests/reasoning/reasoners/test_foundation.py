"""A foundation: learns from several graphs, answers about relations it never saw, goes on from where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.relation_graph import MEETINGS, relation_graph
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings
from cortigraph.reasoning.reasoners.path.training import Progress, train_foundation
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import train
from cortigraph.reasoning.reasoners.triples import read_splits
from tests.train.real_data import DATA, needs_data

from .made import citizens, ring

SMALL = FoundationSettings(width=16, layers=3, relation_steps=3, batch=16, epochs=40, patience=40, dropout=0.0)


def renamed(facts: Facts, asked: Rows) -> tuple[Facts, Rows]:
    """The same graph in words that nobody knows, its relations in another order."""
    count = len(facts.relations)
    turned = [np.stack([rows[:, 0], count - 1 - rows[:, 1], rows[:, 2]], axis=1) for rows in (facts.triples, asked)]
    return Facts(facts.entities, tuple(f"x{number}" for number in range(count)), turned[0]), turned[1]


def test_it_answers_about_relations_that_it_never_saw() -> None:
    reasoner = train_foundation([citizens(24)], SMALL)
    other, others = citizens(60)
    strange, asked = renamed(other, others)
    known = Known(np.concatenate([strange.triples, asked]), 3)
    assert evaluate(reasoner, strange, asked, known).mrr > 5 / len(other.entities)
    turned = reasoner.score(strange, np.ascontiguousarray(asked[:, :2]))
    same = reasoner.score(other, np.ascontiguousarray(others[:, :2]))
    np.testing.assert_allclose(turned, same, rtol=1e-4, atol=1e-4)


def test_relations_meet_where_they_share_an_entity() -> None:
    edges = citizens(12)[0].edges
    ends: dict[int, tuple[set[int], set[int]]] = {relation: (set(), set()) for relation in range(edges.relations)}
    for head, relation, tail in zip(edges.source, edges.relation, edges.target, strict=True):
        ends[int(relation)][0].add(int(head))
        ends[int(relation)][1].add(int(tail))
    sides = ((0, 0), (1, 1), (0, 1), (1, 0))
    wanted = {
        (one, how, other)
        for how, (a, b) in enumerate(sides)
        for one in ends
        for other in ends
        if ends[one][a] & ends[other][b]
    }
    found = relation_graph(edges)
    told = set(zip(found.source.tolist(), found.relation.tolist(), found.target.tolist(), strict=True))
    assert told == wanted
    assert len(told) < MEETINGS * edges.relations**2  # else nothing would be told apart


def test_killed_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    graphs: list[tuple[Facts, Rows | None]] = [ring(12), citizens(12)]
    settings = SMALL.model_copy(update={"epochs": 4, "dropout": 0.2, "edge_drop": 0.2})
    whole = train_foundation(graphs, settings)

    class KilledError(Exception):
        pass

    def kill(told: Progress) -> None:
        if told.step > 8:
            raise KilledError

    checkpoint = Checkpoint(tmp_path / "part", "it")
    with pytest.raises(KilledError):
        train_foundation(graphs, settings, kill, checkpoint=checkpoint)
    told: list[Progress] = []
    again = train_foundation(graphs, settings, told.append, checkpoint=checkpoint)
    assert told[0].step > 4
    for name, value in whole.state().items():
        assert value.equal(again.state()[name]), name


def test_what_it_can_be_trained_on() -> None:
    facts, held = ring(12)
    with pytest.raises(InputError, match="'path' learns from one graph, got 2"):
        train("path", facts, held, {"epochs": 1}, also=[citizens(12)])
    path = train("path", facts, held, {"epochs": 1, "width": 16, "layers": 3})
    with pytest.raises(InputError, match="its kind only, got 'path'"):
        train("foundation", facts, held, {"epochs": 1}, start=path)
    with pytest.raises(InputError, match="no facts to train on"):
        train_foundation([(facts, held), (replace(facts, triples=facts.triples[:0]), None)], SMALL)
    begun = train_foundation([(facts, held)], SMALL.model_copy(update={"epochs": 1}))
    with pytest.raises(InputError, match="width and layers"):
        train("foundation", facts, held, {"epochs": 1, "width": 8}, start=begun)
    choices = {**SMALL.model_dump(), "epochs": 1, "learning_rate": 1e-9, "weight_decay": 0}
    after = train("foundation", *citizens(12), choices, start=begun)
    for name, value in begun.state().items():
        np.testing.assert_allclose(value, after.state()[name], atol=1e-6)


@needs_data("kg/nations", "kg/umls")
def test_from_nations_to_umls() -> None:
    nations, umls = (read_splits(DATA / "kg" / name) for name in ("nations", "umls"))
    settings = FoundationSettings(width=16, layers=3, relation_steps=2, epochs=2, batch=32)
    reasoner = train_foundation([(nations.facts, nations.valid)], settings)
    known = Known(np.concatenate([umls.facts.triples, umls.valid, umls.test]), len(umls.facts.relations))
    assert evaluate(reasoner, umls.facts, umls.test[:200], known).mrr > 0.2  # by chance it is .04
