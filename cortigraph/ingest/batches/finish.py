"""Finishing what was interrupted: a batch that was being written, or taken back, when its process was killed.

What is missing is worked out anew from its archive and the graph, so it does not matter how far it had come. A batch
that can't be finished is ended, so that it is in nobody's way: what was written of it is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import CortigraphError, StoreError
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.archive import folder_of
from cortigraph.ingest.batches.embed import embed
from cortigraph.ingest.batches.ending import ends, failed, reason, take_back, undone
from cortigraph.ingest.batches.history import History, Record
from cortigraph.ingest.batches.target import Target, without
from cortigraph.ingest.batches.undo import Undo
from cortigraph.ingest.batches.write import Writing, write

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.batches.changes import Change
    from cortigraph.ingest.batches.diff import Difference
    from cortigraph.tables.base import Progress

__all__ = ["Ended", "abandoned", "finish_interrupted", "reverted", "written"]


@dataclass(frozen=True)
class Ended:
    """What became of a batch that was interrupted.

    Args:
        batch: Its key.
        state: `done`, `reverted`, `failed` or `abandoned`; or as before, where it could not be ended now.
        reason: Why it could not be finished; empty if it was.
        exit_code: Of that reason; 0 if there is none.
        counts: Of a batch that was finished, how many `nodes_created` and the like it brought in all; of one that was
            taken back, how many were still to be deleted and the like.
    """

    batch: str
    state: str
    reason: str = ""
    exit_code: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


def finish_interrupted(
    store: Store, home: Home, progress: Progress | None = None, lease: ledger.Lease | None = None
) -> list[Ended]:
    """Finishes, or ends, every batch that nobody is writing any more.

    Args:
        store: An open store.
        home: Has their archives.
        progress: Told how far it is.
        lease: The lease, if it is held already.

    Returns:
        What became of each.

    Raises:
        StoreError: The server can't be reached, or another process has taken over.
    """
    if not _interrupted(store):
        return []
    waiting = (lambda text: progress(text, 0, 0)) if progress is not None else None
    with nullcontext(lease) if lease is not None else ledger.hold(store, waiting) as held:
        # Looked for again: its own process may have finished it while we waited.
        return [_finished(store, home, held, record, progress) for record in _interrupted(store)]


def reverted(
    store: Store, home: Home, lease: ledger.Lease, record: Record, progress: Progress | None = None
) -> tuple[Difference, dict[str, int]]:
    """Takes a batch back that was done; if the server refuses that, it stays as it was.

    Args:
        store: Where it is.
        home: Has its archive.
        lease: Held.
        record: The batch.
        progress: Told how far it is.

    Returns:
        What was to be done, and what the server says that it has changed.

    Raises:
        CortigraphError: It can't be taken back; the graph is as before.
    """
    difference = without(store, History(home, ledger.records(store)), record)
    embed(difference, home, progress)
    undo = Undo(home, record.key, created=True)
    if record.state == "done":
        undo.forget()  # of its own time, if its process was killed when all was done
    ledger.finish(store, lease, record.key, state="reverting")
    writing = Writing(store, lease, record.key, undo)
    try:
        counters = written(writing, difference.changes, "reverted", progress)
    except Exception as error:
        if ends(error):
            _not_reverted(store, home, lease, record, f"could not be reverted: {reason(error)}")
        raise
    return difference, counters


def written(
    writing: Writing,
    changes: Sequence[Change],
    state: str,
    progress: Progress | None = None,
    told: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Writes what is left of a batch, and says so in the ledger.

    Args:
        writing: Which batch, and where to.
        changes: All that is left to do.
        state: It has then.
        progress: Told how far it is.
        told: What else the ledger shall know of it.

    Returns:
        What the server says that it has changed.
    """
    counters = write(writing, changes, progress)
    ledger.finish(writing.store, writing.lease, writing.key, state=state, reason=None, **(told or {}))
    if writing.undo is not None:
        writing.undo.forget()
    return counters


def abandoned(store: Store, home: Home, lease: ledger.Lease, record: Record) -> None:
    """Ends a batch that is not finished: what it wrote is taken back, or what was reverted of it is brought back.

    Args:
        store: Where it is.
        home: Has its notes.
        lease: Held.
        record: The batch.

    Raises:
        StoreError: The store does not take it; done again, it goes on.
    """
    if record.state == "reverting":
        _not_reverted(store, home, lease, record, "reverting it was abandoned")
        return
    why = record.reason or "abandoned"
    take_back(store, home, lease, record, why, "failing" if record.state == "failing" else "abandoning")


def _finished(store: Store, home: Home, lease: ledger.Lease, record: Record, progress: Progress | None) -> Ended:
    if not folder_of(home, record.key).exists() and not Undo(home, record.key).kept:
        why = "nothing of it is in this home: resume it from the one that it was begun from, or abandon it"
        return Ended(record.key, record.state, why, StoreError.exit_code)
    try:
        if record.state == "applying":
            return Ended(record.key, "done", counts=_go_on(store, home, lease, record, progress))
        if record.state == "reverting":
            difference, _ = reverted(store, home, lease, record, progress)
            return Ended(record.key, "reverted", counts=difference.totals())
        take_back(store, home, lease, record, record.reason, record.state)
    except Exception as error:  # whatever it is, it must not keep the others from going on
        if not ends(error):
            raise
        code = error.exit_code if isinstance(error, CortigraphError) else 1
        return Ended(record.key, _state(store, record.key), reason(error), code)
    return Ended(record.key, _state(store, record.key), record.reason)


def _go_on(
    store: Store, home: Home, lease: ledger.Lease, record: Record, progress: Progress | None
) -> Mapping[str, int]:
    """Writes what is left of a batch; returns how much it brought in all."""
    writing = Writing(store, lease, record.key, Undo(home, record.key))
    try:
        difference = _left(store, History(home, ledger.records(store)), record)
        embed(difference, home, progress)
        # One that an earlier version began did not say: what is left of it is all that is known.
        counts = record.counts or difference.totals()
        written(writing, difference.changes, "done", progress, counts)
    except Exception as error:
        if not ends(error):
            raise
        raise failed(writing, home, record, error) from error
    return counts


def _not_reverted(store: Store, home: Home, lease: ledger.Lease, record: Record, why: str) -> None:
    undone(store, home, lease, record.key)
    ledger.finish(store, lease, record.key, state="done", reason=why)
    Undo(home, record.key).forget()


def _interrupted(store: Store) -> list[Record]:
    return [record for record in ledger.records(store) if record.open]


def _state(store: Store, key: str) -> str:
    return next((record.state for record in ledger.records(store) if record.key == key), "gone")


def _left(store: Store, history: History, record: Record) -> Difference:
    archive = history.archive(record.key)
    target = Target(store, history, record.job, record.number)
    target.asserting(archive.elements(), archive.weak())
    for kind, ids in archive.elements("removed"):
        target.delete(kind, ids)
    target.withdrawing(archive.elements("withdrawn"), lambda other: other.job != record.job)
    return target.sorted()
