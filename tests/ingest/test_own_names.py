"""Names of the store's own in data: refused at plan with a way out that works, and never taken for the store's own."""

from __future__ import annotations

import json

import networkx as nx
import pandas as pd
import pytest
from typer.testing import CliRunner

import cortigraph
from cortigraph.cli.main import build
from cortigraph.graph._checks import TAKEN_CHECKS
from cortigraph.graph.check import check, mend, taken_names
from cortigraph.graph.definitions import NUMBER_BROUGHT
from cortigraph.graph.errors import InputError
from cortigraph.graph.names import OWN_LABELS, RelType, instead
from cortigraph.graph.schema import recorded_version
from cortigraph.ingest.job import Job
from cortigraph.ingest.plan import plan
from cortigraph.ingest.revert import batches, resume, revert
from cortigraph.ingest.run import Options, run
from cortigraph.regions import catalogue

PEOPLE = {
    "job": "people",
    "sources": {"people": {"path": "people.csv"}},
    "nodes": [{"source": "people", "key": "id", "labels": {"column": "kind"}, "properties": {"name": "name"}}],
}
FACTS = {
    "job": "facts",
    "sources": {"facts": {"path": "facts.tsv", "format": "triples"}},
    "relationships": [
        {"source": "facts", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}


def labelled(labels, **more):
    return {**PEOPLE, "nodes": [{**PEOPLE["nodes"][0], "labels": labels}], **more}


@pytest.fixture
def ask(clean_store, home, tmp_path):
    def go(what, job, tables=None, **options):
        return what(clean_store, home, Job.parse(job, tmp_path), Options(**options), tables=tables)

    return go


@pytest.mark.parametrize("label", sorted(OWN_LABELS))
def test_a_label_of_the_stores_own_is_refused_with_its_place_and_a_way_out_that_works(
    ask, clean_store, tmp_path, label
):
    (tmp_path / "people.csv").write_text(f"id,name,kind\na,Ann,Person\nb,Bob,{label}\n")
    way = f"labels: {{column: kind, map: {{{label}: {instead(label)}}}}}"
    with pytest.raises(InputError) as told:
        ask(plan, PEOPLE)
    assert str(told.value).startswith(
        f"people.csv:3: column kind: is a label that the store keeps for itself, got '{label}'"
    )
    assert way in str(told.value)
    ask(run, labelled({"column": "kind", "map": {label: instead(label)}}))
    found = clean_store.read("MATCH (n:Entity {key: 'b'}) RETURN labels(n) AS labels")[0]["labels"]
    assert set(found) == {"Entity", instead(label)}


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "x" * 1001, "x" * 65_535])
def test_what_can_be_no_name_is_refused_in_labels_and_types(ask, tmp_path, name):
    rows = [{"id": "a", "name": "A", "kind": ["Person"]}, {"id": "b", "name": "B", "kind": ["Person", name]}]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = {**PEOPLE, "sources": {"people": {"path": "people.jsonl"}}}
    with pytest.raises(InputError, match=r"people\.jsonl:2: column kind: can't be a label"):
        ask(plan, job)
    table = pd.DataFrame({"head": ["a"], "relation": [name], "tail": ["b"]})
    with pytest.raises(InputError, match="can't be a type of relationship"):
        ask(plan, {**FACTS, "sources": {}}, tables={"facts": table})


@pytest.mark.parametrize("labels", [["Batch"], {"value": "Batch"}, {"value": ["Batch"]}, "{kind}", ""])
def test_a_label_is_refused_whatever_way_it_comes(ask, tmp_path, labels):
    (tmp_path / "people.csv").write_text("id,name,kind\na,Ann,Batch\n")
    with pytest.raises(InputError, match=r"keeps for itself|no column ''"):
        ask(plan, labelled(labels))


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ({"column": "kind", "map": {"Batch": "Run"}}, "{column: kind, map: {Batch: DataRun, Run: DataRun}}"),
        ("{kind}", "{template: '{kind}', map: {Batch: DataBatch}}"),
        ({"column": "kinds"}, "{column: kinds, map: {Batch: DataBatch}}"),
    ],
)
def test_the_way_out_fits_the_form_and_works(ask, clean_store, labels, shown):
    import yaml

    table = {"people": pd.DataFrame({"id": ["a"], "name": ["A"], "kind": ["Batch"], "kinds": [["Batch", "Beer"]]})}
    with pytest.raises(InputError) as told:
        ask(plan, labelled(labels, sources={}), tables=table)
    assert f"labels: {shown}" in str(told.value)
    ask(run, labelled(yaml.safe_load(shown), sources={}), tables=table)
    found = clean_store.read("MATCH (n:Entity {key: 'a'}) RETURN labels(n) AS labels")[0]["labels"]
    assert {"DataBatch", "DataRun"} & set(found)


