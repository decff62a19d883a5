"""The work of a job before anything is written: sources opened, elements staged, and compared with the graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.history import History, Record
from cortigraph.ingest.batches.target import Target, gone_since
from cortigraph.ingest.elements import Elements
from cortigraph.ingest.spec.columns import check_columns, check_names
from cortigraph.ingest.staging.origin import Origins
from cortigraph.ingest.staging.stage import Staged, stage
from cortigraph.tables.rejects import Rejects

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.ingest.batches.archive import Part
    from cortigraph.ingest.batches.diff import Difference
    from cortigraph.ingest.job import Job
    from cortigraph.tables.base import Progress, Source

__all__ = ["Batch", "Found", "Options", "Work"]


@dataclass(frozen=True)
class Options:
    """How to run a job.

    Args:
        prune: Take back what the job's earlier batches brought and its sources speak of no more.
        max_rejects: How many wrong rows are tolerated, and written to a folder, before everything stops; else what the
            job says.
        rejects: That folder; else one in the home.
        mended: Read the sources from such a folder, after its rows were mended.
        first_load: Whether a large source may go into an empty store through Neo4j's import tool.
    """

    prune: bool = False
    max_rejects: int | None = None
    rejects: Path | None = None
    mended: Path | None = None
    first_load: bool = True


@dataclass(frozen=True)
class Batch:
    """What a run is called, and where it is from.

    Args:
        job: Its name.
        description: Of the job.
        at: When the run began.
        digest: Of the job and of all that its sources hold; None where that is not known beforehand.
        origin: The job's file, or its name.
        origin_digest: Of the job's file.
        pruned: Whether it says everything that its job has to say.
    """

    job: str
    description: str
    at: datetime
    digest: str | None
    origin: str
    origin_digest: str
    pruned: bool

    @property
    def key(self) -> str:
        """Names the batch for ever."""
        mark = hashlib.sha256(f"{self.digest}{self.origin}{self.at.isoformat()}".encode()).hexdigest()[:8]
        return f"{self.job}/{self.at:%Y%m%dT%H%M%SZ}-{mark}"

    def node(self, number: int, state: str) -> dict[str, Any]:
        """As the graph keeps it."""
        from cortigraph import __version__

        told = {"key": self.key, "number": number, "job": self.job, "description": self.description, "state": state}
        told |= {"digest": self.digest, "pruned": self.pruned, "done": 0, "chunks": 0, "version": __version__}
        return {name: value for name, value in told.items() if value is not None} | {"at": self.at}

    def source(self) -> dict[str, Any]:
        """The node of where it is from."""
        return {"key": self.origin, "digest": self.origin_digest}

    def manifest(self, number: int) -> dict[str, Any]:
        """As its archive keeps it."""
        return {**self.node(number, "applying"), "at": self.at.isoformat(), "source": self.source()}


@dataclass(frozen=True)
class Found:
    """What the graph lacks of what a job says.

    Args:
        difference: What is to be written.
        removed: Wires that go because the job declares others.
        gone: What the job withdraws.
    """

    difference: Difference
    removed: Elements = field(default_factory=Elements)
    gone: Elements = field(default_factory=Elements)

    def parts(self, staged: Staged) -> dict[Part, Elements]:
        """What the archive of the batch keeps."""
        before = self.difference.before
        return {"asserted": staged.elements, "before": before, "removed": self.removed, "withdrawn": self.gone}


class Work:
    """What a job has to say, and what of it the graph lacks.

    Args:
        store: Only read.
        home: Keeps archives and decoded data.
        job: As loaded.
        options: How to run it.
        tables: Sources from Python.
        progress: Told how far it is.

    Raises:
        InputError: A source or a column is missing; lists everything.
    """

    def __init__(
        self,
        store: Store,
        home: Home,
        job: Job,
        options: Options,
        tables: Mapping[str, object] | None,
        progress: Progress,
    ) -> None:
        self.store, self.home, self.job, self.options = store, home, job, options
        self.rejects = Rejects(job.max_rejects if options.max_rejects is None else options.max_rejects)
        self._progress = progress
        if options.rejects is not None and options.rejects.exists() and any(options.rejects.iterdir()):
            raise InputError(f"the folder for rejects, {options.rejects}, is not empty; choose another, or --mended it")
        cards = job.tables()
        self.mappings = job.mappings(cards)
        self.sources = self._opened({**cards, **(tables or {})})
        self.batch = self._described()

    def staged(self) -> Staged:
        """Everything that the job asserts.

        Raises:
            RejectedError: More rows are wrong than may be.
        """
        from cortigraph.ingest.staging.declared import declare

        staged = stage(self.store, self.mappings, self.sources, self.rejects, self._progress)
        declare(self.store, self.home, self.job, staged, self._progress)
        return staged

    def found(self, staged: Staged, records: Sequence[Record]) -> Found:
        """What is to be written."""
        from cortigraph.ingest.staging.declared import stale_wires

        history = History(self.home, records)
        target = Target(self.store, history, self.job.job, ledger.next_number(self.store))
        target.asserting(staged.elements, staged.weak)
        removed, gone = stale_wires(self.store, staged), Elements()
        for kind, ids in removed:
            target.delete(kind, ids)
        if self.options.prune:
            gone = gone_since(history, self.job.job, staged.elements)
            target.withdrawing(gone, lambda record: record.job != self.job.job)
        return Found(target.sorted(), removed, gone)

    def origins(self, staged: Staged) -> Origins:
        """Says where an element is from."""
        return Origins(staged, self.sources, self.mappings)

    def write_rejects(self) -> tuple[str, ...]:
        """Writes the rows that were left out, where somebody can mend them; returns the files."""
        if not len(self.rejects):
            return ()
        folder = self.options.rejects or self.home.batches / "rejects" / self.batch.key.replace("/", "@")
        return tuple(str(path) for path in self.rejects.write(folder, self.sources))

    def _opened(self, tables: Mapping[str, object]) -> dict[str, Source]:
        from cortigraph.tables.rejects import mended
        from cortigraph.tables.spec import open_sources

        specs: Mapping[str, Any] = self.job.sources
        if self.options.mended is not None:
            specs = mended(specs, self.options.mended)
        sources = open_sources(specs, self.job.origin.base, tables)
        check_names(self.job, sources)
        check_columns(self.job, sources)
        return sources

    def _described(self) -> Batch:
        job = self.job
        told = [job.model_dump(mode="json"), {name: source.fingerprint() for name, source in self.sources.items()}]
        text = json.dumps(told, sort_keys=True).encode()
        # Data sets are looked into only when they are decoded: nothing is known of their samples before.
        digest = None if job.datasets else f"sha256:{hashlib.sha256(text).hexdigest()}"
        origin, at = job.origin, datetime.now(UTC)
        return Batch(job.job, job.description, at, digest, origin.key, origin.digest, self.options.prune)
