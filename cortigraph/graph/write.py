"""Idempotent batches: nodes and relationships merged by key, and what the server reports compared with what was sent.

The target is a store (each batch is a transaction of its own, retried if it fails for a passing reason) or an open
transaction (all batches belong to it). Sending the same rows twice gives the same graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from cortigraph.graph import cypher
from cortigraph.graph._values import checked_rows, same
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.transaction import Transaction

__all__ = ["Counts", "Target", "WriteMismatchError", "merge_edges", "merge_nodes"]

T = TypeVar("T")
Row = Mapping[str, Any]
BATCH_SIZE = 10_000
NAMED_ROWS = 5


class WriteMismatchError(StoreError):
    """The server wrote less, or more, than it was sent; nothing of the batch was kept.

    Args:
        message: What was expected and what the server reports.
        rows: The rows at fault, as they were given.
    """

    def __init__(self, message: str, rows: Sequence[Row] = ()) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class Target(Protocol):
    """A store or an open transaction."""

    def execute(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction."""


@dataclass(frozen=True)
class Counts:
    """What became of the rows that were sent.

    Args:
        sent: Rows given, doubles of the same content included.
        created: Nodes or relationships that did not exist before.
        matched: Those that did, whether or not a property changed.

    Example:
        >>> Counts(3, 1, 2) + Counts(1, 1, 0)
        Counts(sent=4, created=2, matched=2)
    """

    sent: int = 0
    created: int = 0
    matched: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.sent + other.sent, self.created + other.created, self.matched + other.matched)


def merge_nodes(target: Target, label: str, rows: Iterable[Row], batch_size: int = BATCH_SIZE) -> Counts:
    """Merge nodes by key: new ones are made, the properties given are set on those that exist.

    Args:
        target: A store or an open transaction.
        label: A `Label`, or any other name; another has no uniqueness constraint, so it is slower.
        rows: `{"key": …, **properties}`. `None` removes a property; one that is not named stays as it is.
        batch_size: Rows per request.

    Returns:
        What was created and what was there.

    Raises:
        InputError: A row without key, one key with two contents, a value that can't be stored, a vector of the wrong
            length. Every problem is listed, and nothing is written.
        WriteMismatchError: The server reports another count than was sent.

    Example:
        >>> merge_nodes(store, Label.AREA, [{"key": "vision.recognition"}])  # doctest: +SKIP
        Counts(sent=1, created=1, matched=0)
    """
    given = list(rows)
    checked = checked_rows(label, given, ("key",))
    _refuse_contradictions(checked, ("key",))
    query = cypher.merge_nodes(label)

    def merge(batch: list[dict[str, Any]], first: int, transaction: Transaction) -> Counts:
        written = transaction.write(query, rows=batch)
        matched = int(written.rows[0]["matched"])
        if matched != len(batch):
            raise _mismatch(f"{label} nodes", given[first : first + len(batch)], matched)
        return _counts(batch, written.counters.get("nodes_created", 0), ("key",))

    return _in_batches(target, checked, batch_size, merge)


def merge_edges(
    target: Target,
    rel_type: str,
    start_label: str,
    end_label: str,
    rows: Iterable[Row],
    batch_size: int = BATCH_SIZE,
) -> Counts:
    """Merge relationships between nodes that exist.

    Args:
        target: A store or an open transaction.
        rel_type: A `RelType`, or any other name.
        start_label: Of the nodes that it leaves.
        end_label: Of the nodes that it reaches.
        rows: `{"start": key, "end": key, **properties}`. A `key` in the row identifies one of several relationships
            between the same two nodes; either every row has one or none.
        batch_size: Rows per request.

    Returns:
        What was created and what was there.

    Raises:
        InputError: As for `merge_nodes`.
        WriteMismatchError: An endpoint does not exist, or a row without key matches several relationships; names them.

    Example:
        >>> rows = [{"start": "vision.recognition", "end": "vision.recognition/001"}]
        >>> merge_edges(store, RelType.HAS_REGION, Label.AREA, Label.REGION, rows)  # doctest: +SKIP
        Counts(sent=1, created=1, matched=0)
    """
    given = list(rows)
    identity = ("start", "end", "key") if any("key" in row for row in given) else ("start", "end")
    checked = checked_rows(rel_type, given, identity)
    _refuse_contradictions(checked, identity)
    query = cypher.merge_edges(rel_type, start_label, end_label, keyed="key" in identity)

    def merge(batch: list[dict[str, Any]], first: int, transaction: Transaction) -> Counts:
        written = transaction.write(query, rows=batch)
        matched = int(written.rows[0]["matched"])
        if matched != len(batch):
            raise _edge_mismatch(transaction, rel_type, (start_label, end_label), batch, given, first, matched)
        return _counts(batch, written.counters.get("relationships_created", 0), identity)

    return _in_batches(target, checked, batch_size, merge)


