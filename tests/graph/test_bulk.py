"""First loads: the same graph as the ordinary way, whatever the text; and swaps that are interrupted."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from cortigraph.graph import _swap, bulk, server
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store
from cortigraph.graph.write import merge_edges, merge_nodes

TEXTS = [
    "plain", "", " ", '"quoted"', "it's", "back\\slash", "a\\", '\\"', "new\nline",
    "carriage\r\nreturn", "tab\t", ",;|", "`tick`",
    "🙂 four bytes", "عربي ‏", "e\u0301", "\x01\x1b control", "NULL", "null", "1",
    "1.5", "true", "[1]", "{}", "a" * 5000, "'", '""',
]  # fmt: skip


def rows():
    return [
        {
            "key": f"k{i} {text[:20]!r}",
            "name": text,
            "number": i - 3 if i % 3 else None,
            "share": i / 7,
            "true": bool(i % 2),
            "on": datetime.date(2024, 2, 1 + i),
            "at": datetime.datetime(2024, 2, 1, 3, 4, i, 123456),
            "tags": [text, "x"] if text and "\x1f" not in text else None,
            "sizes": [i, i + 1],
            "batches": [1],
        }
        for i, text in enumerate(TEXTS)
    ]


def content(store):
    nodes = store.read("MATCH (n:Entity) RETURN labels(n) AS l, n {.*} AS n ORDER BY n.key")
    edges = store.read("MATCH (a)-[r]->(b) RETURN a.key AS a, type(r) AS t, b.key AS b, r {.*} AS r ORDER BY a, t, b")
    return nodes, edges


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A store with nothing in it, until the last test that takes it."""
    home = Home(tmp_path_factory.mktemp("empty"))
    with open_store(home) as store:
        yield store
    server.stop(home)


def test_what_is_wrong_leaves_the_store_as_it_was(empty):
    one = pa.table({"key": ["a", "a"]})
    with pytest.raises(InputError, match="there twice"):
        bulk.first_load(empty, [bulk.Nodes(("Entity",), one)], [])
    edge = bulk.Edges("T", "Entity", "Entity", pa.table({"start": ["a"], "end": ["zz"]}))
    with pytest.raises(InputError, match="'zz', which is not among the nodes"):
        bulk.first_load(empty, [bulk.Nodes(("Entity",), pa.table({"key": ["a"]}))], [edge])
    assert bulk.is_empty(empty)
    assert not list(empty.home.database.glob("incoming-*"))


def test_a_tool_that_fails_leaves_the_store_as_it_was(empty, monkeypatch):
    def broken(*_, **__):
        raise StoreError("the import tool failed")

    monkeypatch.setattr(bulk._import, "run", broken)
    with pytest.raises(StoreError, match="import tool failed"):
        bulk.first_load(empty, [bulk.Nodes(("Entity",), pa.table({"key": ["a"]}))], [])
    assert bulk.is_empty(empty)
    assert not list(empty.home.database.glob("incoming-*"))


def test_the_same_graph_as_by_merging(clean_store, empty):
    told = rows()
    edges = [{"start": told[i]["key"], "end": told[-i]["key"], "text": TEXTS[i], "w": i / 3} for i in range(1, 20)]
    merge_nodes(clean_store, "Entity", told)
    merge_edges(clean_store, "KNOWS/x", "Entity", "Entity", edges)
    nodes = bulk.Nodes(("Entity",), pa.Table.from_pylist(told))
    links = bulk.Edges("KNOWS/x", "Entity", "Entity", pa.Table.from_pylist(edges))
    assert bulk.suits([nodes], [links]) is None
    assert bulk.is_empty(empty)
    loaded = bulk.first_load(empty, [nodes], [links])
    assert (loaded.nodes, loaded.relationships) == (len(told), 19)
    assert content(empty) == content(clean_store)
    assert not bulk.is_empty(empty)
    # Keys are unique from here on, and the server answers ordinary writes.
    merge_nodes(empty, "Entity", [{"key": told[0]["key"], "name": "again"}])
    assert empty.read("MATCH (n:Entity) RETURN count(n) AS n") == [{"n": len(told)}]
    with pytest.raises(InputError, match="nothing in it"):
        bulk.first_load(empty, [nodes], [])


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_swap_goes_on_wherever_it_was_cut_off(tmp_path, moved):
    database = tmp_path
    for part in _swap._PARTS:
        (database / "neo4j" / "data" / part).mkdir(parents=True)
        (database / "neo4j" / "data" / part / "old").touch()
    incoming = _swap.prepare(database)
    for part in _swap._PARTS:
        (incoming / "data" / part).mkdir(parents=True)
        (incoming / "data" / part / "new").touch()
    _swap.propose(database, incoming)
    for part in _swap._PARTS[:moved]:  # what a killed server had done already
        target = database / "neo4j" / "data" / part
        (target / "old").unlink()
        target.rmdir()
        (incoming / "data" / part).rename(target)
    assert _swap.complete(database)
    for part in _swap._PARTS:
        assert [path.name for path in (database / "neo4j" / "data" / part).iterdir()] == ["new"]
    assert not _swap.pending(database)
    assert not incoming.exists()
    assert not _swap.complete(database)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"x": [float("inf")]}, "not finite"),
        ({"x": [b"bytes"]}, "binary"),
        ({"x": [[""]]}, "empty text"),
        ({"x": pa.array([[]], pa.list_(pa.string()))}, "empty list"),
        ({"a:b": ["x"]}, "import tool"),
        ({"x": ["\x00"]}, "NUL"),
    ],
)
def test_what_can_not_go_this_way_is_known_before(values, said):
    assert said in bulk.suits([bulk.Nodes(("Entity",), pa.table({"key": ["a"], **values}))], [])
