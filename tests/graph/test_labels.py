"""A user's labels: chosen by, kept under and told; and never taken for what the system calls its own."""

from __future__ import annotations

import pytest

from cortigraph.graph._reading import chosen_label, group_of
from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.export import to_networkx
from cortigraph.graph.find import meaning, named, text
from cortigraph.graph.pyg import pyg_stores, to_pyg
from cortigraph.graph.schema import TEXT_DIMENSION, Label
from cortigraph.graph.snapshot import snapshot


def axis(number: int) -> list[float]:
    return [float(place == number) for place in range(TEXT_DIMENSION)]


@pytest.fixture
def world(clean_store):
    """Two continents, one of which is an island too; a country; a thing without a label; a batch, and one so called."""
    clean_store.write(
        "CREATE (e:Entity:Continent {key: 'eu', name: 'Europe', embedding: $a}), "
        "(au:Continent:Entity:Island {key: 'au', name: 'Australia', embedding: $b}), "
        "(f:Entity:Country {key: 'fr', name: 'France in Europe', embedding: $c}), "
        "(t:Entity {key: 'thing', name: 'Thing'}), (x:Entity:Batch {key: 'tray', name: 'Tray'}), "
        "(b:Batch {key: 'job/1', number: 1})-[:FROM]->(:Source {key: 's'}), "
        "(f)-[:FROM]->(e), (f)-[:NEAR]->(t)",
        a=axis(0),
        b=axis(1),
        c=axis(2),
    )
    return clean_store


def _keys(graph):
    return {label: list(nodes.keys) for label, nodes in graph.nodes.items()}


def test_labels_choose_nodes_and_name_them(world, tmp_path):
    graph = snapshot(world, tmp_path, labels=["Continent"])
    assert _keys(graph) == {"Continent": ["au", "eu"]}
    assert graph.nodes["Continent"].labels == [("Continent", "Entity", "Island"), ("Continent", "Entity")]
    assert _keys(snapshot(world, tmp_path, labels=["Entity", "Island", "Continent"])) == {
        "Entity": ["fr", "thing", "tray"],
        "Island": ["au"],
        "Continent": ["eu"],
    }
    assert list(snapshot(world, tmp_path, labels=["Country", "Continent"]).edges) == [("Country", "FROM", "Continent")]


def test_all_is_kept_by_kind_unless_each_label_is_wanted(world, tmp_path):
    kinds = {"Batch": ["job/1"], "Entity": ["au", "eu", "fr", "thing", "tray"], "Source": ["s"]}
    assert _keys(snapshot(world, tmp_path)) == kinds
    assert _keys(snapshot(world, tmp_path, labels=["Entity"])) == {"Entity": kinds["Entity"]}
    assert _keys(snapshot(world, tmp_path, labels=["Batch"])) == {"Batch": ["job/1"]}
    each = _keys(snapshot(world, tmp_path, each=True))
    assert each == {**kinds, "Entity": ["thing", "tray"], "Continent": ["au", "eu"], "Country": ["fr"]}
    assert _keys(snapshot(world, tmp_path, labels=["Continent"], each=False)) == {"Entity": ["au", "eu"]}


def test_a_label_that_no_node_has_is_told(world, tmp_path):
    with pytest.raises(UnknownKeyError, match="did you mean Continent"):
        snapshot(world, tmp_path, labels=["Continant"])
    assert snapshot(world, tmp_path, labels=["Continant"], lenient=True).node_count == 0
    assert snapshot(world, tmp_path, labels=["Run"]).node_count == 0
    with pytest.raises(UnknownKeyError, match="did you mean Continent"):
        text(world, "Europe", labels=["Continant"])


def test_exports_have_a_type_for_each_label(world, tmp_path):
    graph = snapshot(world, tmp_path, each=True)
    data = to_pyg(graph)
    assert {"Continent", "Country", "Entity"} <= set(data.node_types)
    assert ("Country", "FROM", "Continent") in data.edge_types
    assert list(data["Continent"].label_names) == ["Island"]
    assert data["Continent"].labels.tolist() == [[True], [False]]
    assert "labels" not in data["Country"]
    features, _ = pyg_stores(graph)
    assert features["Continent", "labels", None].tolist() == [[True], [False]]
    nodes = to_networkx(graph).nodes
    assert (nodes["au"]["label"], nodes["au"]["labels"]) == ("Continent", ["Continent", "Entity", "Island"])
    assert (nodes["thing"]["label"], "labels" in nodes["thing"]) == ("Entity", False)
    assert set(to_pyg(snapshot(world, tmp_path, labels=["Entity"])).node_types) == {"Entity"}


def test_searches_look_among_a_users_labels(world):
    assert [hit.key for hit in text(world, "Europe")] == ["eu", "fr"]
    hit = text(world, "Europe", labels=["Country"])[0]
    assert (hit.key, hit.label, hit.labels) == ("fr", "Entity", ("Country", "Entity"))
    assert [hit.key for hit in text(world, "Europe Thing", labels=["Country", "Continent"])] == ["eu", "fr"]
    assert [hit.key for hit in named(world, "eu", labels=["Continent"])] == ["eu"]
    assert named(world, "eu", labels=["Country"]) == []
    assert [hit.key for hit in meaning(world, axis(2), labels=["Continent"])] != []
    assert meaning(world, axis(2), labels=["Continent", "Country"])[0].key == "fr"
    with pytest.raises(InputError, match="Batch can't be searched"):
        text(world, "Tray", labels=["Batch"])


def test_of_a_common_label_the_index_gives_the_same(world, monkeypatch):
    one_by_one = meaning(world, axis(1), labels=["Continent"])
    monkeypatch.setattr("cortigraph.graph.find.FEW_NODES", 0)
    by_index = meaning(world, axis(1), labels=["Continent"])
    assert [hit.key for hit in by_index] == [hit.key for hit in one_by_one] == ["au", "eu"]
    assert [hit.score for hit in by_index] == pytest.approx([hit.score for hit in one_by_one], abs=1e-4)


@pytest.mark.parametrize(
    "words", [" ".join(f"w{number}" for number in range(1100)), "-".join("ab" * 900), "中文" * 900]
)
def test_a_long_text_is_searched_by_its_beginning(world, words):
    assert [hit.key for hit in text(world, f"Australia {words}")][:1] == ["au"]


def test_an_entity_is_one_whatever_else_it_is_called():
    for label in Label:
        assert chosen_label([label, "Entity", "A"]) == "Entity"
        assert group_of(["Entity", label], [label], True) in (None, "Entity")
    assert group_of(["Entity", "B", "A"], None, True) == "A"
    assert group_of(["Entity", "B", "A"], ["Entity", "B", "A"], True) == "B"
    assert group_of(["Entity", "B", "A"], ["A"], False) == "Entity"
