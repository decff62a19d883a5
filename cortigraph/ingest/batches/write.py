"""Writing a batch: one transaction a chunk, each with its mark in the ledger, and the server's counts compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cortigraph.graph import cypher
from cortigraph.graph.errors import StoreError
from cortigraph.ingest.batches.changes import Change, parameters, statement
from cortigraph.ingest.batches.ledger import Lease, advance, begin
from cortigraph.ingest.elements import NodeKind

if TYPE_CHECKING:
    from cortigraph.graph.store import Store, Transaction
    from cortigraph.tables.base import Progress

__all__ = ["write"]


def write(
    store: Store, lease: Lease, key: str, changes: Sequence[Change], progress: Progress | None = None
) -> dict[str, int]:
    """Writes the changes of a batch.

    Args:
        store: Where to.
        lease: Held.
        key: Of the batch.
        changes: All that is left to do for it, in order.
        progress: Told how many elements are written.

    Returns:
        What the server says that it changed.

    Raises:
        StoreError: The server wrote another number than it was sent; that part was not kept.
        LeaseLostError: Another process has taken over.
    """
    counters: Counter[str] = Counter()
    whole = sum(len(change.table) for change in changes)
    written = 0
    chunks = [chunk for change in changes for chunk in change.chunks()]
    begin(store, lease, key, len(chunks))
    for number, chunk in enumerate(chunks):
        counters.update(store.execute(_Part(lease, key, number, chunk)))
        written += len(chunk.table)
        if progress is not None:
            progress("writing", written, whole)
    return dict(counters)


class _Part:
    """One chunk; may be run more than once, and is written once."""

    def __init__(self, lease: Lease, key: str, number: int, chunk: Change) -> None:
        self._lease, self._key, self._number, self._chunk = lease, key, number, chunk
        self._statement = statement(chunk)
        self._parameters = parameters(chunk)

    def __call__(self, transaction: Transaction) -> dict[str, int]:
        if not advance(transaction, self._lease, self._key, self._number):
            return {}
        result = transaction.write(self._statement, **self._parameters)
        written = int(result.rows[0]["written"])
        gone = self._chunk.action == "delete"  # what somebody deleted before is deleted all the same
        if written != len(self._chunk.table) and not (gone and written < len(self._chunk.table)):
            raise self._mismatch(written)
        counters = Counter(result.counters)
        if gone and isinstance(self._chunk.kind, NodeKind):
            counters.update(self._strip(transaction, self._chunk.kind))
        return dict(counters)

    def _strip(self, transaction: Transaction, kind: NodeKind) -> dict[str, int]:
        """Nodes that a relationship of somebody else still needs stay, as if they had been there always."""
        label = cypher.quote(kind.label)
        query = f"UNWIND $key AS key MATCH (n:{label} {{key: key}}) SET n = {{key: key, batches: [0]}}"
        return dict(transaction.write(query, key=self._parameters["key"]).counters)

    def _mismatch(self, written: int) -> StoreError:
        rows = len(self._chunk.table)
        return StoreError(
            f"sent {rows} {self._chunk.kind} to {self._chunk.action}, the server reports {written}; nothing of this "
            "part was written. Somebody changes the same nodes meanwhile: run the job again"
        )
