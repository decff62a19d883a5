"""A job that goes through the import tool brings what it brings the ordinary way."""

from __future__ import annotations

import pytest

from cortigraph.graph import server
from cortigraph.graph.check import check
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
from cortigraph.ingest.batches import first
from cortigraph.ingest.job import Job
from cortigraph.ingest.revert import batches, revert
from cortigraph.ingest.run import Options, run

JOB = {
    "job": "first",
    "sources": {
        "people": {"path": "people.csv", "types": {"age": "int", "tags": "list[text]"}},
        "knows": {"path": "knows.tsv", "format": "triples"},
    },
    "nodes": [
        {
            "source": "people",
            "key": "id",
            "labels": {"column": "kind"},
            "properties": {"name": "name", "age": "age", "tags": "tags"},
            "embed": ["name"],
        },
    ],
    "relationships": [
        {"source": "knows", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}


@pytest.fixture
def files(tmp_path):
    text = 'id,kind,name,age,tags\na,Cat,"Ann ""the"" 1st",3,x|y\nb,Dog,"Bob\nBobson",,\nc,,,7,z\n'
    (tmp_path / "people.csv").write_text(text)
    (tmp_path / "knows.tsv").write_text("a\tknows\tb\nb\t/likes/x\tc\nc\tknows\td\n")
    return tmp_path


def whole(store):
    nodes = store.read(
        "MATCH (n) WHERE NOT n:Migration|Lease|Batch|Source RETURN labels(n) AS l, n {.*} AS n ORDER BY n.key"
    )
    edges = store.read(
        "MATCH (a:Entity)-[r]->(b) RETURN a.key AS a, type(r) AS t, b.key AS b, r {.*} AS r ORDER BY a, b"
    )
    return [(sorted(row["l"]), row["n"]) for row in nodes], edges


def test_the_import_tool_brings_the_same(clean_store, home, files, tmp_path, monkeypatch):
    job = Job.parse(JOB, files)
    ordinary = run(clean_store, home, job, Options(first_load=False))
    monkeypatch.setattr(first, "LEAST_ELEMENTS", 1)
    other = Home(tmp_path / "other")
    try:
        with open_store(other) as store:
            report = run(store, other, job)
            assert report.counts == ordinary.counts
            assert whole(store) == whole(clean_store)
            assert [(b.number, b.job, b.state) for b in batches(store)] == [(1, "first", "done")]
            assert run(store, other, job).batch is None
            assert check(store) == []
            revert(store, other, "1")
            assert whole(store) == ([], [])
    finally:
        server.stop(other)
