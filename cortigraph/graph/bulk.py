"""First load: a large graph into an empty store, through Neo4j's own import tool.

It is made beside the running store and takes its place at once, or not at all: whatever is killed when, the store is
empty as before or holds all of it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph import _import, _swap, cypher, schema, server
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.threads import threads

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.graph.store import Store

__all__ = ["Edges", "Loaded", "Nodes", "first_load", "is_empty", "suits"]

Progress = Callable[[str, int, int], None]
_SWAP_SECONDS = 120.0
_THREADS = 2


@dataclass(frozen=True)
class Nodes:
    """Nodes with the same labels.

    Args:
        labels: The first is the one in which keys are unique.
        table: `key`, and one column a property; null where a node has not got it.
    """

    labels: tuple[str, ...]
    table: pa.Table


@dataclass(frozen=True)
class Edges:
    """Relationships of one type between nodes of two labels.

    Args:
        type: Of all of them.
        start_label: First label of the nodes that they leave.
        end_label: First label of the nodes that they reach.
        table: `start` and `end`, keys of nodes, and one column a property.
    """

    type: str
    start_label: str
    end_label: str
    table: pa.Table


@dataclass(frozen=True)
class Loaded:
    """What the server says that it holds."""

    nodes: int
    relationships: int


def is_empty(store: Store) -> bool:
    """Whether there is nothing but what the store keeps about itself: no constraint of somebody's either, nor index."""
    return not store.read(cypher.ANY_NODE) and not schema.foreign(store)


def suits(nodes: Sequence[Nodes], edges: Sequence[Edges]) -> str | None:
    """Why these values can't go this way and come out as they went in; None if they can.

    Args:
        nodes: Everything that is to be loaded.
        edges: The same.

    Example:
        >>> import pyarrow as pa
        >>> suits([Nodes(("A",), pa.table({"key": ["a"], "blob": [b"x"]}))], [])
        "property 'blob' is of type binary"
    """
    for each in _all(nodes, edges):
        names = each.labels if isinstance(each, Nodes) else (each.type,)
        for name in (*names, *each.table.column_names):
            if not _import.PLAIN_NAME.fullmatch(name):
                return f"the name {name!r} means something to the import tool"
        for column in each.table.column_names:
            reason = _unsuited(column, each.table[column])
            if reason is not None:
                return reason
    return None


