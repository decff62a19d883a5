"""Questions to a store: what it knows, what is predicted, why, and what is written back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.asking import predicted, shelf
from cortigraph.reasoning.asking.knowledge import know
from cortigraph.reasoning.asking.learn import learn, refresh
from cortigraph.reasoning.asking.resolve import AmbiguousKeyError
from cortigraph.reasoning.asking.selection import Selection
from tests.reasoning.asking.conftest import JOB


def _treats(medicine):
    return next(fact for fact in medicine.held_back if fact[1] == "treats")


def test_answers_are_known_or_predicted_and_say_why(brain, medicine):
    drug, _, disease = _treats(medicine)
    answers = brain.ask(drug, "treats", top=12)
    told = {tail for head, relation, tail in medicine.told if (head, relation) == (drug, "treats")}
    known = [answer for answer in answers if answer.known]
    assert {answer.key for answer in known} == told
    assert all(answer.probability == 1 for answer in known)
    assert [answer.known for answer in answers] == [True] * len(told) + [False] * (12 - len(told))
    first = next(answer for answer in answers if not answer.known)
    assert first.key == disease
    assert 0.3 < first.probability < 1
    path = first.paths[0]
    assert path.nodes[0] == drug
    assert path.nodes[-1] == disease
    assert {(hop.head, hop.relation, hop.tail) for hop in path.hops} <= set(medicine.told)
    batch = brain.cypher("MATCH (b:Batch {job: 'medicine'}) RETURN b.key AS key ORDER BY b.number LIMIT 1")[0]["key"]
    assert batch in path.batches
    assert sum(hop.weight for hop in path.hops) == pytest.approx(path.weight, abs=1e-4)
    assert json.loads(json.dumps(answers.to_json()))["answers"][0]["paths"][0]["text"].startswith(drug)


def test_the_other_way_round_and_by_name(brain, medicine):
    drug, _, disease = _treats(medicine)
    name = brain.cypher("MATCH (n:Entity {key: $key}) RETURN n.name AS name", key=disease)[0]["name"]
    answers = brain.ask("?", "treats", name, known=False, top=1, paths=1)
    assert answers[0].key == drug
    assert answers.question == f"? -treats-> {disease}"
    assert brain.ask(disease, "inverse of treats", known=False, top=1)[0].key == drug
    assert brain.ask(drug, "treat", top=1, paths=0).question == f"{drug} -treats-> ?"


def test_questions_of_several_parts(brain, medicine):
    drug, _, disease = _treats(medicine)
    gene = next(t for h, r, t in medicine.told if h == drug and r == "inhibits")
    answers = brain.ask(f"?x treats {disease} AND ?x interacts_with ?y AND ?y inhibits {gene}", top=20)
    found = {answer.key: answer for answer in answers}
    assert drug in found
    steps = found[drug].steps
    assert [step.relation for step in steps] == ["treats", "interacts_with", "inhibits"]
    assert (steps[0].head, steps[0].tail, steps[0].known) == (drug, disease, False)
    product = 1.0
    for step in steps:
        product *= step.probability
    assert found[drug].probability == pytest.approx(product)
    assert all(one.probability >= other.probability for one, other in pairwise(answers))


def test_what_nobody_knows_is_said_with_what_is_near(brain):
    with pytest.raises(UnknownKeyError, match="did you mean drug:"):
        brain.ask("drug:0x", "treats")
    with pytest.raises(UnknownKeyError, match="did you mean treats"):
        brain.ask("drug:01", "trea7s")
    with pytest.raises(UnknownKeyError, match="did you mean medicine"):
        brain.ask("drug:01", "treats", reasoner="medicin")
    with pytest.raises(InputError, match="either a head"):
        brain.ask("drug:01", "treats", "disease:01")
    with pytest.raises(InputError, match="2 problems"):
        brain.ask("drug:01", "treats", top=0, paths=-1)
    brain.cypher("MERGE (n:Entity {key: 'drug:90'}) SET n.name = 'Twin'", write=True)
    brain.cypher("MERGE (n:Entity {key: 'drug:91'}) SET n.name = 'Twin'", write=True)
    brain.cypher("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()", write=True)
    with pytest.raises(AmbiguousKeyError, match="drug:90"):
        brain.ask("twin", "treats")
    brain.cypher("MATCH (n:Entity {name: 'Twin'}) DETACH DELETE n", write=True)


def test_new_facts_count_at_once(brain, medicine):
    gene = next(t for h, r, t in medicine.told if r == "inhibits")
    sick = next(t for h, r, t in medicine.told if (h, r) == (gene, "drives"))
    with pytest.raises(UnknownKeyError):
        brain.ask("drug:99", "treats")
    import pandas as pd

    facts = pd.DataFrame([("drug:99", "inhibits", gene)], columns=["head", "relation", "tail"])
    job = {**JOB, "job": "news", "nodes": []}
    report = brain.ingest(job, tables={"facts": facts})
    answers = brain.ask("drug:99", "treats", top=3)
    assert sick in [answer.key for answer in answers]
    assert report.batch in answers[0].batches
    brain.revert(report.batch)


def test_an_explanation_is_one_of_pyg(brain, medicine, tmp_path):
    drug, _, disease = _treats(medicine)
    answer = brain.ask(drug, "treats", known=False, top=1)[0]
    found = brain.explain(answer, plot=tmp_path / "why.png")
    assert type(found).__name__ == "Explanation"
    assert found.validate()
    assert found.edge_mask.shape == (found.edge_index.shape[1],)
    assert (found.node_keys[found.head], found.node_keys[found.answer]) == (drug, disease)
    weights = {
        (found.node_keys[a], found.relations[kind], found.node_keys[b]): float(weight)
        for (a, b), kind, weight in zip(
            found.edge_index.T.tolist(), found.edge_type.tolist(), found.edge_mask, strict=True
        )
    }
    hop = answer.paths[0].hops[0]
    name = hop.relation if hop.forwards else f"inverse of {hop.relation}"
    assert weights[answer.paths[0].nodes[0], name, answer.paths[0].nodes[1]] == pytest.approx(hop.weight, abs=1e-4)
    assert (tmp_path / "why.png").stat().st_size > 5000


def test_predictions_are_replaced_as_a_whole(brain, medicine, monkeypatch):
    def there():
        rows = brain.cypher("MATCH (a)-[p:PREDICTED]->(b) RETURN a.key AS a, p.relation AS r, b.key AS b, p.run AS run")
        return {(row["a"], row["r"], row["b"]) for row in rows}, {row["run"] for row in rows}

    before = know(brain.store, brain.home).facts
    first = predicted.materialise(brain.mind, relations=["treats"], top=2, least=0.2)
    facts, runs = there()
    assert runs == {first.run}
    assert len(facts) == first.written > 3
    assert facts & set(medicine.held_back)
    assert not facts & set(medicine.told)
    after = know(brain.store, brain.home).facts
    assert after.relations == before.relations
    assert len(after) == len(before)
    assert not any(kind == "PREDICTED" for _, kind, _ in brain.snapshot().edges)

    monkeypatch.setattr(predicted, "_MOST", 3)

    def die(what, done, whole):
        if what == "predictions" and done > whole // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predicted.materialise(brain.mind, relations=["treats"], top=2, least=0.1, progress=die)
    assert first.run in there()[1]
    again = predicted.materialise(brain.mind, relations=["treats"], top=2, least=0.2)
    assert there() == (facts, {again.run})
    assert predicted.clear(brain.store, "medicine") == len(facts)
    assert there() == (set(), set())


def test_a_scorer_of_a_closed_graph_is_trained_asked_and_refreshed(brain, medicine):
    settings = {"rank": 16, "epochs": 8}
    kept = learn(brain.store, brain.home, "complex", name="closed", choices=settings)
    assert [each.id for each in shelf.shelved(brain.store)] == ["closed", "medicine"]
    assert brain.regions.list() == []  # no region that could be built
    drug, _, _ = _treats(medicine)
    answers = brain.ask(drug, "treats", top=3)
    assert (answers.reasoner, answers.paths_by) == ("closed", "search")
    assert answers[0].paths[0].weight is None
    brain.cypher("MATCH (d:Entity {key: 'disease:01'}) MERGE (:Entity {key: 'drug:98'})-[:treats]->(d)", write=True)
    assert any("unknown to closed" in note for note in brain.ask(drug, "treats", top=1).notes)
    new = brain.ask("drug:98", "treats")
    assert [(answer.key, answer.known, answer.score) for answer in new] == [("disease:01", True, None)]
    assert "reason refresh closed" in new.notes[0]
    with pytest.raises(InputError, match="reason refresh closed"):
        brain.ask("drug:98", "treats", known=False)
    again = refresh(brain.store, brain.home, "closed", choices={"epochs": 3})
    assert again.told["started_from"] == kept.weights
    assert brain.ask("drug:98", "treats", top=1).notes == ()
    assert brain.ask("drug:98", "treats", top=1)[0].score is not None
    brain.cypher("MATCH (n:Entity {key: 'drug:98'}) DETACH DELETE n", write=True)
    brain.cypher("MATCH (r:Region {id: 'closed'}) DETACH DELETE r", write=True)


def test_a_part_of_the_graph(brain):
    whole, part = know(brain.store, brain.home), know(brain.store, brain.home, Selection.parse("types=inhibits,drives"))
    assert part.facts.relations == ("drives", "inhibits")
    assert set(part.facts.relations) < set(whole.facts.relations)
    assert "Region:reasoning.link_prediction/medicine" not in whole.facts.entities
    assert whole.node(0) == ("Entity", whole.facts.entities[0])


def test_the_command_line(brain, medicine, tmp_path):
    drug, _, disease = _treats(medicine)
    env = {**os.environ, "CORTIGRAPH_HOME": str(brain.home.root)}
    command = [sys.executable, "-c", "from cortigraph.cli.main import run; run()", "ask", drug, "treats"]
    options = ["--only", "predicted", "--top", "1", "--plot", str(tmp_path / "why.svg"), "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answers"][0]["key"] == disease
    assert (tmp_path / "why.svg").exists()
