from __future__ import annotations

import datetime
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph import _files, _reading, schema
from cortigraph.graph._reading import chosen_label
from cortigraph.graph.errors import InputError, StoreError, UnknownKeyError
from cortigraph.graph.keys import Keys
from cortigraph.graph.snapshot import Snapshot, snapshot
from cortigraph.graph.store import Store
from cortigraph.graph.sums import SUMS, DamagedError
from cortigraph.graph.write import merge_edges, merge_nodes


def edges_of(graph: Snapshot) -> list[tuple[str, str, str]]:
    """All relationships by the keys of their ends, sorted."""
    return sorted(
        (graph.nodes[start].keys[a], kind, graph.nodes[end].keys[b])
        for (start, kind, end), edges in graph.edges.items()
        for a, b in edges.index.T.tolist()
    )


def stored_edges(store: Store) -> list[tuple[str, str, str]]:
    found = store.columns("MATCH (a)-[r]->(b) RETURN a.key AS a, type(r) AS t, b.key AS b")
    return sorted(zip(found["a"], found["t"], found["b"], strict=True))


@pytest.fixture
def small(clean_store: Store) -> Store:
    """Two labels, parallel relationships, a self-loop, a node without neighbours."""
    merge_nodes(clean_store, "Area", [{"key": "v", "name": "vision"}, {"key": "a"}])
    merge_nodes(clean_store, "Entity", [{"key": "x", "size": 3}, {"key": "y"}, {"key": "z", "size": 1}])
    merge_edges(clean_store, "IN", "Entity", "Area", [{"start": "x", "end": "v"}, {"start": "y", "end": "a"}])
    knows = [
        {"start": "x", "end": "y", "key": "1", "weight": 0.5},
        {"start": "x", "end": "y", "key": "2", "weight": 0.25},
        {"start": "x", "end": "x", "key": "3"},
    ]
    merge_edges(clean_store, "KNOWS", "Entity", "Entity", knows)
    return clean_store


def test_the_graph_comes_as_columns(small, tmp_path):
    graph = snapshot(small, tmp_path)
    assert list(graph.nodes["Entity"].keys) == ["x", "y", "z"]
    assert graph.nodes["Entity"].properties.to_pydict() == {"size": [3, None, 1]}
    assert graph.edges["Entity", "KNOWS", "Entity"].index.tolist() == [[0, 0, 0], [0, 1, 1]]
    assert graph.edges["Entity", "IN", "Area"].index.tolist() == [[1, 0], [0, 1]]
    assert graph.edges["Entity", "IN", "Area"].properties is None
    weights = [row.get("weight") for row in graph.edges["Entity", "KNOWS", "Entity"].rows()]
    assert (weights[0], sorted(weights[1:])) == (None, [0.25, 0.5])
    assert (graph.node_count, graph.edge_count) == (5, 5)
    assert edges_of(graph) == stored_edges(small)


