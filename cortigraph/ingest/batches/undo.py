"""Undo: what elements were like before a batch changed them, so that a batch that fails leaves the graph as it was.

<home>/batches/undo/<name>.jsonl    a line for the batch, then one for each part of it that changes or deletes

A part is noted before it is committed; so a note may be of a part that never came, and bringing back what is there
already does no harm. What a part creates needs no note where it carries the batch's number; a revert brings elements
back under the numbers of others, and notes those, too. Once the batch is done the file goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortigraph.graph import cypher
from cortigraph.graph.packing import packed, unpacked
from cortigraph.ingest.batches.changes import Action, Change
from cortigraph.ingest.elements import KEYS, EdgeKind, Kind, NodeKind, properties

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Transaction

__all__ = ["Note", "Undo"]


@dataclass(frozen=True)
class Note:
    """What elements were like.

    Args:
        action: What a part did to them.
        kind: Of the elements.
        rows: Identity, and what was there: `was` (properties), and `labels` of nodes.
    """

    action: Action
    kind: Kind
    rows: list[dict[str, Any]]

    def bring_back(self, transaction: Transaction) -> None:
        """Makes the elements what they were."""
        for query in _restoring(self.action, self.kind):
            transaction.write(query, rows=self.rows)


class Undo:
    """The notes of one batch.

    Args:
        home: Keeps them.
        key: Of the batch.
        created: Whether what is created is noted, too.
    """

    def __init__(self, home: Home, key: str, *, created: bool = False) -> None:
        self._path = home.batches / "undo" / f"{key.replace('/', '@')}.jsonl"
        self._created = created

    @property
    def kept(self) -> bool:
        """Whether there are notes, be it that nothing was changed."""
        return self._path.exists()

    def open(self) -> None:
        """Begins; notes of an earlier try are kept."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        if not self.kept:
            self._append("{}")

    def note(self, transaction: Transaction, change: Change) -> None:
        """Notes what a part is about to change, in the transaction that changes it."""
        if change.action == "create" and not self._created:
            return
        rows = _identities(change)
        if change.action != "create":
            rows = [each["found"] for each in transaction.read(_reading(change), rows=rows)]
        kind = [change.kind.label] if isinstance(change.kind, NodeKind) else [change.kind.start, change.kind.end]
        told = [{**row, "was": packed(row.get("was"))} for row in rows]
        self._append(json.dumps({"action": change.action, "kind": kind, "rows": told}))

    def notes(self) -> Iterator[Note]:
        """The notes, the latest first."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self.kept else []
        for line in reversed(lines):
            try:
                told = json.loads(line)
            except ValueError:
                continue  # empty, or cut off: then its part was not committed
            if told:
                kind = NodeKind(*told["kind"]) if len(told["kind"]) == 1 else EdgeKind(*told["kind"])
                yield Note(told["action"], kind, [{**row, "was": unpacked(row["was"])} for row in told["rows"]])

    def forget(self) -> None:
        """Nothing is to be undone any more."""
        self._path.unlink(missing_ok=True)

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")  # the line before may have been cut off
            file.flush()
            os.fsync(file.fileno())


def _identities(change: Change) -> list[dict[str, Any]]:
    names = KEYS[type(change.kind)]
    table = change.table.select(list(names)).rename_columns([name.removeprefix(":") for name in names])
    return list(table.to_pylist())


def _matched(kind: Kind) -> str:
    if isinstance(kind, NodeKind):
        return f"MATCH (x:{cypher.own(kind.label)} {{key: row.key}})"
    return f"{_ends(kind)} MATCH (a)-[x]->(b) WHERE {_same('x')}"


def _ends(kind: EdgeKind) -> str:
    start, end = cypher.own(kind.start), cypher.own(kind.end)
    return f"MATCH (a:{start} {{key: row.start}}) MATCH (b:{end} {{key: row.end}})"


def _same(variable: str) -> str:
    return f"type({variable}) = row.type AND ({variable}.key = row.key OR {variable}.key IS NULL AND row.key IS NULL)"


def _reading(change: Change) -> str:
    """All of what is deleted; of what is updated only what changes: vectors are large."""
    labels = ", labels: labels(x)" if isinstance(change.kind, NodeKind) else ""
    was = "properties(x)" if change.action == "delete" else f"x {{{', '.join(map(_property, _changed(change)))}}}"
    return f"UNWIND $rows AS row {_matched(change.kind)} RETURN row {{.*, was: {was}{labels}}} AS found"


def _changed(change: Change) -> list[str]:
    names = ["batches", *properties(change.table)]
    dropped = change.table[":drop"].to_pylist() if ":drop" in change.table.column_names else []
    return list(dict.fromkeys([*names, *(name for each in dropped for name in each or ())]))


def _property(name: str) -> str:
    return f".{cypher.quote(name)}"


def _restoring(action: Action, kind: Kind) -> list[str]:
    if action == "create":
        alone = " WHERE NOT EXISTS { (x)--() }" if isinstance(kind, NodeKind) else ""
        return [f"UNWIND $rows AS row {_matched(kind)} WITH x{alone} DELETE x"]
    labels = " REMOVE x:$([l IN labels(x) WHERE NOT l IN row.labels]) SET x:$(row.labels)"
    if action == "update":  # what was not there is null in the note, and goes
        more = labels if isinstance(kind, NodeKind) else ""
        return [f"UNWIND $rows AS row {_matched(kind)} SET x += row.was{more}"]
    if isinstance(kind, NodeKind):
        found = f"UNWIND $rows AS row MERGE (x:{cypher.quote(kind.label)} {{key: row.key}})"
        return [f"{found} SET x = row.was{labels}"]
    missing = f"WITH a, b, row WHERE NOT EXISTS {{ MATCH (a)-[x]->(b) WHERE {_same('x')} }}"
    made = f"{_ends(kind)} {missing} CREATE (a)-[x:$(row.type)]->(b) SET x = row.was"
    return [f"UNWIND $rows AS row {_matched(kind)} SET x = row.was", f"UNWIND $rows AS row {made}"]
