"""Several relationships of one type between two nodes, one an item of a list, and duplicates that are counted."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.check import check
from cortigraph.graph.export import to_networkx
from cortigraph.graph.snapshot import snapshot
from cortigraph.ingest.batches import first
from cortigraph.ingest.elements import EdgeKind
from cortigraph.ingest.job import Job
from cortigraph.ingest.plan import plan
from cortigraph.ingest.revert import revert
from cortigraph.ingest.run import Options, run
from cortigraph.ingest.staging.rows import COUNTED, counted
from cortigraph.tables.rejects import RejectedError

PAID = {"source": "pay", "type": "PAID", "start": "a", "end": "b", "create": True, "properties": {"n": "n"}}
ROWS = [("ann", "bob", 5), ("ann", "bob", 5), ("bob", "ann", 1), ("ann", "bob", 7)]


def payments(folder, rows=ROWS, name="pay.csv"):
    (folder / name).write_text("a,b,n\n" + "".join(f"{a},{b},{n}\n" for a, b, n in rows))


def job(folder, *, row=True, name="pay", path="pay.csv"):
    told = {**PAID, "key": {"row": True}} if row else PAID
    source = {"path": path, "types": {"n": "int"}}
    return Job.parse({"job": name, "sources": {"pay": source}, "relationships": [told]}, folder)


def paid(store):
    rows = store.read("MATCH (a)-[r:PAID]->(b) RETURN a.key AS a, b.key AS b, r.n AS n")
    return Counter(tuple(row.values()) for row in rows)


def test_one_relationship_a_row_and_none_more_the_second_time(clean_store, home, tmp_path):
    payments(tmp_path)
    assert run(clean_store, home, job(tmp_path)).counters["relationships_created"] == 4
    assert paid(clean_store) == Counter(ROWS)
    payments(tmp_path, [*ROWS, ("bob", "ann", 9)])  # another file with the same beginning
    assert run(clean_store, home, job(tmp_path)).counters["relationships_created"] == 1
    assert run(clean_store, home, job(tmp_path)).batch is None
    more = [("ann", "bob", 2), *ROWS, ("bob", "ann", 9)]  # a row before all others
    payments(tmp_path, more)
    run(clean_store, home, job(tmp_path))
    assert paid(clean_store) == Counter(more)
    payments(tmp_path, more[2:])
    run(clean_store, home, job(tmp_path), Options(prune=True))
    assert paid(clean_store) == Counter(more[2:])
    keys = clean_store.read("MATCH ()-[r:PAID]->() RETURN r.key AS key ORDER BY key")
    assert {row["key"] for row in keys} == {f"pay/pay.csv#{number}" for number in (1, 2)}


def test_files_and_jobs_do_not_take_each_others_rows(clean_store, home, tmp_path):
    payments(tmp_path, ROWS, "p1.csv")
    payments(tmp_path, ROWS[:2], "p2.csv")
    run(clean_store, home, job(tmp_path, path="p*.csv"))
    run(clean_store, home, job(tmp_path, path="p*.csv", name="other"))
    assert paid(clean_store) == Counter(2 * (ROWS + ROWS[:2]))


@pytest.mark.parametrize("imported", [False, True])
def test_they_live_through_snapshot_exports_check_and_revert(clean_store, home, tmp_path, monkeypatch, imported):
    monkeypatch.setattr(first, "LEAST_ELEMENTS", 1 if imported else 10**9)
    payments(tmp_path)
    report = run(clean_store, home, job(tmp_path))
    later = run(clean_store, home, job(tmp_path, name="later"))
    assert check(clean_store) == []
    taken = snapshot(clean_store, home)
    graph = to_networkx(taken)
    assert Counter((a, b, told["n"]) for a, b, told in graph.edges(data=True) if told["type"] == "PAID") == Counter(
        2 * ROWS
    )
    edges = taken.edges["Entity", "PAID", "Entity"]
    assert edges.index.shape == (2, 8)
    assert len(clean_store.read("MATCH ()-[r:PAID]->() RETURN DISTINCT r.key")) == 6
    revert(clean_store, home, later.batch)
    assert paid(clean_store) == Counter(ROWS)
    assert run(clean_store, home, job(tmp_path)).batch is None
    revert(clean_store, home, report.batch)
    assert clean_store.read("MATCH (n:Entity) RETURN count(n) AS n") == [{"n": 0}]


def test_contradicting_rows_are_told_what_to_write(clean_store, home, tmp_path):
    payments(tmp_path)
    with pytest.raises(RejectedError) as caught:
        run(clean_store, home, job(tmp_path, row=False))
    [told, _] = caught.value.problems
    assert told.startswith(
        "pay.csv:5: column n: says another thing than pay.csv:2 about the same PAID from 'ann' to 'bob': 5"
    )
    assert "`key: {row: true}`" in told


def test_rows_that_say_again_what_others_say_are_counted(clean_store, home, tmp_path):
    payments(tmp_path, ROWS[:3])
    once = job(tmp_path, row=False)
    assert plan(clean_store, home, once).to_json()["folded"] == {"Entity→Entity": 1}
    report = run(clean_store, home, once)
    assert json.loads(json.dumps(report.to_json()))["folded"] == {"Entity→Entity": 1}
    assert run(clean_store, home, once).folded == {"Entity→Entity": 1}  # nothing was even read
    assert run(clean_store, home, job(tmp_path, name="rows")).folded == {}


def test_a_list_is_one_relationship_an_item(clean_store, home, tmp_path):
    rows = [
        {"id": ["a"], "to": ["x", "y"], "type": ["T", "U"], "w": 1, "tags": ["p", "q"]},
        {"id": ["b", "c"], "to": ["x"], "type": ["T"], "w": 2, "tags": []},
        {"id": ["d"], "to": [], "type": ["T"], "w": 3, "tags": None},
    ]
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, rows)))
    edge = {"source": "s", "type": {"column": "type"}, "start": "id", "end": "{to}!", "create": True}
    node = {"source": "s", "key": "id", "labels": {"column": "tags", "map": {"p": "P"}}, "properties": {"tags": "tags"}}
    told = {"job": "j", "sources": {"s": {"path": "s.jsonl"}}, "nodes": [node]}
    told["relationships"] = [{**edge, "properties": {"w": "w", "tags": "tags"}, "where": {"to": ["x", "y"]}}]
    run(clean_store, home, Job.parse(told, tmp_path))
    found = clean_store.read(
        "MATCH (a:Entity)-[r]->(b) RETURN a.key AS a, type(r) AS t, b.key AS b, r.w AS w, r.tags AS tags"
    )
    assert sorted(tuple(row.values())[:4] for row in found) == [
        ("a", "T", "x!", 1), ("a", "T", "y!", 1), ("a", "U", "x!", 1), ("a", "U", "y!", 1),
        ("b", "T", "x!", 2), ("c", "T", "x!", 2),
    ]  # fmt: skip
    assert all(row["tags"] == (["p", "q"] if row["a"] == "a" else []) for row in found)
    labels = {
        row["key"]: row["labels"]
        for row in clean_store.read("MATCH (n:Entity) RETURN n.key AS key, labels(n) AS labels")
    }
    assert sorted(labels["a"]) == ["Entity", "P", "q"]
    assert labels["d"] == ["Entity"]


@pytest.mark.parametrize("shape", [{"before": "x"}, {"map": {"x": "y"}}, {"template": "{tags}!"}])
def test_a_property_that_is_made_of_a_list_is_told_with_its_line(clean_store, home, tmp_path, shape):
    (tmp_path / "s.jsonl").write_text('{"id": "a", "tags": null}\n{"id": "b", "tags": ["x"]}\n')
    cell = shape if "template" in shape else {"column": "tags", **shape}
    node = {"source": "s", "key": "id", "properties": {"tags": cell}}
    told = Job.parse({"job": "j", "sources": {"s": {"path": "s.jsonl"}}, "nodes": [node]}, tmp_path)
    with pytest.raises(RejectedError, match=r"s\.jsonl:2: column tags: is a list, .*got \['x'\]"):
        run(clean_store, home, told)


edges = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("ab"), st.integers(0, 3)), max_size=12)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=edges, after=edges)
def test_the_graph_holds_the_rows_whatever_they_were_before(clean_store, home, before, after):
    clean_store.write("MATCH (n:Entity|Batch) DETACH DELETE n")
    told = Job.parse({"job": "p", "relationships": [{**PAID, "key": {"row": True}}]})
    for rows in (before, before + after, after):
        frame = pd.DataFrame(rows, columns=["a", "b", "n"]).astype({"n": "int64"})
        run(clean_store, home, told, Options(prune=True), tables={"pay": pa.Table.from_pandas(frame)})
        assert paid(clean_store) == Counter(rows)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from(["f", "g"]), st.booleans())))
def test_rows_are_counted_among_their_like(rows):
    columns = (
        dict(zip((":start", ":end", ":key", COUNTED), map(list, zip(*rows, strict=True)), strict=False)) if rows else {}
    )
    if not rows:
        return
    table = pa.table({":type": ["T"] * len(rows), **columns, ":record": list(range(len(rows)))})
    seen: Counter[tuple[str, str, str]] = Counter()
    for key, (start, end, told, own) in zip(counted(EdgeKind("A", "A"), table)[":key"].to_pylist(), rows, strict=True):
        seen[start, end, told] += own
        assert key == (f"{told}#{seen[start, end, told]}" if own else told)