def test_properties_stay_with_their_relationship(small, tmp_path):
    rows = [{"start": "xyz"[i % 3], "end": "xyz"[i // 3], "number": i} for i in range(9)]
    merge_edges(small, "PAIR", "Entity", "Entity", rows)
    graph = snapshot(small, tmp_path)
    edges = graph.edges["Entity", "PAIR", "Entity"]
    keys = graph.nodes["Entity"].keys
    pairs = [(keys[start], keys[end]) for start, end in edges.index.T.tolist()]
    found = dict(zip(pairs, (row["number"] for row in edges.rows()), strict=True))
    assert found == {(row["start"], row["end"]): row["number"] for row in rows}


def test_an_empty_store_is_an_empty_snapshot(clean_store, tmp_path):
    graph = snapshot(clean_store, tmp_path)
    assert (dict(graph.nodes), dict(graph.edges)) == ({}, {})
    assert snapshot(clean_store, tmp_path).node_count == 0


def test_nodes_without_relationships(clean_store, tmp_path):
    merge_nodes(clean_store, "Area", [{"key": "a"}])
    graph = snapshot(clean_store, tmp_path)
    assert list(graph.nodes["Area"].keys) == ["a"]
    assert graph.nodes["Area"].properties.num_columns == 0
    assert list(graph.nodes["Area"].rows()) == [{"key": "a"}]
    assert not graph.edges


def test_embeddings_are_arrays_and_marked_where_missing(clean_store, tmp_path):
    vector = np.linspace(0, 1, schema.TEXT_DIMENSION)
    merge_nodes(clean_store, "Entity", [{"key": "a"}, {"key": "b", "embedding": vector}])
    nodes = snapshot(clean_store, tmp_path).nodes["Entity"]
    assert nodes.vectors["embedding"].dtype == np.float32
    assert np.allclose(nodes.vectors["embedding"], [np.zeros_like(vector), vector])
    assert nodes.has_vector["embedding"].tolist() == [False, True]
    assert "embedding" not in nodes.properties.column_names


def test_vectors_that_differ_in_length_stay_a_column(clean_store, tmp_path):
    clean_store.write("CREATE (:Thing {key: 'a', embedding: [1.0]}), (:Thing {key: 'b', embedding: [1.0, 2.0]})")
    nodes = snapshot(clean_store, tmp_path).nodes["Thing"]
    assert nodes.vector_names == ()
    assert nodes.properties["embedding"].to_pylist() == [[1.0], [1.0, 2.0]]


def test_values_of_every_kind(clean_store, tmp_path):
    clean_store.write(
        "CREATE (:T {key: 'a', on: date('2026-01-02'), at: datetime('2026-01-02T03:04:05.123456789+01:00'), "
        "mixed: 1, list: ['x'], place: point({x: 1, y: 2})}), (:T {key: 'b', mixed: 'one', flag: true})"
    )
    first, second = snapshot(clean_store, tmp_path).nodes["T"].rows()
    assert first["on"] == datetime.date(2026, 1, 2)
    assert first["at"].isoformat() == "2026-01-02T02:04:05.123456789+00:00"
    assert (first["mixed"], second["mixed"]) == (1, "one")
    assert first["list"] == ["x"]
    assert first["place"]["coordinates"] == [1.0, 2.0]
    assert second == {"key": "b", "mixed": "one", "flag": True}


def test_a_node_of_several_labels_is_kept_under_one(clean_store, tmp_path):
    clean_store.write("CREATE (:Person:Entity {key: 'p'})-[:LIKES]->(:B:A {key: 'q'})")
    graph = snapshot(clean_store, tmp_path)
    assert {label: list(nodes.keys) for label, nodes in graph.nodes.items()} == {"A": ["q"], "Entity": ["p"]}
    assert list(graph.edges) == [("Entity", "LIKES", "A")]


def test_the_label_that_the_schema_knows_wins():
    assert chosen_label(["Aardvark", "Entity"]) == "Entity"
    assert chosen_label(["Zebra", "Aardvark"]) == "Aardvark"
    assert chosen_label([]) == ""


def test_labels_and_types_choose(small, tmp_path):
    graph = snapshot(small, tmp_path, labels=["Entity"])
    assert list(graph.nodes) == ["Entity"]
    assert list(graph.edges) == [("Entity", "KNOWS", "Entity")]
    graph = snapshot(small, tmp_path, types=["IN"])
    assert list(graph.edges) == [("Entity", "IN", "Area")]
    assert snapshot(small, tmp_path, types=[]).edge_count == 0
    assert snapshot(small, tmp_path, labels=["Run"]).node_count == 0
    with pytest.raises(UnknownKeyError, match="did you mean Entity"):
        snapshot(small, tmp_path, labels=["Entitty"])
    assert snapshot(small, tmp_path, types=["x`]->() DETACH DELETE a //"]).edge_count == 0
    with pytest.raises(InputError, match="list of names"):
        snapshot(small, tmp_path, labels="Entity")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), unique=True))
