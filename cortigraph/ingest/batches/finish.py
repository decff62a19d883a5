"""Finishing what was interrupted: a batch that was being written, or taken back, when its process was killed.

What is missing is worked out anew from its archive and the graph, so it does not matter how far it had come.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.embed import embed
from cortigraph.ingest.batches.history import History, Record
from cortigraph.ingest.batches.target import Target
from cortigraph.ingest.batches.write import write

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.batches.diff import Difference
    from cortigraph.tables.base import Progress

__all__ = ["finish_interrupted", "without"]

_OPEN = ("applying", "reverting")


def finish_interrupted(
    store: Store, home: Home, progress: Progress | None = None, lease: ledger.Lease | None = None
) -> list[str]:
    """Finishes every batch that nobody is writing any more.

    Args:
        store: An open store.
        home: Has their archives.
        progress: Told how far it is.
        lease: The lease, if it is held already.

    Returns:
        The keys of the batches that were finished.

    Raises:
        StoreError: An archive is not in this home.
    """
    if not _interrupted(store):
        return []
    waiting = (lambda text: progress(text, 0, 0)) if progress is not None else None
    finished = []
    with nullcontext(lease) if lease is not None else ledger.hold(store, waiting) as held:
        for record in _interrupted(store):  # again: its own process may have finished it while we waited
            difference = _left(store, History(home, ledger.records(store)), record)
            embed(difference, home, progress)
            write(store, held, record.key, difference.changes, progress)
            state = "done" if record.state == "applying" else "reverted"
            ledger.finish(store, held, record.key, state=state)
            finished.append(record.key)
    return finished


def without(store: Store, history: History, record: Record) -> Difference:
    """What is to be done so that the graph is as if a batch had never been.

    Args:
        store: Only read.
        history: All batches.
        record: The batch.
    """
    archive = history.archive(record.key)
    target = Target(store, history, record.job, record.number)
    target.withdrawing(archive.elements(), lambda other: other.number != record.number)
    target.withdrawing(archive.elements("withdrawn"), lambda other: other.number != record.number)
    return target.sorted()


def _interrupted(store: Store) -> list[Record]:
    return [record for record in ledger.records(store) if record.state in _OPEN]


def _left(store: Store, history: History, record: Record) -> Difference:
    if record.state == "reverting":
        return without(store, history, record)
    archive = history.archive(record.key)
    target = Target(store, history, record.job, record.number)
    target.asserting(archive.elements(), archive.weak())
    for kind, ids in archive.elements("removed"):
        target.delete(kind, ids)
    target.withdrawing(archive.elements("withdrawn"), lambda other: other.job != record.job)
    return target.sorted()
