"""Writing a batch: one transaction a chunk, each with its mark in the ledger, and the server's counts compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortigraph.graph import cypher
from cortigraph.graph.errors import StoreError
from cortigraph.ingest.batches.changes import Change, parameters, statement
from cortigraph.ingest.batches.ledger import Lease, advance, begin
from cortigraph.ingest.elements import NodeKind

if TYPE_CHECKING:
    from cortigraph.graph.store import Store, Transaction
    from cortigraph.ingest.batches.undo import Undo
    from cortigraph.tables.base import Progress

__all__ = ["MismatchError", "Writing", "apply", "write"]


class MismatchError(StoreError):
    """The server wrote another number of elements than it was sent."""


class Writing:
    """What a batch is written with.

    Args:
        store: Where to.
        lease: Held.
        key: Of the batch.
        undo: Takes notes of what was there; left out where nothing is to be taken back.
    """

    def __init__(self, store: Store, lease: Lease, key: str, undo: Undo | None = None) -> None:
        self.store, self.lease, self.key, self.undo = store, lease, key, undo
        self.chunk: Change | None = None  # the one that is being written, or was refused


def write(writing: Writing, changes: Sequence[Change], progress: Progress | None = None) -> dict[str, int]:
    """Writes the changes of a batch.

    Args:
        writing: Which batch, and where to; says afterwards which part was refused.
        changes: All that is left to do for it, in order.
        progress: Told how many elements are written.

    Returns:
        What the server says that it changed.

    Raises:
        QueryError: The server refuses a part; those before it are written.
        StoreError: The server wrote another number than it was sent; that part was not kept.
        LeaseLostError: Another process has taken over.
    """
    counters: Counter[str] = Counter()
    whole = sum(len(change.table) for change in changes)
    written = 0
    chunks = [chunk for change in changes for chunk in change.chunks()]
    if writing.undo is not None:
        writing.undo.open()
    begin(writing.store, writing.lease, writing.key, len(chunks))
    for number, chunk in enumerate(chunks):
        writing.chunk = chunk
        counters.update(writing.store.execute(_Part(writing, number, chunk)))
        written += len(chunk.table)
        if progress is not None:
            progress("writing", written, whole)
    writing.chunk = None
    return dict(counters)


def apply(transaction: Transaction, chunk: Change) -> dict[str, int]:
    """Writes one chunk, in a transaction.

    Raises:
        MismatchError: The server wrote another number of elements than it was sent.
    """
    sent = parameters(chunk)
    result = transaction.write(statement(chunk), **sent)
    written = int(result.rows[0]["written"])
    gone = chunk.action == "delete"  # what somebody deleted before is deleted all the same
    if written != len(chunk.table) and not (gone and written < len(chunk.table)):
        raise MismatchError(
            f"sent {len(chunk.table)} {chunk.kind} to {chunk.action}, the server reports {written}: somebody changes "
            "the same nodes meanwhile; run the job again"
        )
    counters = Counter(result.counters)
    if gone and isinstance(chunk.kind, NodeKind):
        # Nodes that a relationship of somebody else still needs stay, as if they had been there always.
        label = cypher.quote(chunk.kind.label)
        query = f"UNWIND $key AS key MATCH (n:{label} {{key: key}}) SET n = {{key: key, batches: [0]}}"
        counters.update(transaction.write(query, key=sent["key"]).counters)
    return dict(counters)


@dataclass(frozen=True)
class _Part:
    """One chunk; may be run more than once, and is written once."""

    writing: Writing
    number: int
    chunk: Change

    def __call__(self, transaction: Transaction) -> dict[str, int]:
        if not advance(transaction, self.writing.lease, self.writing.key, self.number):
            return {}
        if self.writing.undo is not None:
            self.writing.undo.note(transaction, self.chunk)
        return apply(transaction, self.chunk)
