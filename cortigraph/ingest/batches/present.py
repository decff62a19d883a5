"""What the graph holds of given elements now, as columns in their order.

Many are read by going through the whole label or relationship type, few by their keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph import cypher
from cortigraph.graph._reading import chosen_label
from cortigraph.ingest.elements import KEYS, EdgeKind, Elements, Kind, NodeKind, identity

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.graph.store import Store

__all__ = ["Present", "carrying", "present"]

_SHARE = 0.2  # of a label, from which on reading all of it is quicker
_BATCH = 10_000

_CARRYING_NODES = "MATCH (n) WHERE $number IN n.batches RETURN labels(n) AS labels, n.key AS key"
_CARRYING_EDGES = (
    "MATCH (a)-[r]->(b) WHERE $number IN r.batches RETURN labels(a) AS starts, labels(b) AS ends, "
    "type(r) AS type, a.key AS start, b.key AS end, r.key AS key"
)
_COUNT_EDGES = "MATCH ()-[r]->() RETURN count(r) AS count"


@dataclass(frozen=True)
class Present:
    """What is there, aligned to the rows that were asked for.

    Args:
        there: Which of the rows the graph has.
        batches: Their batches; None for one that no batch brought, and where there is none.
        labels: All labels of a node; empty for relationships.
        values: Property → value per row; None where it has none.
    """

    there: NDArray[np.bool_]
    batches: list[list[int] | None]
    labels: list[list[str]]
    values: dict[str, list[Any]]


def present(store: Store, kind: Kind, table: pa.Table, names: Sequence[str]) -> Present:
    """Looks elements up.

    Args:
        store: Only read.
        kind: Of the elements.
        table: Their identity columns; each element once.
        names: The properties to read.
    """
    found: dict[str, list[Any]] = {}
    if len(table):
        read = _nodes(store, kind, table, names) if isinstance(kind, NodeKind) else _edges(store, kind, table, names)
        found = _joined(read)
    order = _order(kind, table, found)
    if order is None:
        nobody: list[Any] = [None] * len(table)
        return Present(np.zeros(len(table), dtype=bool), nobody, [[]] * len(table), dict.fromkeys(names, nobody))
    rows = order.tolist()
    columns = {name: [None if row < 0 else values[row] for row in rows] for name, values in found.items()}
    nothing: list[Any] = [None] * len(table)
    return Present(
        there=np.array(rows, dtype=np.int64) >= 0,
        batches=columns.get("batches", nothing),
        labels=[each or [] for each in columns.get("labels", nothing)],
        values={name: columns.get(f"p{number}", nothing) for number, name in enumerate(names)},
    )


def carrying(store: Store, number: int) -> Elements:
    """The identities of whatever carries the number of a batch.

    Args:
        store: Only read.
        number: Of the batch.
    """
    import pyarrow as pa

    rows: dict[Kind, list[tuple[Any, ...]]] = {}
    for row in store.read(_CARRYING_NODES, number=number):
        rows.setdefault(NodeKind(chosen_label(row["labels"])), []).append((row["key"],))
    for row in store.read(_CARRYING_EDGES, number=number):
        kind = EdgeKind(chosen_label(row["starts"]), chosen_label(row["ends"]))
        rows.setdefault(kind, []).append((row["type"], row["start"], row["end"], row["key"]))
    found = Elements()
    for each, told in rows.items():
        columns = zip(KEYS[type(each)], zip(*told, strict=True), strict=True)
        found.tables[each] = pa.table({name: pa.array(values, pa.string()) for name, values in columns})
    return found


def _joined(parts: Iterator[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for part in parts:
        for name, values in part.items():
            found.setdefault(name, []).extend(values)
    return found


def _order(kind: Kind, table: pa.Table, found: dict[str, list[Any]]) -> NDArray[np.int64] | None:
    """For each row asked for, which of those that were found it is; -1 where it was not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not found:
        return None
    keys = pa.table({name: pa.array(found[name], pa.string()) for name in KEYS[type(kind)]})
    at = pc.index_in(identity(kind, table), value_set=identity(kind, keys))
    return np.asarray(pc.fill_null(at, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _nodes(store: Store, kind: NodeKind, table: pa.Table, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    label = cypher.own(kind.label)
    count = int(store.read(f"MATCH (n:{label}) RETURN count(n) AS count")[0]["count"])
    if not count:
        return
    returned = "n.key AS `:key`, n.batches AS batches, labels(n) AS labels" + _returned("n", names)
    if len(table) >= _SHARE * count:
        yield store.columns(f"MATCH (n:{label}) RETURN {returned}")
        return
    keys = table[":key"].to_pylist()
    for start in range(0, len(keys), _BATCH):
        query = f"UNWIND $keys AS key MATCH (n:{label} {{key: key}}) RETURN {returned}"
        yield store.columns(query, keys=keys[start : start + _BATCH])


def _edges(store: Store, kind: EdgeKind, table: pa.Table, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    count = int(store.read(_COUNT_EDGES)[0]["count"])
    if not count:
        return
    start, end = cypher.own(kind.start), cypher.own(kind.end)
    returned = "type(r) AS `:type`, b.key AS `:end`, r.key AS `:key`, r.batches AS batches" + _returned("r", names)
    if len(table) >= _SHARE * count:
        yield from _all_edges(store, start, end, names)
        return
    columns = [table[name].to_pylist() for name in (":type", ":start", ":end", ":key")]
    query = (
        f"UNWIND $rows AS row MATCH (a:{start} {{key: row[1]}}) MATCH (b:{end} {{key: row[2]}}) "
        f"MATCH (a)-[r]->(b) WHERE type(r) = row[0] AND (r.key = row[3] OR r.key IS NULL AND row[3] IS NULL) "
        f"RETURN a.key AS `:start`, {returned}"
    )
    rows = list(map(list, zip(*columns, strict=True)))
    for first in range(0, len(rows), _BATCH):
        yield store.columns(query, rows=rows[first : first + _BATCH])


def _all_edges(store: Store, start: str, end: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every relationship, one record a start: the server need not hold them all at once."""
    values = "".join(f", r.{cypher.quote(name)}" for name in names)
    query = (
        f"MATCH (a:{start}) CALL (a) {{ MATCH (a)-[r]->(b:{end}) "
        f"RETURN collect([type(r), b.key, r.key, r.batches{values}]) AS rows }} "
        "WITH a, rows WHERE size(rows) > 0 RETURN a.key AS start, rows"
    )
    names_of = [":type", ":end", ":key", "batches", *(f"p{number}" for number in range(len(names)))]
    gathered: list[Any] = []
    starts: list[str] = []
    for record in store.read(query):
        gathered += record["rows"]
        starts += [record["start"]] * len(record["rows"])
    if gathered:
        yield {":start": starts, **dict(zip(names_of, map(list, zip(*gathered, strict=True)), strict=True))}


def _returned(variable: str, names: Sequence[str]) -> str:
    return "".join(f", {variable}.{cypher.quote(name)} AS p{number}" for number, name in enumerate(names))
