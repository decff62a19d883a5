"""Batches in a real Neo4j: run again, grown, pruned, shared with other jobs, and reverted."""

from __future__ import annotations

import pytest

from cortigraph.graph.errors import InputError, StoreError, UnknownKeyError
from cortigraph.graph.store import Store
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.archive import folder_of
from cortigraph.ingest.job import Job
from cortigraph.ingest.revert import batches, revert
from cortigraph.ingest.run import Options, run

PEOPLE = {
    "sources": {"people": {"path": "people.csv", "types": {"age": "int"}}},
    "nodes": [{"source": "people", "key": "id", "properties": {"name": "name", "age": "age"}}],
}
KNOWS = {
    "sources": {"knows": {"path": "knows.tsv", "format": "triples"}},
    "relationships": [
        {"source": "knows", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}


@pytest.fixture
def ingest(clean_store, home, tmp_path):
    """Gives a function that writes files and runs a job over them."""

    def go(name, job, files=None, tables=None, **options):
        for path, text in (files or {}).items():
            (tmp_path / path).write_text(text, encoding="utf-8")
        parsed = Job.parse({"job": name, **job}, tmp_path)
        return run(clean_store, home, parsed, Options(**options), tables=tables)

    return go


def graph(store):
    """The entities and their relationships, without the numbers of batches."""
    nodes = store.read("MATCH (n:Entity) RETURN n {.*} AS n ORDER BY n.key")
    edges = store.read(
        "MATCH (a:Entity)-[r]->(b:Entity) RETURN a.key AS a, type(r) AS t, b.key AS b, r {.*} AS r ORDER BY a, t, b"
    )
    return (
        [{k: v for k, v in row["n"].items() if k != "batches"} for row in nodes],
        [(row["a"], row["t"], row["b"], {k: v for k, v in row["r"].items() if k != "batches"}) for row in edges],
    )


def carried(store):
    return {
        row["key"]: row["batches"] for row in store.read("MATCH (n:Entity) RETURN n.key AS key, n.batches AS batches")
    }


def test_a_source_that_grew_updates_and_adds_and_prune_removes(clean_store, ingest):
    first = ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\nb,Bob,2\nc,Cy,\n"})
    assert first.counts["Entity"] == {"created": 3, "updated": 0, "deleted": 0, "unchanged": 0}
    assert first.counters["nodes_created"] == 3
    second = ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Anna,\nc,Cy,\nd,Di,4\n"})
    assert second.counts["Entity"] == {"created": 1, "updated": 1, "deleted": 0, "unchanged": 1}
    nodes, _ = graph(clean_store)
    assert nodes == [
        {"key": "a", "name": "Anna"},  # the age is given no more
        {"key": "b", "name": "Bob", "age": 2},
        {"key": "c", "name": "Cy"},
        {"key": "d", "name": "Di", "age": 4},
    ]
    assert carried(clean_store) == {"a": [2], "b": [1], "c": [1], "d": [2]}
    third = ingest("people", PEOPLE, prune=True)
    assert third.counts["Entity"] == {"created": 0, "updated": 0, "deleted": 1, "unchanged": 3}
    assert [node["key"] for node in graph(clean_store)[0]] == ["a", "c", "d"]


def test_an_unchanged_job_writes_nothing_even_if_others_have_written(clean_store, ingest):
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\n"})
    version = clean_store.version()
    assert ingest("people", PEOPLE).batch is None
    assert clean_store.version() == version
    clean_store.write("CREATE (:Entity {key: 'by hand'})")
    version = clean_store.version()
    assert ingest("people", PEOPLE).batch is None
    assert clean_store.version() == version


def test_a_batch_is_whole_though_nothing_more_can_be_noted(clean_store, home, ingest):
    first = ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\n"})
    clean_store.write("CREATE (:Entity {key: 'by hand'})")
    noted = folder_of(home, first.batch) / "version"
    noted.unlink()
    noted.with_suffix(".partial").mkdir()  # as good as a full disk: the file can't be opened
    assert ingest("people", PEOPLE).batch is None
    assert not noted.exists()
    noted.with_suffix(".partial").rmdir()
    assert ingest("people", PEOPLE).batch is None
    assert noted.exists()


def test_what_two_jobs_assert_stays_until_both_are_gone(clean_store, home, ingest):
    ingest("one", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\nb,Bob,2\n"})
    names = {"source": "people", "key": "id", "properties": {"name": "name"}}
    two = {"sources": {"people": {"path": "people.csv"}}, "nodes": [names]}
    ingest("two", two, {"people.csv": "id,name\nb,Robert\nc,Cy\n"})
    assert carried(clean_store) == {"a": [1], "b": [1, 2], "c": [2]}
    assert graph(clean_store)[0][1] == {"key": "b", "name": "Robert", "age": 2}
    report = revert(clean_store, home, "2")
    assert report.counts["Entity"]["deleted"] == 1
    assert graph(clean_store)[0] == [{"key": "a", "name": "Ann", "age": 1}, {"key": "b", "name": "Bob", "age": 2}]
    assert carried(clean_store) == {"a": [1], "b": [1]}
    revert(clean_store, home, "1")
    assert graph(clean_store) == ([], [])
    assert [record.state for record in batches(clean_store)] == ["reverted", "reverted"]


def test_reverting_the_first_leaves_what_the_second_asserts_too(clean_store, home, ingest):
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\nb,Bob,2\n"})
    ingest("people", PEOPLE, {"people.csv": "id,name,age\nb,Bob,2\nc,Cy,3\n"})
    revert(clean_store, home, "1")
    assert [node["key"] for node in graph(clean_store)[0]] == ["b", "c"]
    assert carried(clean_store) == {"b": [2], "c": [2]}


def test_reverting_a_prune_brings_back_what_it_removed(clean_store, home, ingest):
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\nb,Bob,2\n"})
    before = graph(clean_store)
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Anna,1\n"}, prune=True)
    assert [node["key"] for node in graph(clean_store)[0]] == ["a"]
    revert(clean_store, home, "2")
    assert graph(clean_store) == before
    assert carried(clean_store) == {"a": [1], "b": [1]}


def test_what_was_there_before_any_batch_comes_back(clean_store, home, ingest):
    clean_store.write("CREATE (:Entity {key: 'a', name: 'Old', colour: 'red'})")
    before = graph(clean_store)
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\n"})
    assert graph(clean_store)[0] == [{"key": "a", "name": "Ann", "age": 1, "colour": "red"}]
    assert carried(clean_store) == {"a": [0, 1]}
    revert(clean_store, home, "1")
    assert graph(clean_store) == before


def test_a_node_that_somebody_needs_stays_bare(clean_store, home, ingest):
    ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\nb,Bob,2\n"})
    clean_store.write("MATCH (a:Entity {key: 'a'}) CREATE (a)-[:LIKES]->(:Entity {key: 'x'})")
    revert(clean_store, home, "1")
    assert graph(clean_store) == ([{"key": "a"}, {"key": "x"}], [("a", "LIKES", "x", {})])


def test_relationships_are_shared_and_reverted(clean_store, home, ingest):
    ingest("one", KNOWS, {"knows.tsv": "a\tknows\tb\nb\tknows\tc\na\tknows\tb\n"})
    ingest("two", KNOWS, {"knows.tsv": "b\tknows\tc\nc\tlikes\tc\n"})
    assert [edge[:3] for edge in graph(clean_store)[1]] == [
        ("a", "knows", "b"),
        ("b", "knows", "c"),
        ("c", "likes", "c"),
    ]
    revert(clean_store, home, "1")
    assert [edge[:3] for edge in graph(clean_store)[1]] == [("b", "knows", "c"), ("c", "likes", "c")]
    assert [node["key"] for node in graph(clean_store)[0]] == ["b", "c"]
    revert(clean_store, home, "2")
    assert graph(clean_store) == ([], [])


def test_no_such_batch_and_twice(clean_store, home, ingest):
    report = ingest("people", PEOPLE, {"people.csv": "id,name,age\na,Ann,1\n"})
    with pytest.raises(UnknownKeyError, match="no batch 'people/nothing'"):
        revert(clean_store, home, "people/nothing")
    revert(clean_store, home, report.batch)
    with pytest.raises(InputError, match="reverted already"):
        revert(clean_store, home, report.batch)
    again = ingest("people", PEOPLE)
    assert again.counts["Entity"]["created"] == 1


def test_an_end_that_is_missing_is_rejected_and_a_contradiction_too(clean_store, ingest, tmp_path):
    job = {
        **PEOPLE,
        "sources": {**PEOPLE["sources"], **KNOWS["sources"]},
        "relationships": [{"source": "knows", "type": "KNOWS", "start": "head", "end": "tail"}],
    }
    files = {"people.csv": "id,name,age\na,Ann,1\na,Anna,1\nb,Bob,2\n", "knows.tsv": "a\tx\tb\na\tx\tzz\n"}
    with pytest.raises(InputError, match=r"people\.csv:3: column name.*Ann"):
        ingest("people", job, files)
    assert graph(clean_store) == ([], [])
    report = ingest("people", job, max_rejects=5, rejects=tmp_path / "rejects")
    assert report.rejected == 2
    reasons = (tmp_path / "rejects" / "reasons.csv").read_text()
    assert "knows.tsv,2" in reasons
    assert [node["key"] for node in graph(clean_store)[0]] == ["a", "b"]
    (tmp_path / "rejects" / "knows.tsv").write_text("a\tx\tb\nb\tx\ta\n")
    mended = tmp_path / "rejects" / "people.csv"
    mended.write_text(mended.read_text().replace("a,Anna", "z,Zoe"))
    ingest("people", job, mended=tmp_path / "rejects")
    assert [node["key"] for node in graph(clean_store)[0]] == ["a", "b", "z"]
    assert [edge[:3] for edge in graph(clean_store)[1]] == [("a", "KNOWS", "b"), ("b", "KNOWS", "a")]


def test_a_lease_that_could_not_be_given_back_holds_nobody_of_this_process_up(clean_store, monkeypatch):
    """As when the disk is full at just that moment."""

    def refuse(self, query, **parameters):
        raise StoreError("no space left")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="no space"), ledger.hold(clean_store):
        patch.setattr(Store, "write", refuse)
    waited: list[str] = []
    with ledger.hold(clean_store, waited.append):
        assert waited == []
