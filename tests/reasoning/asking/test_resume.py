"""A training that was killed goes on as if it had not been; one that goes on from another keeps what that knew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortigraph.reasoning.asking.learn import split
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint, training_name
from cortigraph.reasoning.reasoners.estimate import estimate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.train import train
from tests.reasoning.reasoners.made import ring, table

SETTINGS = {
    "path": {"epochs": 4, "width": 8, "layers": 2, "dropout": 0.1, "edge_drop": 0.1, "patience": 9},
    "complex": {"epochs": 6, "rank": 8, "every": 2},
    "rotate": {"epochs": 6, "rank": 8, "every": 2},
}


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_killed_training_ends_as_one_that_was_not(kind, tmp_path):
    facts, held = ring()
    whole = train(kind, facts, held, SETTINGS[kind])
    name = training_name(kind, SETTINGS[kind], [(facts, held)])
    checkpoint = Checkpoint(tmp_path / "it.part", name)
    told = []

    def kill(progress):
        told.append(progress)
        if len(told) == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(kind, facts, held, SETTINGS[kind], kill, checkpoint=checkpoint)
    assert Checkpoint(tmp_path / "it.part", "another training").load() is None
    went_on = []
    again = train(kind, facts, held, SETTINGS[kind], went_on.append, checkpoint=checkpoint)
    assert len(went_on) < SETTINGS[kind]["epochs"]
    for name, tensor in whole.state().items():
        torch.testing.assert_close(again.state()[name], tensor, rtol=0, atol=0)


def test_what_was_learned_of_relations_carries_over():
    facts, held = ring()
    first = train("path", facts, held, {**SETTINGS["path"], "epochs": 10, "learning_rate": 0.02})
    more = Facts.of(table(("a", "likes", "b"), ("p00", "next", "p01"), ("p01", "after", "p03")))
    second = train("path", more, more.triples[:0], {**SETTINGS["path"], "epochs": 1, "seconds": 1e-9}, start=first)
    for one, other in (("next", "next"), ("inverse of after", "inverse of after")):
        before, after = (r.network.state_dict()["lexicon.query.weight"] for r in (first, second))
        torch.testing.assert_close(after[more.relation(one)], before[facts.relation(other)], atol=0.05, rtol=0)


def test_the_same_facts_are_held_out_when_there_are_more():
    facts, _ = ring(200)
    keys = list(facts.entities)
    named = {(keys[h], facts.relations[r], keys[t]) for h, r, t in split(facts)[1].tolist()}
    assert 0.01 < len(named) / len(facts) < 0.12
    more = [*((keys[h], facts.relations[r], keys[t]) for h, r, t in facts.triples.tolist()), ("x", "likes", "y")]
    grown = Facts.of(table(*more))
    names = list(grown.entities)
    again = {(names[h], grown.relations[r], names[t]) for h, r, t in split(grown)[1].tolist()}
    assert named == again - {("x", "likes", "y")}


@pytest.mark.parametrize("kind", ["path", "complex"])
def test_what_a_training_takes_is_told_before(kind):
    facts, held = ring()
    told = estimate(kind, facts, held, SETTINGS[kind])
    assert 0 < told.seconds < 60
    assert told.bytes > 2**20
    assert str(told.epochs) in str(told)
    assert np.isfinite(estimate(kind, facts, held, {**SETTINGS[kind], "seconds": 0.5}).seconds)
