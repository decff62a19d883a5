"""Taking batches back, going on after a crash, and saying what there is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.embed import embed
from cortigraph.ingest.batches.finish import finish_interrupted, without
from cortigraph.ingest.batches.history import History, Record
from cortigraph.ingest.batches.intent import abandoned
from cortigraph.ingest.batches.write import write
from cortigraph.ingest.run import Options, Report, run

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.tables.base import Progress

__all__ = ["Resumed", "batches", "resume", "revert"]


class Resumed:
    """What `resume` did.

    Args:
        finished: Keys of the batches that were finished.
        reports: Of the jobs that were run again, because they were killed before they wrote anything.
        lost: Names of jobs that can be run again only from Python, where their tables are.
    """

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.reports: list[Report] = []
        self.lost: list[str] = []


def batches(store: Store) -> list[Record]:
    """All batches, by number."""
    return ledger.records(store)


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
        InputError: It is reverted already, or the store was opened read-only.
        StoreError: An archive is not in this home.
    """
    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to revert a batch")
    began = time.perf_counter()
    _found(store, key)
    with ledger.hold(store, lambda text: progress(text, 0, 0) if progress else None) as lease:
        finish_interrupted(store, home, progress, lease)
        record = _found(store, key)
        difference = without(store, History(home, ledger.records(store)), record)
        embed(difference, home, progress)
        ledger.finish(store, lease, record.key, state="reverting")
        counters = write(store, lease, record.key, difference.changes, progress)
        ledger.finish(store, lease, record.key, state="reverted")
    source = str(record.told.get("description", ""))
    seconds = time.perf_counter() - began
    return Report(record.job, source, record.key, difference.told(), counters, seconds=seconds)


def resume(store: Store, home: Home, progress: Progress | None = None) -> Resumed:
    """Goes on after a crash: finishes batches that were being written, and begins jobs again that had not got so far.

    Args:
        store: An open store.
        home: Has the archives of batches.
        progress: Told how far it is.

    Raises:
        InputError: A job that is begun again is wrong by now, or the store was opened read-only.
        StoreError: An archive is not in this home.
    """
    from cortigraph.ingest.job import load_job

    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to resume")
    resumed = Resumed()
    resumed.finished = finish_interrupted(store, home, progress)
    for note in abandoned(home):
        if note["job"] is None:
            resumed.lost.append(note["name"])
            continue
        resumed.reports.append(run(store, home, load_job(note["job"]), _options(note["options"]), progress=progress))
    return resumed


def _options(told: dict[str, object]) -> Options:
    paths = {name: Path(str(told[name])) for name in ("rejects", "mended") if told.get(name)}
    return Options(**{**told, **paths})  # type: ignore[arg-type]


def _found(store: Store, key: str) -> Record:
    known = {record.key: record for record in ledger.records(store)}
    numbers = {str(record.number): record for record in known.values()}
    record = known.get(key) or numbers.get(key)
    if record is None:
        raise UnknownKeyError("batch", key, known)
    if record.state == "reverted":
        raise InputError(f"batch {record.key} is reverted already; run its job to bring it back")
    return record