def test_any_keys_and_types_come_back(clean_store, tmp_path, keys):
    clean_store.write("MATCH (n:Entity) DETACH DELETE n")
    merge_nodes(clean_store, "Entity", [{"key": key} for key in keys])
    named = [key for key in keys if key.strip()]
    for kind in named:
        merge_edges(clean_store, kind, "Entity", "Entity", [{"start": kind, "end": keys[0]}])
    graph = snapshot(clean_store, tmp_path)
    assert edges_of(graph) == stored_edges(clean_store)
    if keys:
        found = graph.nodes["Entity"].keys
        assert list(found) == sorted(keys)
        assert [found[found.row(key)] for key in keys] == keys


def test_many_parts_give_what_one_gives(small, tmp_path, monkeypatch):
    whole = snapshot(small, tmp_path / "whole")
    monkeypatch.setattr(_reading, "EDGES_PER_PART", 2)
    monkeypatch.setattr(_reading, "NODES_PER_PART", 1)
    scanned = snapshot(small, tmp_path / "scanned")
    monkeypatch.setattr(_reading, "SCANNED_EDGES", 0)
    walked = snapshot(small, tmp_path / "walked")
    for other in (scanned, walked):
        assert {kind: edges.index.tolist() for kind, edges in other.edges.items()} == {
            kind: edges.index.tolist() for kind, edges in whole.edges.items()
        }
        assert [list(nodes.rows()) for nodes in other.nodes.values()] == [list(n.rows()) for n in whole.nodes.values()]


def test_progress_is_told(small, tmp_path):
    told = []
    snapshot(small, tmp_path, progress=lambda done, total, what: told.append((done, total, what)))
    assert told[-1] == (5, 5, "relationships")
    assert (5, 5, "nodes") in told


# ---- on disk ------------------------------------------------------------------------------------------------------


def test_the_same_version_is_opened_without_reading(small, home, monkeypatch):
    first = snapshot(small, home)
    monkeypatch.setattr(_reading, "read_nodes", lambda *_: pytest.fail("the graph was read"))
    again = snapshot(small, home)
    assert again.folder == first.folder
    assert again.folder.is_relative_to(home.cache / "snapshots")
    assert edges_of(again) == edges_of(first)


def test_a_change_makes_a_new_one_and_the_old_stays_as_it_was(small, tmp_path):
    before = snapshot(small, tmp_path)
    small.write("MATCH (:Entity {key: 'x'})-[r:KNOWS]->() DELETE r")
    after = snapshot(small, tmp_path)
    assert (before.edge_count, after.edge_count) == (5, 2)
    assert before.version != after.version


@pytest.mark.parametrize("name", ["edges.npy", "n0.arrow", _files.MANIFEST])
@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_what_is_damaged_is_read_again(small, tmp_path, name, damage):
    graph = snapshot(small, tmp_path)
    path = graph.folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    again = snapshot(small, tmp_path)
    assert edges_of(again) == stored_edges(small)
    assert [path.name for path in tmp_path.iterdir()] == [graph.folder.name]


def test_a_byte_that_changed_is_told_and_mended(small, tmp_path, monkeypatch, caplog):
    random = np.random.default_rng(0)
    for name in sorted(path.name for path in snapshot(small, tmp_path).folder.iterdir()):
        _flip(snapshot(small, tmp_path).folder / name, random)
        caplog.clear()
        again = snapshot(small, tmp_path)
        assert "is damaged: expected sha256" in caplog.text
        assert edges_of(again) == stored_edges(small)
    monkeypatch.setattr(_files, "_SMALL", -1)  # large files are looked at when they are first read
    held = snapshot(small, tmp_path)
    _flip(held.folder / "n0.arrow", random)
    with pytest.raises(DamagedError, match="is damaged"):
        _ = next(iter(held.nodes.values())).keys
    again = snapshot(small, tmp_path)
    assert edges_of(again) == stored_edges(small)
    (again.folder / SUMS).unlink()  # as an earlier version wrote it
    assert edges_of(snapshot(small, tmp_path)) == stored_edges(small)


