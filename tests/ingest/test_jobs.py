"""Jobs of every kind of source, and the jobs that ship as examples over the real data."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.check import check
from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job, load_job
from cortigraph.ingest.run import Options, run
from cortigraph.regions import catalogue

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CORTIGRAPH_DATA") or ROOT.parent / "shared" / "data")


def needs(folder):
    return pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"no {folder} in {DATA}; set CORTIGRAPH_DATA")


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setenv("CORTIGRAPH_DATA", str(DATA))


def reported(store):
    query = "MATCH (:Region)<-[:OF]-(r:Run)-[:ON]->(d:Dataset) RETURN count(r) AS runs, count(DISTINCT d) AS sets"
    return store.read(query)[0]


@needs("kg/FB15k-237")
def test_fb15k_237_counts_match(clean_store, home, data, monkeypatch):
    job = load_job(ROOT / "examples/knowledge/fb15k237.yaml")
    told = job.model_dump(mode="json")
    for node in told["nodes"]:
        node["embed"] = []  # fourteen thousand texts take a minute
    quick = Job.parse(told, job.origin.base)
    report = run(clean_store, home, quick)
    assert report.counters["relationships_created"] == 310_116
    found = clean_store.read(
        "MATCH (n:Entity) RETURN count(n) AS nodes, count(n.name) AS names, count(n.description) AS described"
    )[0]
    assert found == {"nodes": 14_541, "names": 14_541, "described": found["described"]}
    assert found["described"] > 13_000
    splits = clean_store.read("MATCH (:Entity)-[r]->(:Entity) RETURN r.split AS split, count(r) AS n ORDER BY n")
    assert [row["n"] for row in splits] == [17_535, 20_466, 272_115]
    assert clean_store.read("MATCH (r:Relation) RETURN count(r) AS n") == [{"n": 237}]
    version = clean_store.version()
    assert run(clean_store, home, quick).batch is None
    assert clean_store.version() == version


@needs("model_zoo/transfergraph/image")
def test_the_zoos_counts_match(clean_store, home, data):
    first = run(clean_store, home, load_job(ROOT / "examples/zoo/transfergraph.yaml"))
    assert first.rejected == 2  # two lines are torn, as published
    assert reported(clean_store) == {"runs": 2_254, "sets": 13}
    assert clean_store.read("MATCH (:Region)<-[:OF]-(r:Run) WITH DISTINCT r.accuracy <= 1 AS ok RETURN ok") == [
        {"ok": True}
    ]
    run(clean_store, home, load_job(ROOT / "examples/zoo/timm.yaml"))
    assert reported(clean_store)["runs"] == 2_254 + 8 * 1_556
    assert check(clean_store) == []
    assert catalogue.regions(clean_store) == []  # known by their results alone: nothing can be built of them
    query = "MATCH (r:Region)-[:HAS_ARCHITECTURE]->(:Architecture)-[:RUNS_AT]->(:Speed) RETURN count(DISTINCT r) AS n"
    assert clean_store.read(query)[0]["n"] > 900


def test_a_matrix_and_a_long_table_bring_the_same_runs(clean_store, home):
    matrix = pd.DataFrame({"model": ["m", "n"], "a": [50.0, None], "b": [75.0, 25.0]})
    item = {"source": "matrix", "area": "vision.x", "model": "model", "metric": "accuracy", "scale": 0.01}
    run(
        clean_store,
        home,
        Job.parse({"job": "j", "results": [{**item, "datasets": ["a", "b"]}]}),
        tables={"matrix": matrix},
    )
    query = "MATCH (m:Region)<-[:OF]-(r:Run)-[:ON]->(d) RETURN m.key AS m, d.key AS d, r.accuracy AS a ORDER BY m, d"
    wanted = [("vision.x/m", "a", 0.5), ("vision.x/m", "b", 0.75), ("vision.x/n", "b", 0.25)]
    assert [tuple(row.values()) for row in clean_store.read(query)] == wanted
    long = matrix.melt("model", var_name="on", value_name="top1").dropna()
    told = {"source": "long", "area": "vision.x", "model": "model", "dataset": "on", "metrics": {"accuracy": "top1"}}
    again = run(clean_store, home, Job.parse({"job": "j", "results": [{**told, "scale": 0.01}]}), tables={"long": long})
    assert again.counts["Run"] == {"created": 0, "updated": 0, "deleted": 0, "unchanged": 3}


def test_a_networkx_graph(clean_store, home):
    graph = nx.DiGraph()
    graph.add_node("a", colour="red")
    graph.add_edge("a", 2, weight=0.5)
    job = {
        "job": "graph",
        "nodes": [{"source": "g.nodes", "key": "key", "properties": {"colour": "colour"}}],
        "relationships": [
            {"source": "g.edges", "type": "LINKS", "start": "start", "end": "end", "properties": {"weight": "weight"}}
        ],
    }
    run(clean_store, home, Job.parse(job), tables={"g": graph})
    rows = clean_store.read("MATCH (a)-[r:LINKS]->(b) RETURN a.key AS a, a.colour AS c, b.key AS b, r.weight AS w")
    assert rows == [{"a": "a", "c": "red", "b": "2", "w": 0.5}]


CARD = """---
model_id: acme/ears-1
license: mit
tags: [audio, tiny]
training: {epochs: 3}
model-index:
  - name: ears
    results:
      - dataset: {name: ESC-10, type: esc10}
        metrics: [{type: accuracy, value: 0.9}]
