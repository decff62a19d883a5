"""The graph as other tools hold it: query results as Arrow and pandas tables, a snapshot as a NetworkX graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cortigraph.graph import _arrow

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    import pyarrow as pa

    from cortigraph.graph.snapshot import EdgeColumns, Snapshot
    from cortigraph.graph.store import Store

__all__ = ["to_arrow", "to_networkx", "to_pandas"]


def to_arrow(store: Store, query: str, /, **parameters: Any) -> pa.Table:
    """The rows of a query as an Arrow table.

    Args:
        store: Where to ask.
        query: Cypher that changes nothing.
        parameters: The values that it names with `$`.

    Returns:
        A column per returned name, also when there are no rows. Dates and times keep their nanoseconds, zoned ones as
        UTC. Nodes, relationships, paths, maps, points, and kinds that are mixed in one column are JSON text; the
        field's metadata is then `{b"cortigraph": b"json"}`.

    Raises:
        QueryError: The server refuses it.
        StoreError: The store can't be reached.

    Example:
        >>> to_arrow(store, "MATCH (r:Region) RETURN r.key AS key, r.parameters AS n")  # doctest: +SKIP
    """
    return _arrow.as_table(store.columns(query, **parameters))


def to_pandas(store: Store, query: str, /, **parameters: Any) -> pd.DataFrame:
    """The rows of a query as a pandas table.

    Args:
        store: Where to ask.
        query: Cypher that changes nothing.
        parameters: The values that it names with `$`.

    Returns:
        As `to_arrow`, where what is JSON text there is dicts, lists and plain values here. An integer column with gaps
        is of pandas' `Int64`, a truth-value column with gaps of `boolean`: no number turns into a float.

    Raises:
        QueryError: The server refuses it.
        StoreError: The store can't be reached.

    Example:
        >>> to_pandas(store, "MATCH (r:Run) RETURN r.key AS key, r.seed AS seed")  # doctest: +SKIP
    """
    import pandas as pd
    import pyarrow as pa

    table = to_arrow(store, query, **parameters)
    gaps = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    columns: dict[str, Any] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if _arrow.is_json(field):
            columns[field.name] = pd.Series(_arrow.from_json(column.to_pylist()), dtype=object)
        elif column.null_count and field.type in gaps:
            columns[field.name] = pd.Series(column.to_pylist(), dtype=gaps[field.type])
        else:
            columns[field.name] = column.to_pandas()
    return pd.DataFrame(columns)


def to_networkx(snapshot: Snapshot) -> nx.MultiDiGraph:
    """A snapshot as a NetworkX graph.

    Args:
        snapshot: What to convert.

    Returns:
        A node's name is its key where no two labels share one, else `(label, key)` for all of them. Its attributes are
        `label`, under which the snapshot keeps it, `labels`, where it has several (a property of that name goes
        before), and its properties, vectors as arrays. A relationship's key is that of its property `key`, made `key#2`
        and so on where that is taken between the same two nodes, else its number among those of its type there; its
        attributes are `type` and its properties.

    Example:
        >>> to_networkx(snapshot(store, home)).number_of_edges()  # doctest: +SKIP
    """
    import networkx as nx

    graph = nx.MultiDiGraph()
    names = _names(snapshot)
    for label, nodes in snapshot.nodes.items():
        for name, properties, labels in zip(names[label], nodes.rows(), nodes.labels, strict=True):
            several = {"labels": list(labels)} if len(labels) > 1 else {}
            graph.add_nodes_from([(name, {**several, **properties, "label": label})])
    for (start, kind, end), edges in snapshot.edges.items():
        for row, column, properties in _edges(edges):
            source, target = names[start][row], names[end][column]
            key = _free(graph, source, target, properties.get("key"), kind)
            graph.add_edge(source, target, key=key)
            graph.edges[source, target, key].update({**properties, "type": kind})
    return graph


def _names(snapshot: Snapshot) -> dict[str, list[Any]]:
    keys = {label: list(nodes.keys) for label, nodes in snapshot.nodes.items()}
    if len(set().union(*keys.values())) == sum(map(len, keys.values())):
        return dict(keys)
    return {label: [(label, key) for key in own] for label, own in keys.items()}


def _edges(edges: EdgeColumns) -> Iterator[tuple[int, int, dict[str, Any]]]:
    starts, ends = edges.index.tolist()
    return zip(starts, ends, edges.rows(), strict=True)


def _free(graph: nx.MultiDiGraph, source: Any, target: Any, key: Any, kind: str) -> Any:
    """A name for a relationship that none between these two nodes has."""
    taken = graph.get_edge_data(source, target) or {}
    wanted = kind if key is None else key
    if key is not None and wanted not in taken:
        return wanted
    number = 0 if key is None else 2
    while (found := (kind, number) if key is None else f"{key}#{number}") in taken:
        number += 1
    return found
