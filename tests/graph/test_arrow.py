"""Every kind of value as a column, and graphs whose names collide: what Arrow, pandas and NetworkX make of them."""

from __future__ import annotations

import datetime

import pytest

from cortigraph.graph.errors import QueryError
from cortigraph.graph.export import to_arrow, to_networkx, to_pandas
from cortigraph.graph.snapshot import snapshot
from cortigraph.graph.write import merge_edges, merge_nodes


def types_of(table):
    return {field.name: str(field.type) for field in table.schema}


def test_plain_values_get_their_arrow_types(store):
    table = to_arrow(store, "UNWIND [1, null] AS n RETURN n, 'a' AS text, 0.5 AS x, true AS yes, [1, 2] AS list")
    assert types_of(table) == {
        "n": "int64",
        "text": "string",
        "x": "double",
        "yes": "bool",
        "list": "list<item: int64>",
    }
    assert table.to_pylist()[1] == {"n": None, "text": "a", "x": 0.5, "yes": True, "list": [1, 2]}


def test_parameters_are_bound(store):
    assert to_arrow(store, "RETURN $query AS a, $store AS b", query="x'", store=2).to_pylist() == [{"a": "x'", "b": 2}]


def test_no_rows_keep_their_columns(clean_store):
    query = "MATCH (n:Area) RETURN n.key AS key, n AS node"
    assert to_arrow(clean_store, query).column_names == ["key", "node"]
    assert list(to_pandas(clean_store, query).columns) == ["key", "node"]
    assert len(to_pandas(clean_store, query)) == 0


def test_times_keep_their_meaning(store):
    query = """
    RETURN date('2026-01-02') AS day, localtime('03:04:05.000000006') AS time,
      localdatetime('2026-01-02T03:04:05.123456789') AS local, datetime('2026-01-02T03:04:05+02:00') AS instant,
      datetime('1960-01-01T00:00:00.5Z') AS early, [date('2026-01-02')] AS days, duration('P1M2DT3S') AS lasts
    """
    table = to_arrow(store, query)
    assert types_of(table) == {
        "day": "date32[day]",
        "time": "time64[ns]",
        "local": "timestamp[ns]",
        "instant": "timestamp[ns, tz=UTC]",
        "early": "timestamp[ns, tz=UTC]",
        "days": "list<item: date32[day]>",
        "lasts": "month_day_nano_interval",
    }
    row = table.to_pylist()[0]
    assert row["day"] == datetime.date(2026, 1, 2)
    assert (row["local"].nanosecond, row["local"].microsecond) == (789, 123456)
    assert row["instant"].isoformat() == "2026-01-02T01:04:05+00:00"
    assert row["early"].isoformat() == "1960-01-01T00:00:00.500000+00:00"
    assert tuple(row["lasts"]) == (1, 2, 3 * 10**9)


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("UNWIND [1, 'a', null] AS x RETURN x", [1, "a", None]),
        ("UNWIND [true, 1] AS x RETURN x", [True, 1]),
        ("UNWIND [9007199254740993, 0.5] AS x RETURN x", [9007199254740993, 0.5]),
        ("RETURN {a: [1, 'b']} AS x", [{"a": [1, "b"]}]),
        ("UNWIND [date('2026-01-02'), 1] AS x RETURN x", ["2026-01-02", 1]),
        ("UNWIND [datetime('2026-01-02T00:00Z'), localdatetime('2026-01-02T00:00')] AS x RETURN x", None),
        ("RETURN datetime('9999-01-01T00:00Z') AS x", ["9999-01-01T00:00:00.000000000+00:00"]),
        ("RETURN time('01:02:03+01:00') AS x", ["01:02:03.000000000+01:00"]),
        ("RETURN point({x: 1, y: 2}) AS x", [{"srid": 7203, "coordinates": [1.0, 2.0]}]),
        ("UNWIND [[1], 2] AS x RETURN x", [[1], 2]),
    ],
)
def test_what_no_column_can_hold_is_json_text_and_plain_in_pandas(store, query, values):
    field = to_arrow(store, query).schema.field("x")
    assert (str(field.type), field.metadata) == ("string", {b"cortigraph": b"json"})
    if values is not None:
        assert to_pandas(store, query)["x"].tolist() == values


