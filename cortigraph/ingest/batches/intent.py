"""Intents: jobs that were begun, so that `resume` can begin those again that were killed before they wrote anything.

<home>/batches/intents/<name>.json    job, options, and the process that runs it
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.processes import alive, myself

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.ingest.job import Job
    from cortigraph.ingest.work import Options

__all__ = ["Intent", "abandoned"]


class Intent:
    """Notes a run while it lasts; what is left behind was killed, or stopped by a store that failed.

    Args:
        home: Keeps the note.
        job: What is run.
        options: How.
        given: Whether sources are given from Python, so that nobody but the caller can run it again.
    """

    def __init__(self, home: Home, job: Job, options: Options, *, given: bool = False) -> None:
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A wrong job would only be wrong again; a store that failed may have been mended.
        if error is None or isinstance(error, InputError):
            self._path.unlink(missing_ok=True)


def abandoned(home: Home) -> Iterator[dict[str, Any]]:
    """The notes of runs whose process is gone, each run once; a note is forgotten when its turn is over.

    Yields:
        `job` (None if it can't be run again from here), `name` and `options`.
    """
    seen: list[tuple[Any, Any]] = []
    for path in sorted(_folder(home).glob("*.json"), key=lambda each: each.stat().st_mtime):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            path.unlink(missing_ok=True)  # half a note: its run had not begun
            continue
        if note["pid"] == os.getpid() or not alive(note["pid"], note["started"]):
            if (note["job"], note["options"]) not in seen:
                seen.append((note["job"], note["options"]))
                yield note
            path.unlink(missing_ok=True)


def _folder(home: Home) -> Path:
    folder = home.batches / "intents"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _plain(value: Any) -> Any:
    return str(value.absolute()) if isinstance(value, Path) else value
