"""Running a job: read and checked as a whole, compared with the graph, and only then written, part by part.

Killed at any moment it leaves a graph in which every element is whole. What is missing is written by `resume`, or by
the next run of any job, before it does anything of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from cortigraph.graph.disk import disk_told
from cortigraph.graph.errors import CortigraphError, InputError, StoreError
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.archive import Archive, save, told
from cortigraph.ingest.batches.embed import embed
from cortigraph.ingest.batches.ending import Place, ends, failed
from cortigraph.ingest.batches.finish import finish_interrupted, written
from cortigraph.ingest.batches.first import loads_first
from cortigraph.ingest.batches.history import Record
from cortigraph.ingest.batches.intent import Intent
from cortigraph.ingest.batches.undo import Undo
from cortigraph.ingest.batches.write import Writing
from cortigraph.ingest.work import Found, Options, Work

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.job import Job
    from cortigraph.ingest.staging.stage import Staged
    from cortigraph.tables.base import Progress

__all__ = ["Options", "Report", "run"]


@dataclass(frozen=True)
class Report:
    """What a run did.

    Args:
        job: Its name.
        source: Its file, or its name where it comes with the package.
        batch: The key of what it wrote; None when there was nothing to write.
        counts: Kind of element → created, updated, deleted, unchanged → how many.
        counters: What the server says it changed, such as `nodes_created`.
        rejected: How many rows were left out.
        rejects: Where they were written.
        folded: Kind → how many rows only say again what others say.
        seconds: How long it took.
    """

    job: str
    source: str
    batch: str | None
    counts: Mapping[str, Mapping[str, int]]
    counters: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    rejects: tuple[str, ...] = ()
    folded: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {**vars(self), "seconds": round(self.seconds, 2)}


def run(
    store: Store,
    home: Home,
    job: Job,
    options: Options | None = None,
    *,
    tables: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Writes what a job declares; running it again changes nothing.

    Args:
        store: An open store.
        home: Where the archives of batches, decoded data and weights lie.
        job: As loaded.
        options: How to run it.
        tables: Sources from Python, by name: pandas, Arrow or NetworkX.
        progress: Told how far it is.

    Returns:
        What was done.

    Raises:
        InputError: Everything that is wrong with the job or its sources; nothing was written.
        StoreError: The store can't be reached, and `resume` goes on; or it did not take what it was sent, and nothing
            of the batch stays.

    Example:
        >>> run(store, home, load_job("standard")).counts["Region"]  # doctest: +SKIP
        {'created': 15, 'updated': 0, 'deleted': 0, 'unchanged': 0}
    """
    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to ingest")
    quiet = progress or (lambda what, done, whole: None)
    with disk_told(), Intent(home, job, options or Options(), given=bool(tables)) as intent:
        return _Run(Work(store, home, job, options or Options(), tables, quiet), intent, quiet).run()


class _Run:
    def __init__(self, work: Work, intent: Intent, progress: Progress) -> None:
        self._work, self._intent, self._progress = work, intent, progress
        self._store, self._home, self._job = work.store, work.home, work.job
        self._folded: Mapping[str, int] = {}
        self._began = time.perf_counter()

    def run(self) -> Report:
        known = self._as_before()
        if known is not None:
            return self._report(None, known)
        staged = self._work.staged()
        self._folded = self._work.folded(staged)
        finish_interrupted(self._store, self._home, self._progress)
        records = ledger.records(self._store)
        found = self._work.found(staged, records)
        if not found.difference.changes:
            self._note(records)
            return self._report(None, found.difference.told())
        embed(found.difference, self._home, self._progress)
        with ledger.hold(self._store, lambda text: self._progress(text, 0, 0)) as lease:
            if ledger.records(self._store) != records:  # somebody else has written meanwhile
                finish_interrupted(self._store, self._home, self._progress, lease)
                found = self._work.found(staged, ledger.records(self._store))
                embed(found.difference, self._home, self._progress)
            counters = self._write(lease, staged, found)
        Archive.open(self._home, self._work.batch.key).note(self._store.version())
        return self._report(self._work.batch.key, found.difference.told(), counters)

    def _as_before(self) -> Mapping[str, Mapping[str, int]] | None:
        """The counts of a job whose sources and whose graph are as they were when all of it was there."""
        last = self._last(ledger.records(self._store))
        if last is None:
            return None
        try:
            archive = Archive.open(self._home, last.key)
        except StoreError:
            return None
        if archive.version is None or archive.version != self._store.version():
            return None
        self._folded = archive.manifest.get("folded", {})
        nothing = {"created": 0, "updated": 0, "deleted": 0}
        return {str(kind): {**nothing, "unchanged": rows} for kind, rows in archive.rows().items()}

    def _note(self, records: Sequence[Record]) -> None:
        """All of it is there: the next time need not look, unless something changes."""
        last = self._last(records)
        if last is not None:
            Archive.open(self._home, last.key).note(self._store.version())

    def _last(self, records: Sequence[Record]) -> Record | None:
        """The job's last batch, if it was made of the very same sources."""
        mine = [record for record in records if record.job == self._job.job and not record.void]
        digest = self._work.batch.digest
        same = mine and mine[-1].state == "done" and digest is not None and mine[-1].told.get("digest") == digest
        return mine[-1] if same and not self._work.options.prune else None

    def _write(self, lease: ledger.Lease, staged: Staged, found: Found) -> dict[str, int]:
        batch, changes = self._work.batch, found.difference.changes
        number = ledger.next_number(self._store)
        manifest = {
            **batch.manifest(number),
            "folded": self._folded,
            "weak": [[told(kind), sorted(names)] for kind, names in staged.weak.items()],
        }
        archived = partial(save, self._home, manifest, found.parts(staged))
        first = loads_first(self._store, changes) if self._work.options.first_load else None
        totals = found.difference.totals()
        writing = Writing(self._store, lease, batch.key, Undo(self._home, batch.key))
        try:
            if first is not None:
                return first.load(self._store, batch, number, totals, self._progress, archived)
            archived()
            # What it brings is in the ledger from the start, so that it is told as well of one that `resume` finishes.
            ledger.register(self._store, lease, batch.node(number, "applying") | totals, batch.source())
            self._intent.registered()
            return written(writing, changes, "done", self._progress)
        except Exception as error:
            if not ends(error):
                raise
            raise self._failed(writing, number, error, self._work.origins(staged)) from error

    def _failed(self, writing: Writing, number: int, error: Exception, place: Place) -> Exception:
        """The ledger knows of a batch that failed, however early, and the graph of nothing else of it."""
        batch = self._work.batch
        record = Record(batch.key, number, batch.job, "failing")
        try:
            ledger.retake(self._store, writing.lease)
            if batch.key not in {known.key for known in ledger.records(self._store)}:
                ledger.register(self._store, writing.lease, batch.node(number, "failing"), batch.source())
        except CortigraphError:  # the disk may be full, the server gone: what is in the graph is ended later
            return error
        return failed(writing, self._home, record, error, place)

    def _report(
        self, batch: str | None, counts: Mapping[str, Mapping[str, int]], counters: Mapping[str, int] | None = None
    ) -> Report:
        return Report(
            job=self._job.job,
            source=self._job.origin.key,
            batch=batch,
            counts=counts,
            counters=counters or {},
            rejects=self._work.write_rejects(),
            rejected=len(self._work.rejects),
            folded=self._folded,
            seconds=time.perf_counter() - self._began,
        )