def _flip(path, random):
    content = bytearray(path.read_bytes())
    content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def test_only_the_last_few_are_kept(small, tmp_path):
    first = snapshot(small, tmp_path)
    for number in range(_files.KEPT):
        merge_nodes(small, "Area", [{"key": f"new-{number}"}])
        snapshot(small, tmp_path)
    assert len(list(tmp_path.iterdir())) == _files.KEPT
    assert not first.folder.exists()
    with pytest.raises(StoreError, match="take a new one"):
        _ = first.nodes["Area"].keys


def test_a_folder_that_can_not_be_written(small, tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="No space left"):
        snapshot(small, tmp_path)


# ---- one version --------------------------------------------------------------------------------------------------


def test_a_write_during_the_reading_makes_it_read_again(small, tmp_path, monkeypatch):
    read, calls = _reading.read_edges, []

    def disturbed(*arguments):
        if not calls:
            merge_nodes(small, "Entity", [{"key": "late"}])
            merge_edges(small, "KNOWS", "Entity", "Entity", [{"start": "late", "end": "x", "key": "4"}])
        calls.append(1)
        return read(*arguments)

    monkeypatch.setattr(_reading, "read_edges", disturbed)
    graph = snapshot(small, tmp_path)
    assert len(calls) == 2
    assert edges_of(graph) == stored_edges(small)
    assert "late" in graph.nodes["Entity"].keys


def test_a_store_that_never_rests_is_given_up(small, tmp_path, monkeypatch):
    read = _reading.read_edges

    def disturbed(*arguments):
        small.write("MATCH (n:Area {key: 'a'}) SET n.count = coalesce(n.count, 0) + 1")
        return read(*arguments)

    monkeypatch.setattr(_reading, "read_edges", disturbed)
    with pytest.raises(StoreError, match="when nobody writes"):
        snapshot(small, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_real_writer_beside_it_never_shows_half_a_change(clean_store, tmp_path):
    """The writer adds a node and the relationship to it in one transaction: a snapshot has both or neither."""
    merge_nodes(clean_store, "Entity", [{"key": "hub"}])
    stop = threading.Event()

    def write() -> None:
        for number in range(1000):
            clean_store.write("MATCH (h:Entity {key: 'hub'}) CREATE (:Entity {key: $key})-[:AT]->(h)", key=f"k{number}")
            if stop.wait(0.5):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            graph = snapshot(clean_store, tmp_path)
            assert graph.edge_count == graph.node_count - 1
    finally:
        stop.set()
        writer.join()


def test_a_key_that_names_two_nodes_is_refused(clean_store, tmp_path):
    clean_store.write("CREATE (:Loose {key: 'a'}), (:Loose {key: 'a'}), (:Area {key: 'b'})")
    with pytest.raises(StoreError, match="two nodes of label 'Loose' have the key 'a'"):
        snapshot(clean_store, tmp_path)
    assert list(snapshot(clean_store, tmp_path, labels=["Area"]).nodes) == ["Area"]


def test_a_node_without_key_is_named_by_the_server(clean_store, tmp_path):
    clean_store.write("CREATE (:Loose)-[:TO]->(:Loose)")
    graph = snapshot(clean_store, tmp_path)
    assert len(set(graph.nodes["Loose"].keys)) == 2
    assert graph.edge_count == 1


# ---- keys ---------------------------------------------------------------------------------------------------------


def test_keys_and_rows():
    import pyarrow as pa

    keys = Keys(pa.array(["a", "b", "c"]), "Area")
    assert (keys[1], keys.row("b"), "b" in keys, "z" in keys) == ("b", 1, True, False)
    assert keys.rows(["c", "a"]).tolist() == [2, 0]
    assert list(keys[1:]) == ["b", "c"]
    with pytest.raises(UnknownKeyError, match="no Area 'bb' in this snapshot; did you mean b"):
        keys.row("bb")
