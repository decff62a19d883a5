"""Values on their way from tables into the graph: what a job names comes in as it was, or is refused by its row."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job
from cortigraph.ingest.revert import revert
from cortigraph.ingest.run import run


def _job(folder, node: dict, **source) -> Job:
    return Job.parse({"job": "t", "sources": {"s": source}, "nodes": [{"source": "s", **node}]}, folder)


def _bring(store, home, folder, node: dict, tables=None, **source) -> list[dict]:
    run(store, home, _job(folder, node, **source), tables=tables)
    return store.read("MATCH (n:Entity) RETURN n.key AS key, n.value AS value ORDER BY key")


BIG = [12345678901234567890, 18446744073709551615]
KEYS = {"key": "h:{id}"}
VALUE = {"key": "id", "properties": {"value": "v"}}


def test_large_ids_stay_different(clean_store, home, tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": each}) + "\n" for each in BIG))
    for types in ({}, {"id": "float"}):
        with pytest.raises(InputError, match=r"a\.jsonl:1: column id: .*; give the column the type text"):
            _bring(clean_store, home, tmp_path, KEYS, path="a.jsonl", types=types)
    rows = _bring(clean_store, home, tmp_path, KEYS, path="a.jsonl", types={"id": "text"})
    assert [row["key"] for row in rows] == [f"h:{each}" for each in BIG]


@pytest.mark.parametrize("types", [{}, {"id": "text"}, {"id": "int"}, {"id": "float"}])
def test_ids_that_were_floats_before_name_nothing(clean_store, home, tmp_path, types) -> None:
    frame = pd.DataFrame({"id": np.array([*BIG, np.nan])})
    with pytest.raises(InputError, match=r"s, record 1: column id: is a float of 2\^53 or more"):
        _bring(clean_store, home, tmp_path, {**KEYS, "having": ["id"]}, {"s": frame}, types=types)


def test_small_ids_that_were_floats_have_no_point(clean_store, home, tmp_path) -> None:
    frame = pd.DataFrame({"id": [7.0, 2.5, None]})
    rows = _bring(clean_store, home, tmp_path, {**KEYS, "having": ["id"]}, {"s": frame}, types={})
    assert [row["key"] for row in rows] == ["h:2.5", "h:7"]


def test_a_list_names_each_of_its_items_and_fills_no_template(clean_store, home, tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "types": ["x", "y"]}\n')
    told = {"key": "types", "properties": {"value": "types"}}
    rows = _bring(clean_store, home, tmp_path, told, path="a.jsonl")
    assert rows == [{"key": "x", "value": "x"}, {"key": "y", "value": "y"}]
    told = {"key": "id", "properties": {"value": "{id} {types}"}}
    with pytest.raises(InputError, match=r"a\.jsonl:1: column types: is a list, and template"):
        _bring(clean_store, home, tmp_path, told, path="a.jsonl")


def test_what_the_job_does_not_name_is_not_looked_at(clean_store, home, tmp_path) -> None:
    graph = nx.Graph()
    graph.add_node("a", value="Ann", where={"x": 1})
    table = pa.table({"key": ["a"], "value": ["Ann"], "where": [{"x": 1}], "raw": [b"\xff"]})
    node = {"key": "key", "properties": {"value": "value"}}
    for name, given in (("s.nodes", {"s": graph}), ("s", {"s": table})):
        told = {"job": name, "nodes": [{"source": name, **node}]}
        run(clean_store, home, Job.parse(told), tables=given)
    assert clean_store.read("MATCH (n:Entity) RETURN n.value AS value") == [{"value": "Ann"}]
    told = {"job": "typed", "sources": {"s.nodes": {"types": {"where": "text"}}}}
    told["nodes"] = [{"source": "s.nodes", "key": "key", "properties": {"where": "where"}}]
    run(clean_store, home, Job.parse(told), tables={"s": graph})
    assert clean_store.read("MATCH (n:Entity) RETURN n.where AS at") == [{"at": '{"x": 1}'}]


def test_a_semicolon_is_named(clean_store, home, tmp_path) -> None:
    (tmp_path / "a.csv").write_text("id;value\n1;2\n")
    with pytest.raises(InputError, match=r"source 's' has no column 'id'; .* give `delimiter: \";\"`"):
        _bring(clean_store, home, tmp_path, {"key": "id"}, path="a.csv")
    rows = _bring(
        clean_store, home, tmp_path, {"key": "id", "properties": {"value": " value "}}, path="a.csv", delimiter=";"
    )
    assert rows == [{"key": "1", "value": "2"}]


def test_an_object_of_lists(clean_store, home, tmp_path) -> None:
    (tmp_path / "a.json").write_text('{"Q1": ["Q5", "Q6"], "Q2": []}')
    node = {"key": "_key", "properties": {"value": "_value"}}
    rows = _bring(clean_store, home, tmp_path, node, path="a.json")
    assert rows == [{"key": "Q1", "value": ["Q5", "Q6"]}, {"key": "Q2", "value": []}]


KINDS = {
    "text": "x",
    "int": "5",
    "float": "1.5",
    "bool": "true",
    "date": "2020-01-31",
    "list[text]": "a|b",
    "list[int]": "1|2",
}


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_jobs_that_differ_in_the_type_of_a_property(clean_store, home, tmp_path, first, second) -> None:
    """The later job's value counts; without it the earlier one's is back, as it was."""

    def bring(job: str, kind: str, ids: str, cells: list[str]) -> None:
        (tmp_path / f"{job}.csv").write_text("id,v\n" + "".join(f"{i},{c}\n" for i, c in zip(ids, cells, strict=True)))
        source = {"path": f"{job}.csv", "types": {"v": kind}}
        node = {"source": "s", "key": "id", "properties": {"v": "v"}}
        run(clean_store, home, Job.parse({"job": job, "sources": {"s": source}, "nodes": [node]}, tmp_path))

    def found() -> list:
        return [row["v"] for row in clean_store.read("MATCH (n:Entity) RETURN n.v AS v ORDER BY n.key")]

    bring("a", first, "12", [KINDS[first]] * 2)
    one = found()[0]
    bring("b", second, "13", [KINDS[second]] * 2)
    other = found()[2]
    told = [other, one, other]
    assert found() == told
    bring("c", second, "123", ["", "", KINDS[second]])
    assert found() == told
    bring("d", second, "123", ["", *[KINDS[second]] * 2])
    for job, left in (("d", told), ("c", told), ("b", [one, one])):
        number = clean_store.read("MATCH (b:Batch {job: $job}) RETURN b.number AS number", job=job)[0]["number"]
        revert(clean_store, home, str(number))
        assert [(type(each), each) for each in found()] == [(type(each), each) for each in left]


def test_times_and_numbers_that_nothing_holds_are_told_with_their_row(clean_store, home, tmp_path) -> None:
    cells = {"date": ["0000-01-01"], "datetime": ["0000-01-01T00:00:00", "0000-12-31T23:59:59Z"]}
    for kind, wrong in cells.items():
        for cell in wrong:
            (tmp_path / "a.csv").write_text(f"id,v\n1,{cell}\n")
            with pytest.raises(InputError, match=r"a\.csv:2: column v: is not between the years 1 and 9999"):
                _bring(clean_store, home, tmp_path, VALUE, path="a.csv", types={"v": kind})
    for value in ("1e400", "-Infinity", "123456789012345678901234567890.5", "[1e400]"):
        (tmp_path / "a.jsonl").write_text(f'{{"id": "1", "v": {value}}}\n')
        kind = "list[text]" if value.startswith("[") else "text"
        with pytest.raises(InputError, match=r"a\.jsonl:1: column v: is a float of 2\^53 or more"):
            _bring(clean_store, home, tmp_path, VALUE, path="a.jsonl", types={"v": kind})
    (tmp_path / "a.jsonl").write_text('{"id": "1", "v": "\\ud800"}\n')
    for kind in ("text", "date", "datetime", "int", "list[text]"):
        with pytest.raises(InputError, match=r"a\.jsonl:1: column v: holds half of a surrogate pair"):
            _bring(clean_store, home, tmp_path, VALUE, path="a.jsonl", types={"v": kind})
