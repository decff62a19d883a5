"""A NetworkX graph as two tables: nodes with their attributes, edges with theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cortigraph.graph.errors import InputError

__all__ = ["is_graph", "tables_of"]


def is_graph(value: object) -> bool:
    """Whether it is a NetworkX graph, of any kind."""
    return all(hasattr(value, name) for name in ("nodes", "edges", "is_multigraph", "is_directed"))


def tables_of(graph: Any) -> dict[str, dict[str, list[Any]]]:
    """The tables `nodes` (`key`, attributes) and `edges` (`start`, `end`, `key` in a multigraph, attributes).

    Args:
        graph: Any NetworkX graph. An edge of an undirected one comes once.

    Raises:
        InputError: Two nodes become the same text, or an attribute has the name of one of our columns.

    Example:
        >>> import networkx as nx
        >>> tables_of(nx.path_graph(2))["edges"]
        {'start': ['0'], 'end': ['1']}
    """
    _check_ids(graph.nodes)
    nodes = [({"key": str(node)}, attributes) for node, attributes in graph.nodes(data=True)]
    if graph.is_multigraph():
        edges = [
            ({"start": str(start), "end": str(end), "key": str(key)}, attributes)
            for start, end, key, attributes in graph.edges(keys=True, data=True)
        ]
        return {"nodes": _table(nodes, ("key",)), "edges": _table(edges, ("start", "end", "key"))}
    plain = [({"start": str(start), "end": str(end)}, more) for start, end, more in graph.edges(data=True)]
    return {"nodes": _table(nodes, ("key",)), "edges": _table(plain, ("start", "end"))}


def _table(rows: list[tuple[dict[str, str], Mapping[Any, Any]]], ours: tuple[str, ...]) -> dict[str, list[Any]]:
    names = dict.fromkeys(str(name) for _, attributes in rows for name in attributes)
    taken = [name for name in names if name in ours]
    if taken:
        raise InputError(f"the attribute {taken[0]!r} has the name of a column that every graph gives; rename it")
    table: dict[str, list[Any]] = {name: [row[name] for row, _ in rows] for name in ours}
    named = [{str(name): value for name, value in attributes.items()} for _, attributes in rows]
    return table | {name: [attributes.get(name) for attributes in named] for name in names}


def _check_ids(nodes: Iterable[Any]) -> None:
    counts = Counter(str(node) for node in nodes)
    double = [text for text, count in counts.items() if count > 1]
    if double:
        told = ", ".join(map(repr, double[:5]))
        raise InputError(f"several nodes become the same text: {told}; give them ids that differ as text")