def first_load(
    store: Store,
    nodes: Sequence[Nodes],
    edges: Sequence[Edges],
    progress: Progress | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Loaded:
    """Loads a graph into an empty embedded store.

    Args:
        store: Embedded and empty; open stores of other processes connect anew by themselves.
        nodes: Each key once in its first label.
        edges: Their ends are among the nodes.
        progress: Told of each stage.
        meanwhile: Done while the tool works; if it fails, the store stays empty.

    Returns:
        What the server holds afterwards, which is what was sent.

    Raises:
        InputError: The store is remote or not empty, a key is there twice, or an end is missing.
        StoreError: The tool failed, or the server holds another number than was sent.
    """
    if store.home is None or not is_empty(store):
        raise InputError("a first load needs an embedded store with nothing in it; ingest in the ordinary way")
    tell = progress or (lambda what, done, whole: None)
    numbers, rows = _numbered(nodes), sum(len(each.table) for each in _all(nodes, edges))
    incoming = _swap.prepare(store.home.database)
    try:
        with threads(1) as beside:
            tell("writing files for the import tool", 0, rows)
            node_files, edge_files = _write(incoming, nodes, edges, numbers)
            tell("importing", 0, rows)
            other = beside.submit(meanwhile or bool)
            _import.run(incoming, node_files, edge_files, lines=_has_lines(nodes, edges))
            other.result()
        for path in (*node_files, *(path for _, path in edge_files)):
            path.unlink()
        _swap.propose(store.home.database, incoming)
    except BaseException:
        _swap.clear(store.home.database)
        raise
    tell("opening the imported store", 0, rows)
    _take_over(store)
    tell("building indexes", 0, rows)
    schema.migrate(store, wait=False)  # keys are unique from here on; words and vectors are indexed in the background
    tell("building indexes", rows, rows)
    return _counted(store, nodes, edges)


def _all(nodes: Sequence[Nodes], edges: Sequence[Edges]) -> list[Nodes | Edges]:
    return [*nodes, *edges]


def _counted(store: Store, nodes: Sequence[Nodes], edges: Sequence[Edges]) -> Loaded:
    found = store.read(cypher.COUNT_LOADED)[0]
    sent = Loaded(sum(len(each.table) for each in nodes), sum(len(each.table) for each in edges))
    loaded = Loaded(int(found["nodes"]), int(found["relationships"]))
    if loaded != sent:
        raise StoreError(
            f"sent {sent} to the import tool, the server holds {loaded}; restore a backup, or start afresh"
        )
    return loaded


def _numbered(nodes: Sequence[Nodes]) -> dict[str, tuple[pa.Array, int]]:
    """First label → its keys, in order, and the number of the first of them."""
    import pyarrow as pa

    keys: dict[str, list[pa.ChunkedArray]] = {}
    for each in nodes:
        keys.setdefault(each.labels[0], []).append(each.table["key"])
    found, first = {}, 0
    for label, parts in keys.items():
        joined = pa.concat_arrays([chunk.cast(pa.string()) for part in parts for chunk in part.chunks])
        if len(joined.unique()) != len(joined):
            raise InputError(f"a key is there twice among the nodes {label}; each names one node")
        found[label] = (joined, first)
        first += len(joined)
    return found


def _write(
    incoming: Path, nodes: Sequence[Nodes], edges: Sequence[Edges], numbers: Mapping[str, tuple[pa.Array, int]]
) -> tuple[dict[Path, Sequence[str]], list[tuple[str, Path]]]:
    import pyarrow as pa

    node_files: dict[Path, Sequence[str]] = {}
    edge_files: list[tuple[str, Path]] = []
    jobs = []
    at = {label: first for label, (_, first) in numbers.items()}
    for number, node in enumerate(nodes):
        first = at[node.labels[0]]
        at[node.labels[0]] += len(node.table)
        ids = pa.array(np.arange(first, first + len(node.table)))
        path = incoming / f"nodes-{number}.csv"
        node_files[path] = node.labels
        heads = [":ID", *(_import.header(field.name, field.type) for field in node.table.schema)]
        jobs.append((path, lambda table=node.table, ids=ids: table.add_column(0, ":ID", ids), heads))
    for number, edge in enumerate(edges):
        path = incoming / f"edges-{number}.csv"
        edge_files.append((edge.type, path))
        rest = edge.table.drop_columns(["start", "end"])
        heads = [":START_ID", ":END_ID", *(_import.header(field.name, field.type) for field in rest.schema)]
        jobs.append((path, lambda edge=edge, rest=rest: _with_ends(edge, rest, numbers), heads))
    with threads(_THREADS) as pool:
        for each in [pool.submit(_write_one, *job) for job in jobs]:
            each.result()
    return node_files, edge_files


def _write_one(path: Path, make: Callable[[], pa.Table], heads: Sequence[str]) -> None:
    _import.write(path, make(), header_row=heads)


def _with_ends(edge: Edges, rest: pa.Table, numbers: Mapping[str, tuple[pa.Array, int]]) -> pa.Table:
    import pyarrow.compute as pc

    ends = []
    for label, column in ((edge.start_label, "start"), (edge.end_label, "end")):
        keys, first = numbers[label]
        found = pc.index_in(edge.table[column], value_set=keys)
        if found.null_count:
            key = edge.table[column].filter(pc.is_null(found))[0].as_py()
            raise InputError(f"a relationship {edge.type} names {label} {key!r}, which is not among the nodes")
        ends.append(pc.add(found.cast("int64"), first))
    return rest.add_column(0, ":START_ID", ends[0]).add_column(1, ":END_ID", ends[1])


def _take_over(store: Store) -> None:
    """Has the running server let the imported store in; one that is not running does so when it starts."""
    assert store.home is not None
    state = server.read_state(store.home)
    if state is not None:
        os.kill(state["pid"], signal.SIGUSR1)
    deadline = time.monotonic() + _SWAP_SECONDS
    while _swap.pending(store.home.database) and server.read_state(store.home) is not None:
        if time.monotonic() > deadline:
            server.stop(store.home)
            break
        time.sleep(0.02)
    while state is not None and not _listens(state["port"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    store.read(cypher.PING)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _has_lines(nodes: Sequence[Nodes], edges: Sequence[Edges]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    for each in _all(nodes, edges):
        ends = ("start", "end") if isinstance(each, Edges) else ()  # those are numbers by now
        for column in each.table.drop_columns(ends).columns:
            text = pc.list_flatten(column) if pa.types.is_list(column.type) else column
            if pa.types.is_string(text.type) and any(pc.any(pc.match_substring(text, end)).as_py() for end in "\r\n"):
                return True
    return False


def _unsuited(name: str, column: pa.ChunkedArray) -> str | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_list(column.type) else column.type
    if kind not in (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us")):
        return f"property {name!r} is of type {kind}"
    values = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    if pa.types.is_list(column.type):
        if values.null_count or pc.any(pc.equal(pc.list_value_length(column), 0)).as_py():
            return f"property {name!r} has an empty list, or an empty place in one"
        if kind == pa.string() and pc.any(pc.match_substring(values, _import.LIST_SEPARATOR)).as_py():
            return f"a list in property {name!r} has the separator of lists in a text"
        if kind == pa.string() and pc.any(pc.equal(pc.binary_length(values), 0)).as_py():
            return f"a list in property {name!r} has an empty text"
    if kind == pa.float64() and not pc.all(pc.is_finite(values)).as_py():
        return f"property {name!r} has numbers that are not finite"
    if kind == pa.string() and pc.any(pc.match_substring(values, "\x00")).as_py():
        return f"property {name!r} has NUL in a text"
    return None