---
# Ears

It hears ten kinds of sound.

More words.
"""


def test_model_cards_become_regions_and_their_results_runs(clean_store, home, tmp_path):
    (tmp_path / "cards" / "other").mkdir(parents=True)
    (tmp_path / "cards" / "ears.md").write_text(CARD)
    (tmp_path / "cards" / "other" / "README.md").write_text("# Nose\n\nIt smells.\n")
    job = Job.parse({"job": "cards", "cards": [{"folder": "cards", "area": "audio.x"}]}, tmp_path)
    run(clean_store, home, job)
    node = clean_store.read("MATCH (r:Region {key: 'audio.x/acme/ears-1'}) RETURN r {.*, text_embedding: null} AS r")[
        0
    ]["r"]
    assert (node["name"], node["description"], node["licence"]) == ("Ears", "It hears ten kinds of sound.", "mit")
    assert node["tags"] == ["audio", "tiny"]
    assert node["training"] == '{"epochs": 3}'
    assert clean_store.read("MATCH (r:Region)-[]-(a:Area) RETURN r.key AS key ORDER BY key")[1] == {
        "key": "audio.x/other"
    }
    runs = clean_store.read("MATCH (:Region)<-[:OF]-(r:Run)-[:ON]->(d:Dataset) RETURN d.key AS d, r.accuracy AS a")
    assert runs == [{"d": "esc10", "a": 0.9}]
    assert check(clean_store) == []
    (tmp_path / "cards" / "ears.md").write_text("---\na: [1\n---\n")
    with pytest.raises(InputError, match=r"ears\.md:\d+: its front matter is not YAML"):
        run(clean_store, home, job)


def test_columns_and_sources_that_are_not_there_are_told_with_lines(clean_store, home, tmp_path):
    (tmp_path / "t.csv").write_text("id,name\na,A\n")
    path = tmp_path / "job.yaml"
    path.write_text(
        "job: j\nsources:\n  t: {path: t.csv}\nnodes:\n  - {source: t, key: idd, properties: {name: nam}}\n"
        "  - {source: u, key: id}\n"
    )
    with pytest.raises(InputError, match=r"job\.yaml:6: .*no source 'u'"):
        run(clean_store, home, load_job(path))
    path.write_text(path.read_text().replace("  - {source: u, key: id}\n", ""))
    with pytest.raises(InputError) as caught:
        run(clean_store, home, load_job(path))
    assert [problem.split(": ", 1)[0].rpartition("/")[2] for problem in caught.value.problems] == ["job.yaml:5"] * 2
    assert "did you mean id?" in str(caught.value)


hostile = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20).filter(
    str.strip
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(hostile, min_size=2, max_size=5, unique=True), kind=hostile, name=hostile, label=hostile)
def test_what_goes_in_comes_out_and_nothing_is_executed(clean_store, home, keys, kind, name, label):
    clean_store.write("MATCH (n:Entity) DETACH DELETE n")
    nodes = pd.DataFrame({"key": keys, "name": [name] * len(keys), "label": [label] * len(keys)})
    edges = pd.DataFrame({"a": keys[:-1], "t": [kind] * (len(keys) - 1), "b": keys[1:], "w": [name] * (len(keys) - 1)})
    job = {
        "job": "hostile",
        "nodes": [{"source": "n", "key": "key", "labels": {"column": "label"}, "properties": {"name": "name"}}],
        "relationships": [{"source": "e", "type": {"column": "t"}, "start": "a", "end": "b", "properties": {"w": "w"}}],
    }
    run(clean_store, home, Job.parse(job), Options(), tables={"n": nodes, "e": edges})
    found = clean_store.read("MATCH (n:Entity) RETURN n.key AS key, n.name AS name, labels(n) AS labels")
    assert sorted(row["key"] for row in found) == sorted(keys)
    assert {row["name"] for row in found} == {name}
    assert {frozenset(row["labels"]) for row in found} == {frozenset({"Entity", label})}
    links = clean_store.read("MATCH (a:Entity)-[r]->(b) RETURN a.key AS a, type(r) AS t, b.key AS b, r.w AS w")
    assert {tuple(row.values()) for row in links} == {(a, kind, b, name) for a, b in itertools.pairwise(keys)}
