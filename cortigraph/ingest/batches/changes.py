"""Changes: what is still to be written, as columns, and the Cypher that writes a chunk of it.

    create   elements that are not there
    update   elements that are there: a property gets the value in its column; where that is null it stays, and what
             `:drop` names goes
    delete   elements that nothing asserts any more; a node that a relationship still needs stays, bare

A chunk is sent as one list per column, which the server reads without building a map for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cortigraph.graph import cypher
from cortigraph.graph.names import OWN_LABELS
from cortigraph.ingest.elements import EdgeKind, Kind, NodeKind, properties

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Action", "Change", "parameters", "statement"]

Action = Literal["create", "update", "delete"]

_SENT = (":key", ":start", ":end", ":type", ":batches", ":labels", ":drop")
CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Change:
    """Elements of one kind, all to be changed in one way.

    Args:
        action: What becomes of them.
        kind: Of the elements.
        table: Identity, `:batches`, and the properties to set.
    """

    action: Action
    kind: Kind
    table: pa.Table

    def chunks(self) -> Iterator[Change]:
        """Parts that the server can take in one transaction, whatever the size of their values."""
        rows = len(self.table)
        size = max(1, min(CHUNK_ROWS, int(CHUNK_BYTES // max(1, self.table.nbytes / max(1, rows)))))
        for start in range(0, rows, size):
            yield from _halved(Change(self.action, self.kind, self.table.slice(start, size)))


def statement(change: Change) -> str:
    """The Cypher that writes it; the columns are parameters, named by their place.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({":key": ["a"], ":batches": [[1]], "name": ["A"]})
        >>> print(statement(Change("create", NodeKind("Entity"), table)))
        UNWIND range(0, size($key) - 1) AS i
        CREATE (n:`Entity` {key: $key[i], batches: $batches[i], `name`: $p0[i]})
        RETURN count(n) AS written
    """
    if isinstance(change.kind, NodeKind):
        return _node_statement(change, change.kind)
    return _edge_statement(change, change.kind)


def parameters(change: Change) -> dict[str, Any]:
    """The columns of a chunk as lists."""
    table = change.table
    found: dict[str, Any] = {
        name.removeprefix(":"): table[name].to_pylist() for name in table.column_names if name in _SENT
    }
    for number, name in enumerate(properties(table)):
        found[f"p{number}"] = table[name].to_pylist()
    if isinstance(change.kind, EdgeKind) and table[":key"].null_count == len(table):
        del found["key"]
    return found


def _node_statement(change: Change, kind: NodeKind) -> str:
    label = cypher.own(kind.label)
    rows = "UNWIND range(0, size($key) - 1) AS i\n"
    if change.action == "delete":
        return (
            f"{rows}MATCH (n:{label} {{key: $key[i]}})\n"
            "CALL (n) {\n"
            "  WITH n WHERE NOT EXISTS { (n)--() } DELETE n\n"
            "}\n"
            "RETURN count(n) AS written"
        )
    if change.action == "create":
        freed = f"{cypher.freed(kind.label, '$key')}\n" if kind.label in OWN_LABELS else ""
        given = f"{{key: $key[i], batches: $batches[i]{_inline(change.table)}}}"
        made = f"{freed}{rows}CREATE (n:{cypher.quote(kind.label)} {given})"
        return f"{made}\n{_labelled(change.table)}RETURN count(n) AS written"
    found = f"{rows}MATCH (n:{label} {{key: $key[i]}})\nSET n.batches = $batches[i]{_set('n', change.table)}\n"
    return f"{found}{_dropped('n', change.table)}{_labelled(change.table)}RETURN count(n) AS written"


def _edge_statement(change: Change, kind: EdgeKind) -> str:
    start, end = cypher.own(kind.start), cypher.own(kind.end)
    keyed = change.table[":key"].null_count < len(change.table)
    head = (
        "UNWIND range(0, size($start) - 1) AS i\n"
        f"MATCH (a:{start} {{key: $start[i]}})\n"
        f"MATCH (b:{end} {{key: $end[i]}})\n"
    )
    if change.action == "create":
        key = ", key: $key[i]" if keyed else ""
        return (
            f"{head}CREATE (a)-[r:$($type[i]) {{batches: $batches[i]{key}{_inline(change.table)}}}]->(b)\n"
            "RETURN count(r) AS written"
        )
    same = "coalesce(r.key, '') = coalesce($key[i], '')" if keyed else "r.key IS NULL"
    found = f"{head}MATCH (a)-[r]->(b) WHERE type(r) = $type[i] AND {same}\n"
    if change.action == "delete":
        return f"{found}DELETE r\nRETURN count(r) AS written"
    set_ = f"SET r.batches = $batches[i]{_set('r', change.table)}\n{_dropped('r', change.table)}"
    return f"{found}{set_}RETURN count(r) AS written"


def _inline(table: pa.Table) -> str:
    return "".join(f", {cypher.quote(name)}: $p{number}[i]" for number, name in enumerate(properties(table)))


def _set(variable: str, table: pa.Table) -> str:
    names = [f"{variable}.{cypher.quote(name)}" for name in properties(table)]
    return "".join(f", {name} = coalesce($p{number}[i], {name})" for number, name in enumerate(names))


def _dropped(variable: str, table: pa.Table) -> str:
    if ":drop" not in table.column_names:
        return ""
    return f"FOREACH (name IN $drop[i] | SET {variable}[name] = null)\n"


def _labelled(table: pa.Table) -> str:
    return "SET n:$(coalesce($labels[i], []))\n" if ":labels" in table.column_names else ""


def _halved(change: Change) -> Iterator[Change]:
    """A few giant cells among small ones: the mean says little, so a part that is too large is cut again."""
    rows = len(change.table)
    if rows == 1 or change.table.nbytes <= 2 * CHUNK_BYTES:
        yield change
        return
    for part in (change.table.slice(0, rows // 2), change.table.slice(rows // 2)):
        yield from _halved(Change(change.action, change.kind, part))