def test_constants_that_name_are_checked_when_the_job_is_read(ask, clean_store, tmp_path):
    (tmp_path / "people.csv").write_text("id,name,kind\na,Ann,Beer\n")
    for labels in (["Beer", "Batch"], {"value": ["Beer", "Batch"]}, {"value": "Batch"}):
        with pytest.raises(InputError) as told:
            ask(plan, labelled(labels))
        [problem] = told.value.problems
        assert "nodes.0.labels" in problem
        assert "such as DataBatch" in problem
        assert "function" not in problem
    ask(run, labelled({"value": ["Beer", "Lager"]}))
    found = clean_store.read("MATCH (n:Entity {key: 'a'}) RETURN labels(n) AS labels")[0]["labels"]
    assert set(found) == {"Entity", "Beer", "Lager"}
    several = {"value": ["a", "b"]}
    edge = {"source": "people", "type": "T", "start": "id", "end": "name"}
    for wrong in ({"start": several}, {"end": {"key": several}}, {"type": several}, {"key": several}):
        with pytest.raises(InputError, match="names one thing"):
            ask(plan, {**labelled([]), "relationships": [{**edge, **wrong}]})
    with pytest.raises(InputError, match="keeps for what reasoners conclude"):
        ask(plan, {**labelled([]), "relationships": [{**edge, "type": {"value": "PREDICTED"}}]})


def test_labels_of_a_networkx_graph_and_of_a_frame_are_looked_at_too(ask):
    graph = nx.Graph()
    graph.add_node("a", kind="Lease")
    job = {"job": "g", "nodes": [{"source": "g.nodes", "key": "key", "labels": {"column": "kind"}}]}
    with pytest.raises(InputError, match="keeps for itself"):
        ask(plan, job, tables={"g": graph})
    frame = pd.DataFrame({"key": ["a"], "kind": ["Run"]})
    with pytest.raises(InputError, match="keeps for itself"):
        ask(plan, {**job, "nodes": [{**job["nodes"][0], "source": "g"}]}, tables={"g": frame})


@pytest.mark.parametrize("kind", sorted(set(RelType) - {RelType.PREDICTED}))
def test_between_entities_every_type_is_a_fact(ask, clean_store, home, tmp_path, kind):
    (tmp_path / "facts.tsv").write_text(f"a\t{kind}\tb\n")
    ask(run, FACTS)
    assert check(clean_store) == []
    with cortigraph.open(home=home.root) as brain:
        edges = brain.to_networkx(labels=["Entity"]).edges(data="type")
        assert [type for _, _, type in edges] == [kind]
    revert(clean_store, home, "1")
    assert clean_store.read("MATCH (n:Entity) RETURN n") == []


def test_a_fact_that_would_pass_for_a_prediction_is_refused(ask, tmp_path):
    (tmp_path / "facts.tsv").write_text("a\tlikes\tb\na\tPREDICTED\tb\n")
    with pytest.raises(InputError, match=r"facts\.tsv:2: column relation: .*map: \{PREDICTED: DATA_PREDICTED\}"):
        ask(plan, FACTS)
    constant = {**FACTS["relationships"][0], "type": "PREDICTED"}
    with pytest.raises(InputError, match="write another name, such as DATA_PREDICTED"):
        ask(plan, {**FACTS, "relationships": [constant]})


@pytest.mark.parametrize(
    ("label", "name"),
    [("Entity", "batches"), ("Entity", "embedding"), ("Region", "builder"), ("Area", "accepts"), ("Dataset", "spec")],
)
def test_properties_of_the_stores_own_are_refused_in_a_job(label, name):
    node = {"source": "x", "label": label, "key": "id", "properties": {name: "c"}}
    with pytest.raises(InputError, match="keeps for itself"):
        Job.parse({"job": "x", "nodes": [{**node, **({"area": "a.b"} if label == "Region" else {})}]})


def test_a_card_with_a_builder_makes_no_region_that_can_be_built(ask, clean_store, tmp_path):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "m.md").write_text(
        "---\nbuilder: lenet3\nweights: w.bin\naccepts: text\n---\n# M\n\nA model.\n"
    )
    ask(run, {"job": "cards", "cards": [{"folder": "cards", "area": "vision.x"}]})
    node = clean_store.read("MATCH (n:Region) RETURN n {.*} AS n")[0]["n"]
    assert (node["card_builder"], node["card_weights"], node["card_accepts"]) == ("lenet3", "w.bin", "text")
    assert catalogue.regions(clean_store) == []


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [1, None], [1, "a"], 2**63])
def test_a_constant_that_no_property_can_have_is_refused(value):
    node = {"source": "x", "key": "id", "properties": {"p": {"value": value}}}
    with pytest.raises(InputError, match=r"nodes\.0\.properties\.p\.value"):
        Job.parse({"job": "x", "nodes": [node]})


