"""Results as tables, and the graph as NetworkX."""

from __future__ import annotations

import pytest

from cortigraph.graph.errors import CortigraphError
from cortigraph.graph.export import to_arrow, to_networkx, to_pandas
from cortigraph.graph.snapshot import snapshot
from cortigraph.graph.write import merge_edges, merge_nodes


@pytest.fixture
def filled(clean_store):
    merge_nodes(clean_store, "Entity", [{"key": k, "name": k.upper(), "n": i} for i, k in enumerate("abc")])
    merge_edges(clean_store, "T", "Entity", "Entity", [{"start": "a", "end": "b", "key": k} for k in ("1", "2")])
    merge_edges(clean_store, "U", "Entity", "Entity", [{"start": "c", "end": "c", "w": 0.5}])
    return clean_store


def test_rows_as_pandas_and_arrow(filled):
    query = "MATCH (n:Entity) WHERE n.n >= $least RETURN n.key AS key, n.n AS n ORDER BY key"
    frame = to_pandas(filled, query, least=1)
    assert frame.to_dict("list") == {"key": ["b", "c"], "n": [1, 2]}
    table = to_arrow(filled, query, least=1)
    assert table.to_pydict() == {"key": ["b", "c"], "n": [1, 2]}
    assert to_arrow(filled, query, least=9).column_names == ["key", "n"]


def test_a_query_that_writes_is_refused(filled):
    with pytest.raises(CortigraphError):
        to_arrow(filled, "CREATE (n:Entity {key: 'new'}) RETURN n.key AS key")
    assert to_arrow(filled, "MATCH (n:Entity) RETURN count(n) AS n").to_pydict() == {"n": [3]}


def test_networkx_keeps_parallel_edges_and_loops(filled, home):
    graph = to_networkx(snapshot(filled, home))
    assert set(graph) == {"a", "b", "c"}
    assert graph.nodes["b"]["name"] == "B"
    assert graph.number_of_edges("a", "b") == 2
    assert graph.number_of_edges("c", "c") == 1
    assert next(iter(graph.get_edge_data("c", "c").values()))["w"] == 0.5