def test_nodes_relationships_and_paths_are_plain(clean_store):
    merge_nodes(clean_store, "Area", [{"key": "a", "n": 1}, {"key": "b"}])
    merge_edges(clean_store, "NEAR", "Area", "Area", [{"start": "a", "end": "b", "weight": 2}])
    row = to_pandas(clean_store, "MATCH p = (n:Area)-[r]->(m) RETURN n, r, p").iloc[0]
    assert row["n"] == {"labels": ["Area"], "properties": {"key": "a", "n": 1}}
    assert row["r"]["type"] == "NEAR"
    assert row["r"]["properties"] == {"weight": 2}
    assert [node["properties"]["key"] for node in row["p"]["nodes"]] == ["a", "b"]


def test_whole_numbers_with_gaps_stay_whole_in_pandas(store):
    frame = to_pandas(store, "UNWIND [9007199254740993, null] AS n RETURN n, n IS NULL OR null AS gone")
    assert str(frame["n"].dtype) == "Int64"
    assert frame["n"][0] == 9007199254740993
    assert str(frame["gone"].dtype) == "boolean"


def test_a_query_that_writes_or_is_wrong_is_refused(clean_store):
    with pytest.raises(QueryError):
        to_arrow(clean_store, "CREATE (n:Area {key: 'a'}) RETURN n.key AS key")
    with pytest.raises(QueryError):
        to_pandas(clean_store, "RETRN 1")


# ---- networkx -----------------------------------------------------------------------------------------------------


def test_a_graph_with_parallel_relationships_and_loops(clean_store, tmp_path):
    merge_nodes(clean_store, "Entity", [{"key": "x", "size": 3}, {"key": "y"}])
    rows = [{"start": "x", "end": "y", "key": "1", "w": 0.5}, {"start": "x", "end": "y", "key": "2"}]
    merge_edges(clean_store, "KNOWS", "Entity", "Entity", rows)
    merge_edges(clean_store, "SEES", "Entity", "Entity", [{"start": "x", "end": "x"}, {"start": "x", "end": "y"}])
    clean_store.write("MATCH (x {key: 'x'}), (y {key: 'y'}) CREATE (x)-[:SEES]->(y), (x)-[:ALSO {key: '1'}]->(y)")
    graph = to_networkx(snapshot(clean_store, tmp_path))
    assert dict(graph.nodes(data=True)) == {
        "x": {"key": "x", "size": 3, "label": "Entity"},
        "y": {"key": "y", "label": "Entity"},
    }
    assert {key: data["type"] for key, data in graph["x"]["y"].items()} == {
        "1": "ALSO",
        "1#2": "KNOWS",
        "2": "KNOWS",
        ("SEES", 0): "SEES",
        ("SEES", 1): "SEES",
    }
    assert graph["x"]["y"]["1#2"] == {"key": "1", "w": 0.5, "type": "KNOWS"}
    assert list(graph["x"]["x"]) == [("SEES", 0)]


def test_keys_that_two_labels_share_are_told_apart(clean_store, tmp_path):
    merge_nodes(clean_store, "Area", [{"key": "a"}])
    merge_nodes(clean_store, "Task", [{"key": "a"}, {"key": "b"}])
    merge_edges(clean_store, "FOR", "Area", "Task", [{"start": "a", "end": "a"}])
    graph = to_networkx(snapshot(clean_store, tmp_path))
    assert sorted(graph.nodes) == [("Area", "a"), ("Task", "a"), ("Task", "b")]
    assert list(graph.edges()) == [(("Area", "a"), ("Task", "a"))]


def test_an_empty_store_is_an_empty_graph(clean_store, tmp_path):
    assert to_networkx(snapshot(clean_store, tmp_path)).number_of_nodes() == 0