def test_a_property_that_was_the_stores_own_once_stays_in_a_first_load(ask, clean_store):
    table = pd.DataFrame({"id": ["a"], "batch": ["17"]})
    ask(
        run,
        {"job": "x", "nodes": [{"source": "t", "key": "id", "properties": {"batch": "batch"}}]},
        tables={"t": table},
    )
    clean_store.write(NUMBER_BROUGHT)  # as after every first load
    assert clean_store.read("MATCH (n:Entity) RETURN n.batch AS b, n.batches AS n") == [{"b": "17", "n": [1]}]


# ---- stores that took such names in once ----------------------------------------------------------------------------

TAKEN = """
UNWIND $labels AS label
CREATE (n:Entity:$(label) {key: $keys[label], batches: [1], version: 999, number: 'x', state: 'running', builder: 'x',
        accepts: '?', spec: '?', weights: 'sha256:0', metrics: 5, token: 'x', until: 9e15, name: ['a', 'b'], plan: '?'})
CREATE (n)-[:PREDICTED {batches: [1]}]->(n)"""
KEYS = {
    "Migration": "0007",
    "Lease": "ingest",
    "Modality": "image",
    "Area": "vision.recognition",
    "Task": "classification",
}


@pytest.fixture
def taken(clean_store):
    clean_store.write(
        TAKEN, labels=sorted(OWN_LABELS), keys={label: KEYS.get(label, f"by {label}") for label in OWN_LABELS}
    )
    return clean_store


def test_a_store_with_such_nodes_serves_as_if_they_were_not_there(taken, home, ask, tmp_path):
    assert recorded_version(taken) == 6
    assert batches(taken) == []
    (tmp_path / "people.csv").write_text("id,name,kind\na,Ann,Person\n")
    assert ask(run, PEOPLE).batch is not None
    assert [record.number for record in batches(taken)] == [1]
    assert resume(taken, home).failed == []
    with cortigraph.open(home=home.root) as brain:
        assert brain.cypher("MATCH (r:Region&!Entity) RETURN r") == []
        brain.ingest("standard")
        assert len(brain.regions.list()) == 15
        assert {area.key for area in catalogue.areas(brain.store)} >= {"vision.recognition", "fusion"}
        assert "Entity" in brain.snapshot().nodes
    revert(taken, home, "1")
    everything = taken.read("MATCH (n:Entity) RETURN count(n) AS n")[0]["n"]
    assert everything == len(OWN_LABELS)  # somebody's entities are all still there


def test_check_and_doctor_name_them_and_the_command_that_mends_them(taken, home):
    runner = CliRunner()
    kinds = {problem.kind: problem.mend for problem in check(taken)}
    assert kinds == dict.fromkeys(TAKEN_CHECKS, "cortigraph db mend")
    told = runner.invoke(build(["doctor"]), ["doctor", "--home", str(home.root)])
    assert "→ cortigraph db mend" in told.output
    assert taken_names(taken) == dict.fromkeys(TAKEN_CHECKS, len(OWN_LABELS))
    before = taken.read("MATCH (n:Entity) RETURN properties(n) AS p ORDER BY elementId(n)")
    done = runner.invoke(build(["db"]), ["db", "mend", "--json", "--home", str(home.root)])
    assert len(json.loads(done.stdout)["renamed"]) == 2 * len(OWN_LABELS)
    assert check(taken) == []
    assert taken.read("MATCH (n:Entity) RETURN properties(n) AS p ORDER BY elementId(n)") == before
    assert taken.read("MATCH (n:DataBatch)-[r:DATA_PREDICTED]->(n) RETURN r.batches AS b") == [{"b": [1]}]
    assert mend(taken) == []


def test_what_somebody_made_by_hand_is_no_batch_and_named(clean_store, home):
    clean_store.write('CREATE (:Batch {key: "it\'s"})')
    assert batches(clean_store) == []
    problem = check(clean_store)[0]
    assert (problem.kind, problem.key) == ("not of the ledger", "it's")
    assert "--param key='it'\"'\"'s' --write" in problem.mend


def test_an_old_batch_brings_its_label_back_no_more(ask, clean_store, home, tmp_path, monkeypatch):
    (tmp_path / "people.csv").write_text("id,name,kind\na,Ann,Region\n")
    with monkeypatch.context() as patch:
        patch.setattr("cortigraph.ingest.staging.compile.label_problem", lambda name: None)  # as it once was
        ask(run, PEOPLE)
    other = {**PEOPLE, "job": "other", "nodes": [{**PEOPLE["nodes"][0], "labels": []}]}
    ask(run, other)
    mend(clean_store)
    revert(clean_store, home, "2")
    assert check(clean_store) == []