def _in_batches(
    target: Target,
    rows: list[dict[str, Any]],
    batch_size: int,
    merge: Callable[[list[dict[str, Any]], int, Transaction], Counts],
) -> Counts:
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    total = Counts()
    for first in range(0, len(rows), batch_size):
        batch = rows[first : first + batch_size]
        total += target.execute(partial(merge, batch, first))
    return total


def _counts(batch: list[dict[str, Any]], created: int, identity: tuple[str, ...]) -> Counts:
    distinct = len(set(map(itemgetter(*identity), batch)))
    return Counts(len(batch), created, distinct - created)


def _refuse_contradictions(rows: list[dict[str, Any]], identity: tuple[str, ...]) -> None:
    """One key, two contents: which would win depends on the order, so neither does. An exact double is harmless."""
    marks = list(map(itemgetter(*identity), rows))
    if len(set(marks)) == len(marks):
        return
    seen: dict[Any, int] = {}
    problems = []
    for number, (mark, row) in enumerate(zip(marks, rows, strict=True)):
        first = seen.setdefault(mark, number)
        if first != number and not same(rows[first]["properties"], row["properties"]):
            name = " → ".join(map(repr, mark if len(identity) > 1 else (mark,)))
            problems.append(f"rows {first + 1} and {number + 1} say different things about {name}")
    if problems:
        raise InputError(problems)


def _edge_mismatch(
    transaction: Transaction,
    rel_type: str,
    labels: tuple[str, str],
    batch: list[dict[str, Any]],
    given: Sequence[Row],
    first: int,
    matched: int,
) -> WriteMismatchError:
    """Find out which rows are at fault: an endpoint that is missing, or several relationships where one was meant."""
    slim = [{name: row.get(name) for name in ("start", "end", "key")} for row in batch]
    missing = transaction.read(cypher.missing_ends(*labels), rows=slim)
    if missing:
        reasons = [
            f"row {first + fault['i'] + 1}: no {labels[end]} {batch[fault['i']][side]!r}"
            for fault in missing
            for end, side in enumerate(("start", "end"))
            if fault[f"no_{side}"]
        ]
        return _mismatch(
            f"{rel_type} relationships", [given[first + fault["i"]] for fault in missing], matched, reasons, batch
        )
    parallel = transaction.read(cypher.parallel_edges(rel_type, *labels), rows=slim)
    reasons = [
        f"row {first + fault['i'] + 1}: {batch[fault['i']]['start']!r} → {batch[fault['i']]['end']!r} "
        f"has {fault['found']}; give each a key"
        for fault in parallel
    ]
    return _mismatch(
        f"{rel_type} relationships", [given[first + fault["i"]] for fault in parallel], matched, reasons, batch
    )


def _mismatch(
    what: str,
    faulty: Sequence[Row],
    matched: int,
    reasons: Sequence[str] = (),
    batch: Sequence[Row] | None = None,
) -> WriteMismatchError:
    sent = len(batch if batch is not None else faulty)
    named = list(reasons) or [f"key {row.get('key')!r}" for row in faulty]
    tail = f"\n  … and {len(named) - NAMED_ROWS} more" if len(named) > NAMED_ROWS else ""
    lines = "".join(f"\n  {line}" for line in named[:NAMED_ROWS])
    return WriteMismatchError(
        f"sent {sent} {what}, the server reports {matched}; nothing of this batch was written:{lines}{tail}", faulty
    )
