"""Intents: jobs that were begun, so that `resume` can begin those again that were killed before they wrote anything.

<home>/batches/intents/<name>.json    job, options, and the process that runs it
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.processes import alive, myself

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.ingest.job import Job
    from cortigraph.ingest.work import Options

__all__ = ["Begun", "Intent", "begun"]


class Intent:
    """Notes a run while it lasts; what is left behind was killed, or stopped by a store that failed.

    A run that ends well stands for those of the same job that did not. From when the ledger knows its batch, it is the
    batch that is finished or abandoned, and not the job that is begun again.

    Args:
        home: Keeps the note.
        job: What is run.
        options: How.
        given: Whether sources are given from Python, so that nobody but the caller can run it again.
    """

    def __init__(self, home: Home, job: Job, options: Options, *, given: bool = False) -> None:
        self._home = home
        self._path = _folder(home) / f"{uuid.uuid4().hex}.json"
        from_file = bool(job.origin.digest) and not given
        self._note = {
            "job": job.origin.key if from_file else None,
            "name": job.job,
            "options": {name: _plain(value) for name, value in vars(options).items()},
            **{name: value for name, value in myself().items() if name != "host"},
        }

    def __enter__(self) -> Self:
        try:
            self._path.write_text(json.dumps(self._note), encoding="utf-8")
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise StoreError(f"nothing can be written to {self._path.parent}: {error.strerror}") from error
        return self

    def registered(self) -> None:
        """The ledger knows the batch: no note of the job, whoever made it, has to begin it again."""
        self._path.unlink(missing_ok=True)
        if self._note["job"] is not None:
            for note in begun(self._home):
                if (note.job, note.options) == (self._note["job"], self._note["options"]):
                    note.forget()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A wrong job would only be wrong again; a store that failed may have been mended.
        if error is None:
            self.registered()
        elif isinstance(error, InputError):
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Begun:
    """The note of a run whose process is gone.

    Args:
        job: The job's file; None if it can't be run again from here.
        name: Of the job.
        options: How it was run.
        paths: Of the notes; there are several if it was begun several times.
    """

    job: str | None
    name: str
    options: dict[str, Any]
    paths: tuple[Path, ...]

    def forget(self) -> None:
        """Nobody has to begin it again."""
        for path in self.paths:
            path.unlink(missing_ok=True)


def begun(home: Home) -> list[Begun]:
    """The runs whose process is gone, each once, the oldest first."""
    found: dict[str, Begun] = {}
    for path in sorted(_folder(home).glob("*.json"), key=lambda each: each.stat().st_mtime):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            gone = note["pid"] == os.getpid() or not alive(note["pid"], note["started"])
            told = (note["job"], str(note["name"]), dict(note["options"]))
        except (OSError, ValueError, LookupError, TypeError):
            path.unlink(missing_ok=True)  # half a note: its run had not begun
            continue
        if gone:
            mark = json.dumps(told, sort_keys=True)
            found[mark] = Begun(*told, (*(found[mark].paths if mark in found else ()), path))
    return list(found.values())


def _folder(home: Home) -> Path:
    folder = home.batches / "intents"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _plain(value: Any) -> Any:
    return str(value.absolute()) if isinstance(value, Path) else value
