"""The path reasoner: it learns, it answers about what it never saw, and both of its ways hide a fact from itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.path.training import train_path
from cortigraph.reasoning.reasoners.train import train
from cortigraph.reasoning.reasoners.triples import read_splits, read_triples
from cortigraph.train.cluster import Cluster

from .made import ring, table

WAYS = pytest.mark.parametrize("way", ["everywhere", "outwards"])


def small(way: str, **choices: object) -> PathSettings:
    return PathSettings.model_validate(
        {"way": way, "width": 16, "layers": 3, "epochs": 60, "batch": 16, "dropout": 0.0, "patience": 60, **choices}
    )


@WAYS
def test_it_learns_a_rule_and_carries_it_to_another_graph(way):
    facts, held = ring(24)
    reasoner = train_path(facts, held, small(way))
    known = Known(np.concatenate([facts.triples, held]), 2)
    assert evaluate(reasoner, facts, held, known).mrr > 0.9
    other, others = ring(40)
    known = Known(np.concatenate([other.triples, others]), 2)
    assert evaluate(reasoner, other, others, known).mrr > 0.9


def test_a_fact_is_hidden_from_itself():
    facts, held = ring(12)
    reasoner = train_path(facts, held, small("outwards", epochs=1))
    fact = facts.triples[:1]
    heads, relations, _ = (np.ascontiguousarray(column) for column in fact.T)
    rest = facts.edges.kept(~_same(facts, fact[0]))
    with torch.inference_mode():
        reasoner.network.eval()
        hidden = reasoner.forward(facts.edges, heads, relations, fact)
        without = reasoner.forward(rest, heads, relations)
    torch.testing.assert_close(hidden, without)


def _same(facts: Facts, fact: np.ndarray) -> np.ndarray:
    count = len(facts)
    same = (facts.triples == fact).all(axis=1)
    assert same.sum() == 1
    return np.tile(same, 2)[: 2 * count]


def test_what_no_path_reaches_ranks_last():
    facts = Facts.of(table(("a", "to", "b"), ("c", "to", "d")))
    reasoner = train_path(facts, None, small("outwards", epochs=5))
    scores = reasoner.score(facts, np.array([[0, 0]]))[0]
    assert scores[2] == scores[3]


def test_it_may_look_wider_when_it_is_asked_than_while_it_learned():
    facts, held = ring(24)
    chosen = {**small("outwards", epochs=2).model_dump(), "most": 1}
    narrow, wider = (train("path", facts, held[:0], {**chosen, "most_asked": most}) for most in (None, 24))
    assert all(map(torch.equal, narrow.state().values(), wider.state().values()))
    asked = held[:, :2]
    assert not np.array_equal(narrow.score(facts, asked), wider.score(facts, asked))
    narrow.settings = narrow.settings.model_copy(update={"most": 24})
    np.testing.assert_array_equal(narrow.score(facts, asked), wider.score(facts, asked))
    with pytest.raises(InputError, match="settings: most_asked needs most"):
        train("path", facts, held, {"most_asked": 3})


def test_settings_that_are_wrong_are_all_told():
    facts, held = ring(12)
    with pytest.raises(InputError, match="did you mean width") as told:
        train("path", facts, held, {"widht": 3, "layers": 0})
    assert len(told.value.problems) == 2
    with pytest.raises(UnknownKeyError, match="no reasoner 'pth'"):
        train("pth", facts, held)


def test_files_that_are_wrong(tmp_path):
    (tmp_path / "train.txt").write_text("a\tb\n", encoding="utf-8")
    with pytest.raises(InputError, match="head⇥relation⇥tail"):
        read_splits(tmp_path)
    with pytest.raises(InputError, match="neither"):
        read_splits(tmp_path.parent)
    (tmp_path / "none.txt").write_text("", encoding="utf-8")
    assert len(read_triples(tmp_path / "none.txt")) == 0
    (tmp_path / "crlf.txt").write_bytes(b'a\tr\t"b\r\nb\tr\tc\r\n')
    assert read_triples(tmp_path / "crlf.txt")["tail"].to_pylist() == ['"b', "c"]
    with pytest.raises(InputError, match="no reasoner"):
        artefact.load(tmp_path / "train.txt")


def test_from_triples_to_scores_on_the_command_line(tmp_path):
    facts, held = ring(12)
    keys, names = list(facts.entities), facts.relations
    for part, triples in (("train", facts.triples), ("valid", held), ("test", held)):
        lines = [f"{keys[h]}\t{names[r]}\t{keys[t]}\n" for h, r, t in triples]
        (tmp_path / f"{part}.txt").write_text("".join(lines), encoding="utf-8")
    saved = str(tmp_path / "it.safetensors")
    told = _reason("train", "--triples", str(tmp_path), "--out", saved, "--set", "epochs=2", "--set", "width=8")
    assert told["facts"] == len(facts)
    judged = _reason("evaluate", saved, "--triples", str(tmp_path))
    assert 0 < judged["mrr"] <= 1
    (tmp_path / "queries.txt").write_text(f"{keys[0]}\tnext\n{keys[1]}\tinverse of after\n", encoding="utf-8")
    out = tmp_path / "scores.npz"
    files = ("--graph", str(tmp_path / "train.txt"), "--queries", str(tmp_path / "queries.txt"), "--out", str(out))
    assert _reason("score", saved, *files)["queries"] == 2
    with np.load(out) as found:
        assert found["scores"].shape == (2, 12)
        assert found["queries"][1].tolist() == [keys[1], "inverse of after"]
        scored = dict(zip(found["entities"].tolist(), found["scores"][1].tolist(), strict=True))
    graph = ("--graph", str(tmp_path / "train.txt"))
    ranked = _reason("rank", saved, keys[1], "inverse of after", *graph, "--top", "3", "--only", "predicted")
    predicted = [each for each in ranked["answers"] if not each["known"]]
    assert [each["score"] for each in predicted] == pytest.approx([scored[each["entity"]] for each in predicted])
    assert len(predicted) == 3
    command = [str(Path(sys.executable).with_name("cortigraph")), "reason", "rank", saved, "p0x", "next", *graph]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "did you mean p" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def _reason(*words: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("cortigraph")), "reason", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_two_workers_learn_what_one_learns(tmp_path):
    facts, held = ring(24)
    settings = small("everywhere", epochs=4, edge_drop=0.2, batch=15)
    one, two = [], []
    alone = train("path", facts, held, settings.model_dump(), one.append)
    checkpoint = Checkpoint(tmp_path / "state", "ring")
    cluster = Cluster(2, "torch", threads=1)
    both = train("path", facts, held, settings.model_dump(), two.append, checkpoint=checkpoint, cluster=cluster)
    assert len(one) == len(two) == 4
    for first, second in zip(one, two, strict=True):
        assert first.loss == pytest.approx(second.loss, abs=1e-4)
        assert first.mrr == pytest.approx(second.mrr, abs=1e-3)
    # Not the weights, nor what is added to all scores of a query: AdamW moves what has no gradient but rounding.
    scores = [each.score(facts, held[:, :2]) for each in (alone, both)]
    np.testing.assert_allclose(*(each - each.mean(axis=1, keepdims=True) for each in scores), atol=1e-2)
    assert checkpoint.load()[1]["step"] == two[-1].step
    with pytest.raises(InputError, match="complex is trained by one worker, got 2"):
        train("complex", facts, held, cluster=cluster)


def doubled(count: int) -> tuple[Facts, np.ndarray]:
    """A ring on which every fact has a twin that tells it, but for those that are held out."""
    facts, held = ring(count)
    named = [(facts.entities[h], facts.relations[r], facts.entities[t]) for h, r, t in facts.triples]
    both = Facts.of(table(*named, *((head, "beside", tail) for head, _, tail in named)))
    row, after = {name: number for number, name in enumerate(both.entities)}, both.relation("after")
    return both, np.array([(row[facts.entities[h]], after, row[facts.entities[t]]) for h, _, t in held])


@WAYS
def test_all_between_head_and_answer_is_hidden_where_held_out_facts_stand_alone(way):
    facts, held = doubled(120)
    seen = {}
    for hides in ("fact", "pair", "auto"):
        reasoner = train_path(facts, held, small(way, epochs=1, hides=hides))
        seen[hides] = reasoner.score(facts, held[:, :2])
    np.testing.assert_array_equal(seen["auto"], seen["pair"])
    assert not np.array_equal(seen["auto"], seen["fact"])
    few = train_path(facts, held[:5], small(way, epochs=1)).score(facts, held[:, :2])
    one = train_path(facts, held[:5], small(way, epochs=1, hides="fact")).score(facts, held[:, :2])
    np.testing.assert_array_equal(few, one, "five held-out facts say nothing")


def test_a_pair_is_hidden_whatever_joins_it():
    facts, held = doubled(12)
    reasoner = train_path(facts, held, small("outwards", epochs=1))
    edges, (head, _, tail) = facts.edges, facts.triples[0]
    ends = np.sort(np.stack([edges.source, edges.target]), axis=0)
    rest = edges.kept(~((ends[0] == min(head, tail)) & (ends[1] == max(head, tail))))
    assert len(edges) - len(rest) == 4, "the fact and its twin, in both directions"
    asked = np.array([head]), np.array([facts.triples[0, 1]])
    with torch.inference_mode():
        reasoner.network.eval()
        hidden = reasoner.forward(edges, *asked, np.array([[head, -1, tail]]))
        torch.testing.assert_close(hidden, reasoner.forward(rest, *asked))


def test_large_graphs_are_cut_by_themselves():
    facts, held = ring(24)
    for way, limit, most in (("auto", 23, 400), ("outwards", 23, 400), ("auto", 24, None), ("everywhere", 23, None)):
        reasoner = train_path(facts, held, small(way, everywhere_up_to=limit, epochs=1))
        assert reasoner.settings.most == most, (way, limit)
    assert train_path(facts, held, small("auto", everywhere_up_to=1, most=7, epochs=1)).settings.most == 7
