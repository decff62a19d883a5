"""Scorers of closed graphs: gradients are autograd's, names count and not rows, what was saved scores the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners.embedding.adversarial import AdversarialSteps, train_distance
from cortigraph.reasoning.reasoners.embedding.closed import Closed
from cortigraph.reasoning.reasoners.embedding.complex import ComplEx
from cortigraph.reasoning.reasoners.embedding.distance import RotatE, TransE
from cortigraph.reasoning.reasoners.embedding.names import Names
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings, DistanceSettings
from cortigraph.reasoning.reasoners.embedding.softmax import Queries, SoftmaxSteps, train_complex
from cortigraph.reasoning.reasoners.embedding.watch import Progress
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.triples import read_splits
from cortigraph.train import clock
from tests.train.real_data import DATA, needs_data

from .made import ring, table

Train = Callable[..., Closed]


def _complex(facts: Facts, valid: Any, **choices: Any) -> ComplEx:
    more = {key: choices.pop(key) for key in ("start", "progress") if key in choices}
    settings = {"rank": 16, "epochs": 30, "batch": 16, "precision": "float32"} | choices
    return train_complex(facts, valid, ComplExSettings(**settings), **more)


def _distance(of: type[Any]) -> Train:
    def train(facts: Facts, valid: Any, **choices: Any) -> Closed:
        more = {key: choices.pop(key) for key in ("start", "progress") if key in choices}
        settings = {"rank": 16, "epochs": 100, "batch": 16, "negatives": 16, "margin": 4.0} | choices
        return train_distance(of, facts, valid, DistanceSettings(**settings), **more)

    return train


TRAIN: dict[str, Train] = {"complex": _complex, "rotate": _distance(RotatE), "transe": _distance(TransE)}
EACH = pytest.mark.parametrize("train", TRAIN.values(), ids=TRAIN)


def _every_query(facts: Facts) -> np.ndarray:
    count = 2 * len(facts.relations)
    return np.array([(head, relation) for head in range(len(facts.entities)) for relation in range(count)])


@EACH
def test_what_it_was_told_comes_first(train: Train) -> None:
    facts, _ = ring()
    scorer = train(facts, facts.triples[:0])
    assert evaluate(scorer, facts, facts.triples).mrr > 0.75  # both directions; translations never quite close a ring


@EACH
def test_names_count_and_not_rows(train: Train) -> None:
    facts, held = ring()
    scorer = train(facts, held, epochs=3)
    few = Facts.of(table(("p05", "after", "p07"), ("p02", "next", "p03")), relations=["next", "after"])
    found = scorer.score(few, np.array([[few.entities.row("p05"), 0], [few.entities.row("p03"), 2 + 1]]))
    rows = facts.entities.rows(few.entities)
    ours = np.array(
        [[facts.entities.row("p05"), 1], [facts.entities.row("p03"), 2]]
    )  # `after` comes before `next` there
    np.testing.assert_allclose(found, scorer.score(facts, ours)[:, rows], rtol=1e-5, atol=1e-6)


@EACH
def test_unknown_names_are_told_with_those_near(train: Train) -> None:
    facts, held = ring()
    scorer = train(facts, held, epochs=1)
    with pytest.raises(UnknownKeyError, match=r"no entity 'p0x'.*did you mean p"):
        scorer.score(Facts.of(table(("p01", "next", "p0x"))), np.array([[0, 0]]))
    with pytest.raises(UnknownKeyError, match=r"no relation 'nexxt'.*did you mean next"):
        scorer.score(Facts.of(table(("p01", "nexxt", "p02"))), np.array([[0, 1]]))
    with pytest.raises(InputError, match="relation must be a row from 0 to 3"):
        scorer.score(facts, np.array([[0, 4]]))


@EACH
def test_it_stops_tells_and_keeps_the_best(train: Train) -> None:
    facts, held = ring()
    told: list[Progress] = []
    scorer = train(facts, held, epochs=500, every=1, patience=2, progress=told.append)
    measured = [moment.mrr for moment in told]
    assert len(told) < 500
    best = int(np.argmax(measured))
    assert len(told) == best + 3
    known = Known(np.concatenate([facts.triples, held]), len(facts.relations))
    assert evaluate(scorer, facts, held, known).mrr == measured[best]
    assert [moment.epoch for moment in told] == list(range(1, len(told) + 1))


@pytest.mark.parametrize("seconds", [2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
@EACH
def test_time_is_kept(train: Train, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    facts, held = ring()
    told: list[Progress] = []
    looks = itertools.count()  # half a second passes whenever the clock is looked at, wherever that is
    ticks = SimpleNamespace(monotonic=lambda: next(looks) / 2)
    monkeypatch.setattr(clock, "time", ticks)
    train(facts, held, epochs=10**6, seconds=seconds, every=1000, progress=told.append)
    assert 0 < len(told) < 10
    assert [moment.mrr is not None for moment in told] == [False] * (len(told) - 1) + [True]


@EACH
def test_it_goes_on_from_another(train: Train) -> None:
    facts, _ = ring()
    before = train(facts, facts.triples[:0], epochs=3)
    more = Facts.of(table(*_named(facts), ("p00", "new", "zz"), ("zz", "next", "p05")))
    after = train(more, more.triples[:0], epochs=0, start=before)
    old = facts.entities.rows(facts.entities)
    rows = more.entities.rows(facts.entities)
    assert (after.entity[rows] == before.entity[old]).all()
    assert (after.relation[more.relation("next")] == before.relation[facts.relation("next")]).all()
    with pytest.raises(InputError, match="numbers here"):
        train(more, more.triples[:0], rank=8, epochs=1, start=before)


def _named(facts: Facts) -> list[tuple[str, str, str]]:
    keys = list(facts.entities)
    return [(keys[head], facts.relations[relation], keys[tail]) for head, relation, tail in facts.triples.tolist()]


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError):
        ComplExSettings(rank=0)
    with pytest.raises(ValidationError):
        DistanceSettings(negative=3)


@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_gradients_of_complex_are_those_of_autograd(precision: str, error: float) -> None:
    drawn = np.random.default_rng(0)
    triples = np.unique(np.stack([drawn.integers(0, limit, 60) for limit in (40, 6, 40)], axis=1), axis=0)
    tables = [drawn.standard_normal((rows, 12)).astype(np.float32) for rows in (40, 6)]
    entity, relation = (torch.tensor(table, requires_grad=True) for table in tables)
    facts, _ = ring(40)
    settings = ComplExSettings(rank=6, batch=999, regularization=0.3, relation_weight=2.0, precision=precision)
    steps = SoftmaxSteps(ComplEx(Names.of(facts), *tables), settings)
    queries = Queries(triples)
    told = steps.run(queries, np.arange(len(queries)))

    def of(table: torch.Tensor) -> torch.Tensor:
        return torch.complex(table[:, :6], table[:, 6:])

    head, middle, tail = of(entity)[triples[:, 0]], of(relation)[triples[:, 1]], of(entity)[triples[:, 2]]
    rows, kinds = torch.from_numpy(triples[:, 2].copy()), torch.from_numpy(triples[:, 1].copy())
    loss = functional.cross_entropy(((head * middle) @ of(entity).conj().T).real, rows)
    names = functional.cross_entropy(((head * tail.conj()) @ of(relation).T).real, kinds)
    cubes = sum((part.abs() ** 3).sum() for part in (head, middle, tail)) / len(triples)
    (loss + 2.0 * names + 0.3 * cubes).backward()
    assert told == pytest.approx(loss.item(), rel=error)
    for kept, exact in ((steps.entity, entity), (steps.relation, relation)):
        np.testing.assert_allclose(np.sqrt(kept.squares), exact.grad.abs().numpy(), atol=error)


@pytest.mark.parametrize("of", [RotatE, TransE])
def test_gradients_of_distances_are_those_of_autograd(of: Any) -> None:
    drawn = np.random.default_rng(0)
    triples = np.stack([drawn.integers(0, limit, 30) for limit in (40, 4, 40)], axis=1)
    negatives = drawn.integers(0, 40, (30, 5))
    tables = [drawn.standard_normal(shape).astype(np.float32) for shape in ((40, 12 if of.pairs else 6), (2, 6))]
    entity, relation = (torch.tensor(table, requires_grad=True) for table in tables)
    facts, _ = ring(40)
    steps = AdversarialSteps(of(Names.of(facts), *tables), DistanceSettings(rank=6, margin=4.0, temperature=0.7))
    told = steps.step(triples, negatives)

    moves = torch.where(torch.from_numpy(triples[:, 1:2] < 2), 1.0, -1.0) * relation[triples[:, 1] % 2]
    points = torch.complex(entity[:, :6], entity[:, 6:]) if of.pairs else entity
    heads = points[triples[:, 0]]
    asked = heads * torch.polar(torch.ones_like(moves), moves) if of.pairs else heads + moves
    right = (asked - points[triples[:, 2]]).abs().sum(-1)
    wrong = (asked[:, None] - points[torch.from_numpy(negatives)]).abs().sum(-1)
    shares = torch.softmax(-0.7 * wrong, dim=1).detach()
    loss = (functional.softplus(right - 4.0) + (shares * functional.softplus(4.0 - wrong)).sum(1)) / 2
    loss.mean().backward()
    assert told == pytest.approx(loss.sum().item(), rel=1e-5)
    for kept, exact in ((steps.squares[0], entity), (steps.squares[1], relation)):
        np.testing.assert_allclose(np.sqrt(kept), exact.grad.abs().numpy(), atol=1e-6)


@needs_data("kg/umls")
def test_umls() -> None:
    splits = read_splits(DATA / "kg" / "umls")
    scorer = train_complex(splits.facts, splits.valid, ComplExSettings(rank=64, relation_weight=1.0, epochs=30))
    known = Known(np.concatenate([splits.facts.triples, splits.valid, splits.test]), len(splits.facts.relations))
    assert evaluate(scorer, splits.facts, splits.test, known).mrr > 0.85


@needs_data("kg/nations")
def test_nations() -> None:
    splits = read_splits(DATA / "kg" / "nations")
    scorer = train_distance(RotatE, splits.facts, splits.valid, DistanceSettings(rank=32, epochs=60))
    known = Known(np.concatenate([splits.facts.triples, splits.valid, splits.test]), len(splits.facts.relations))
    assert evaluate(scorer, splits.facts, splits.test, known).mrr > 0.55
