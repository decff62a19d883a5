"""What every reasoner holds to, whatever is inside it: the same questions to each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.registry import kinds
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import train, trainable

from .made import citizens, ring, table

PATH = {"width": 8, "layers": 3, "batch": 16, "dropout": 0.0}
SMALL: dict[str, dict[str, object]] = {
    "path": {**PATH, "way": "everywhere"},
    "path outwards": {**PATH, "way": "outwards"},
    "path, the best alone": {**PATH, "way": "outwards", "most": 3},
    "foundation": {**PATH, "relation_steps": 2},
    "complex": {"rank": 8, "batch": 16},
    "rotate": {"rank": 8, "batch": 16, "negatives": 8, "margin": 4.0},
    "transe": {"rank": 8, "batch": 16, "negatives": 8, "margin": 4.0},
}
SMALL["ensemble"] = {f"{kind}.{name}": value for kind in ("path", "complex") for name, value in SMALL[kind].items()}
Trainer = Callable[..., Reasoner]


def _trainer(name: str) -> Trainer:
    def trained(facts: Facts, valid: Rows | None = None, epochs: int = 3) -> Reasoner:
        told = ["path.epochs", "complex.epochs"] if name == "ensemble" else ["epochs"]
        choices = {**SMALL[name], **dict.fromkeys(told, epochs)}
        return train(_kind(name), facts, facts.triples[:0] if valid is None else valid, choices)

    return trained


def _kind(name: str) -> str:
    return name.replace(",", " ").split()[0]


EACH = pytest.mark.parametrize("trained", [_trainer(name) for name in SMALL], ids=SMALL)


def every_query(facts: Facts) -> Rows:
    return np.array([(head, kind) for head in range(len(facts.entities)) for kind in range(2 * len(facts.relations))])


def test_all_kinds_are_here() -> None:
    assert {_kind(name) for name in SMALL} == set(kinds()) == set(trainable())


@EACH
def test_it_learns(trained: Trainer) -> None:
    facts, held = citizens()  # on a ring all relations meet alike: there a foundation has nothing to tell them by
    known = Known(np.concatenate([facts.triples, held]), 3)
    constant = 1 / len(facts.entities)  # what ties give to whoever scores everything alike
    assert evaluate(trained(facts, held, epochs=40), facts, facts.triples, known).mrr > 5 * constant


@EACH
def test_scores_do_not_depend_on_the_batch(trained: Trainer) -> None:
    facts, held = ring(12)
    reasoner, queries = trained(facts, held), every_query(facts)
    whole = reasoner.score(facts, queries)
    assert whole.dtype == np.float32
    assert whole.shape == (len(queries), len(facts.entities))
    for size in (1, 5):
        parts = [reasoner.score(facts, queries[start : start + size]) for start in range(0, len(queries), size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4, atol=1e-4)
    assert reasoner.score(facts, queries[:0]).shape == (0, len(facts.entities))


@EACH
def test_saved_and_loaded_it_scores_the_same(trained: Trainer, tmp_path: Path) -> None:
    facts, held = ring(12)
    reasoner, queries = trained(facts, held), every_query(facts)
    loaded = artefact.load(artefact.save(reasoner, tmp_path / "deep" / "it.safetensors", {"of": "ring"}))
    assert type(loaded.reasoner) is type(reasoner)
    np.testing.assert_array_equal(reasoner.score(facts, queries), loaded.reasoner.score(facts, queries))
    assert loaded.about["of"] == "ring"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["it.safetensors"]


@EACH
def test_a_seed_gives_the_same(trained: Trainer) -> None:
    facts, held = ring(12)
    one, two = trained(facts, held), trained(facts, held)
    np.testing.assert_array_equal(one.score(facts, every_query(facts)), two.score(facts, every_query(facts)))


@EACH
def test_names_count_and_not_numbers(trained: Trainer) -> None:
    facts, held = ring(12)
    reasoner, queries = trained(facts, held), every_query(facts)
    turned = Facts(facts.entities, facts.relations[::-1], facts.triples.copy())
    turned.triples[:, 1] = 1 - turned.triples[:, 1]
    asked = np.stack([queries[:, 0], queries[:, 1] ^ 1], axis=1)
    found = reasoner.score(turned, asked)
    np.testing.assert_allclose(found, reasoner.score(facts, queries), rtol=1e-4, atol=1e-4)


@EACH
def test_what_it_does_not_know_is_told_with_what_is_near(trained: Trainer) -> None:
    facts, held = ring(12)
    reasoner = trained(facts, held)
    strange = Facts.of(table(("p01", "nexd", "p02"), ("p02", "nexd", "p0x")))
    if reasoner.name == "foundation":
        assert np.isfinite(reasoner.score(strange, every_query(strange))).all()
    else:
        with pytest.raises(UnknownKeyError, match="did you mean"):
            reasoner.score(strange, np.array([[0, 0]]))
    for wrong in ([[0, 4]], [[99, 0]], [[-1, 0]], [[0, 0, 0]]):
        with pytest.raises(InputError, match="must be"):
            reasoner.score(facts, np.array(wrong))


@EACH
def test_no_facts_at_all(trained: Trainer) -> None:
    facts, held = ring(12)
    nothing = Facts(facts.entities, facts.relations, facts.triples[:0])
    with pytest.raises(InputError, match="no facts to train on"):
        trained(nothing)
    reasoner = trained(facts, held)
    assert np.isfinite(reasoner.score(nothing, every_query(nothing))).all()


@EACH
@pytest.mark.parametrize(
    "facts",
    [
        (("a", "r", "b"),),
        (("a", "r", "a"), ("b", "r", "b"), ("a", "r", "b")),
        (("a", "r", "b"), ("a", "s", "b"), ("b", "r", "a"), ("a", "r", "b")),
    ],
    ids=["one fact, one relation", "loops", "parallel"],
)
def test_graphs_of_all_forms(trained: Trainer, facts: tuple[tuple[str, str, str], ...]) -> None:
    graph = Facts.of(table(*facts))
    assert np.isfinite(trained(graph, graph.triples).score(graph, every_query(graph))).all()
