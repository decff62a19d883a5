from __future__ import annotations

import datetime

import pytest

from cortigraph.graph.check import check
from cortigraph.graph.plain import plain
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.write import merge_edges, merge_nodes

WHOLE = """
CREATE (a:Area {key: 'a'})-[:HAS_REGION]->(r:Region {key: 'r', weights: 'sha256:1'}), (d:Dataset {key: 'd'}),
       (s:Scene {key: 's'})-[:POSED_ON]->(d), (h:Search {key: 'h'})-[:FOR_SCENE]->(s),
       (c:Candidate {key: 'c', index: 0})-[:IN_SEARCH]->(h), (c)-[:USES]->(r),
       (p:Pathway {key: 'p'})-[:FOR_SCENE]->(s), (p)-[:USES {weights: 'sha256:2'}]->(r), (p)-[:CHOSEN_FROM]->(c),
       (n:Run {key: 'n', metrics: '{}', seed: 0, versions: '{}', finished_at: datetime()})-[:OF]->(p), (n)-[:ON]->(d)
"""


@pytest.fixture
def whole(clean_store):
    clean_store.write(WHOLE)
    return clean_store


def test_a_whole_memory_has_no_problem(whole):
    assert check(whole, lambda name: True) == []


@pytest.mark.parametrize(
    ("damage", "kind", "named"),
    [
        ("CREATE (:Area)", "no key", "Area"),
        ("CREATE (:Stranger {key: 'x'})", "unknown label", "Stranger x"),
        ("MATCH (:Run)-[o:OF]->() DELETE o", "run of nothing", "Run n"),
        ("MATCH (:Run)-[o:ON]->() DELETE o", "run on nothing", "Run n"),
        ("MATCH (n:Run) REMOVE n.seed, n.metrics", "run without record", "Run n lacks metrics, seed"),
        ("MATCH (:Candidate)-[i:IN_SEARCH]->() DELETE i", "candidate without search", "Candidate c"),
        ("MATCH (:Candidate)-[u:USES]->() DELETE u", "candidate without region", "Candidate c"),
        (
            "MATCH (h:Search), (r:Region) CREATE (h)<-[:IN_SEARCH]-(:Candidate {key: 'd', index: 0})-[:USES]->(r)",
            "candidate told twice",
            "Candidate c shares its index in the search with d",
        ),
        ("MATCH (:Pathway)-[f:FOR_SCENE]->() DELETE f", "pathway without scene", "Pathway p"),
        ("MATCH (:Pathway)-[u:USES]->() DELETE u", "pathway without region", "Pathway p"),
        ("MATCH (a:Area) DETACH DELETE a", "region without area", "Region r"),
        ("MATCH (s:Scene) SET s.embedding = [1.0]", "wrong embedding", "Scene s has an embedding of 1 numbers"),
        ("MATCH (m:Migration {version: 2}) SET m.version = -2", "migration missing", "Migration 0002"),
    ],
)
def test_each_damage_is_found_and_named(whole, damage, kind, named):
    whole.write(damage)
    try:
        problems = check(whole)
    finally:
        whole.write("MATCH (m:Migration {version: -2}) SET m.version = 2")
    assert kind in {problem.kind for problem in problems}
    assert len(problems) <= 2  # a run of nothing leaves a pathway without run
    assert str(problems[0]).startswith(named)


def test_a_pathway_without_run(whole):
    whole.write("MATCH (n:Run) DETACH DELETE n")
    assert [problem.kind for problem in check(whole)] == ["pathway without run"]


def test_weights_that_do_not_exist_are_named_with_who_refers_to_them(whole):
    problems = check(whole, lambda name: name == "sha256:1")
    assert [str(problem) for problem in problems] == ["Pathway p refers to weights sha256:2 that don't exist"]


def test_results_become_plain(clean_store):
    merge_nodes(clean_store, Label.ENTITY, [{"key": "a", "raw": b"x", "on": datetime.date(2026, 9, 1)}, {"key": "b"}])
    merge_edges(clean_store, RelType.USES, Label.ENTITY, Label.ENTITY, [{"start": "a", "end": "b", "slot": 1}])
    row = plain(
        clean_store.read(
            "MATCH p = (a {key: 'a'})-[r]->(b) RETURN a, r, p, point({x: 1, y: 2}) AS at, duration('P1D') AS d"
        )[0]
    )
    assert row["a"] == {"labels": ["Entity"], "properties": {"key": "a", "raw": "eA==", "on": "2026-09-01"}}
    assert row["r"] == {"type": "USES", "start": "a", "end": "b", "properties": {"slot": 1}}
    assert [node["properties"]["key"] for node in row["p"]["nodes"]] == ["a", "b"]
    assert row["at"] == {"srid": 7203, "coordinates": [1.0, 2.0]}
    assert row["d"] == "P1D"
