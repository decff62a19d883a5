"""Taking batches back, going on after a crash, ending what can't go on, and saying what there is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cortigraph.graph.errors import CortigraphError, InputError, UnknownKeyError
from cortigraph.ingest.batches import finish, ledger
from cortigraph.ingest.batches.ending import ends, reason
from cortigraph.ingest.batches.finish import Ended, finish_interrupted
from cortigraph.ingest.batches.history import Record
from cortigraph.ingest.batches.intent import Begun, begun
from cortigraph.ingest.run import Options, Report, run

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.tables.base import Progress

__all__ = ["Resumed", "abandon", "batches", "interrupted", "resume", "revert"]


@dataclass
class Resumed:
    """What `resume` did.

    Args:
        ended: What became of each batch that was being written, or taken back.
        reports: Of the jobs that were run again, because they were killed before they wrote anything.
        refused: The jobs that could not be run again, and why; they are tried again until `abandon` ends them.
        lost: Names of jobs that can be run again only from Python, where their tables are.
    """

    ended: list[Ended] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    refused: list[Ended] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def finished(self) -> list[str]:
        """Keys of the batches that are as they should be."""
        return [each.batch for each in self.ended if each.state in ("done", "reverted") and not each.reason]

    @property
    def failed(self) -> list[Ended]:
        """The batches and the jobs that could not be finished."""
        return [each for each in (*self.ended, *self.refused) if each.batch not in self.finished]


def batches(store: Store) -> list[Record]:
    """All batches, by number."""
    return ledger.records(store)


def interrupted(home: Home) -> list[str]:
    """The names of jobs that were begun, and whose process is gone before it wrote all."""
    return [note.name for note in begun(home)]


def revert(store: Store, home: Home, key: str, progress: Progress | None = None) -> Report:
    """Takes back what a batch brought, and nothing that another batch also asserts.

    What it changed gets back the values that the batches that are left, or whoever was there before, gave it. A node
    that somebody's relationship still needs stays, bare.

    Args:
        store: An open store.
        home: Has the archives of batches.
        key: Of the batch, or its number.
        progress: Told how far it is.

    Returns:
        What was done.

    Raises:
        UnknownKeyError: There is no such batch.
        InputError: It is reverted already, or the server refuses what would be written; the graph is as before. Or the
            store was opened read-only.
        StoreError: An archive that is needed is not in this home.
    """
    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to revert a batch")
    start = time.perf_counter()
    _counting(_found(store, home, key))
    with ledger.hold(store, lambda text: progress(text, 0, 0) if progress else None) as lease:
        finish_interrupted(store, home, progress, lease)
        record = _counting(_found(store, home, key))
        difference, counters = finish.reverted(store, home, lease, record, progress)
    source = str(record.told.get("description", ""))
    seconds = time.perf_counter() - start
    return Report(record.job, source, record.key, difference.told(), counters, seconds=seconds)


def abandon(store: Store, home: Home, key: str, progress: Progress | None = None) -> Ended:
    """Ends a batch that can't be finished, or a job that can't be begun again: what it wrote is taken back.

    Args:
        store: An open store.
        home: Has the archives of batches.
        key: Of the batch, or its number; or the name of a job that was begun and wrote nothing yet.
        progress: Told whom it waits for.

    Returns:
        What it is now: `abandoned`, or `failed`; `done` if it was being reverted.

    Raises:
        UnknownKeyError: There is no such batch.
        InputError: It is finished, or has ended; or the store was opened read-only.
        StoreError: The store can't be reached, or does not take it; done again, it goes on.
    """
    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to abandon a batch")
    record = _found(store, home, key)
    if record is not None:
        with ledger.hold(store, lambda text: progress(text, 0, 0) if progress else None) as lease:
            record = _found(store, home, key)
            assert record is not None
            if not record.open:
                raise InputError(f"batch {record.key} {_SAID[record.state]}")
            finish.abandoned(store, home, lease, record)
    for note in begun(home):
        if note.name == (key if record is None else record.job):
            note.forget()
    if record is None:
        return Ended(key, "abandoned")
    now = next(each for each in ledger.records(store) if each.key == record.key)
    return Ended(now.key, now.state, now.reason)


def resume(store: Store, home: Home, progress: Progress | None = None) -> Resumed:
    """Goes on after a crash: finishes batches that were being written, and begins jobs again that had not got so far.

    What can't be finished is ended, and keeps nothing else from going on.

    Args:
        store: An open store.
        home: Has the archives of batches.
        progress: Told how far it is.

    Returns:
        What became of each.

    Raises:
        InputError: The store was opened read-only.
        StoreError: The store can't be reached.
    """
    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to resume")
    resumed = Resumed(finish_interrupted(store, home, progress))
    wrong = {each.batch for each in resumed.ended if each.exit_code == InputError.exit_code}
    hopeless = {record.job for record in ledger.records(store) if record.key in wrong}
    for note in begun(home):
        if note.job is None:
            resumed.lost.append(note.name)
            note.forget()
        elif note.name in hopeless:  # it would only fail again
            note.forget()
        else:
            _begin_again(store, home, note, resumed, progress)
    return resumed


def _begin_again(store: Store, home: Home, note: Begun, resumed: Resumed, progress: Progress | None) -> None:
    from cortigraph.ingest.job import load_job

    assert note.job is not None
    try:
        report = run(store, home, load_job(note.job), _options(note.options), progress=progress)
    except Exception as error:  # whatever it is, it must not keep the others from going on
        if not ends(error):
            raise
        code = error.exit_code if isinstance(error, CortigraphError) else 1
        resumed.refused.append(Ended(note.name, "begun", reason(error), code))
        return
    resumed.reports.append(report)
    note.forget()


def _options(told: dict[str, object]) -> Options:
    paths = {name: Path(str(told[name])) for name in ("rejects", "mended") if told.get(name)}
    return Options(**{**told, **paths})  # type: ignore[arg-type]


_SAID = {
    "done": "is done; `cortigraph ingest revert` takes it back",
    "reverted": "is reverted already; run its job to bring it back",
    "failed": "has failed, so nothing of it is in the graph; `cortigraph ingest status` says why",
    "abandoned": "was abandoned, so nothing of it is in the graph; run its job to bring it back",
}


def _counting(record: Record | None) -> Record:
    """A batch of which something is in the graph."""
    if record is None:
        raise InputError("nothing of that job was written yet; `cortigraph ingest abandon` forgets it")
    if record.void and not record.open:
        raise InputError(f"batch {record.key} {_SAID[record.state]}")
    return record


def _found(store: Store, home: Home, key: str) -> Record | None:
    """The batch of a key or a number; None for a job that was begun only."""
    known = {record.key: record for record in ledger.records(store)}
    numbers = {str(record.number): record for record in known.values()}
    record = known.get(key) or numbers.get(key)
    if record is None and key not in (names := interrupted(home)):
        raise UnknownKeyError("batch", key, [*known, *names])
    return record
