"""The spool: a folder through which a trainer and its group of workers talk. Every file appears whole or not at all.

000001.request.json     what is asked            000001.progress    one line of JSON per epoch
000001.result.json      what came of it          000001.probabilities.npy
000001.pause            stop at the next commit
rank-0.ready            this rank has joined     rank-0.beat        its exchanges, written every second
rank-0.log              all that it printed
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Spool"]

_POLL = 0.01  # seconds between two looks


class Spool:
    """Reads and writes the files of a spool.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, number: int, request: dict[str, Any]) -> None:
        """Puts a request."""
        self._write(f"{number:06d}.request.json", json.dumps(request))

    def answer(self, number: int, result: dict[str, Any]) -> None:
        """Puts the result of a request."""
        self._write(f"{number:06d}.result.json", json.dumps(result))

    def wait_request(self, number: int, seconds: float) -> str:
        """The text of a request as soon as it is there; an empty one if it is not within some seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            text = self._read(f"{number:06d}.request.json")
            if text:
                return text
            time.sleep(_POLL)
        return ""

    def result(self, number: int) -> dict[str, Any] | None:
        """The result of a request, or None as long as there is none."""
        text = self._read(f"{number:06d}.result.json")
        return json.loads(text) if text else None

    def report(self, number: int, line: str) -> None:
        """Adds a line to the progress of a request."""
        with self.file(number, "progress").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def progress(self, number: int, seen: int) -> list[str]:
        """The whole lines of progress after the first `seen`."""
        lines = self._read(f"{number:06d}.progress").splitlines(keepends=True)
        return [line.rstrip("\n") for line in lines[seen:] if line.endswith("\n")]

    def file(self, number: int, ending: str) -> Path:
        """A file of a request."""
        return self.folder / f"{number:06d}.{ending}"

    def clear(self, number: int) -> None:
        """Removes the files of a request that is done."""
        for path in self.folder.glob(f"{number:06d}.*"):
            path.unlink(missing_ok=True)

    def log(self, rank: int) -> Path:
        """Where a rank's output goes."""
        return self.folder / f"rank-{rank}.log"

    def ready(self, rank: int) -> Path:
        """There once a rank has joined the group."""
        return self.folder / f"rank-{rank}.ready"

    def last_beat(self, rank: int) -> int:
        """When a rank gave its last sign of life, by the clock of the file system; 0 before its first."""
        try:
            return (self.folder / f"rank-{rank}.beat").stat().st_mtime_ns
        except OSError:
            return 0

    def exchanges(self, rank: int) -> tuple[int, int]:
        """How many exchanges a rank has come to, and come back from, when it last gave a sign of life."""
        words = self._read(f"rank-{rank}.beat").split()
        return (int(words[0]), int(words[1])) if len(words) == 2 else (0, 0)

    def beat(self, rank: int, exchanges: Callable[[], tuple[int, int]]) -> None:
        """Gives a sign of life every second, from a thread, as long as this process lives and the folder is there.

        Args:
            rank: This one.
            exchanges: Tells how many exchanges it has come to, and come back from.
        """

        def beating() -> None:
            with suppress(OSError):  # the folder is removed when the group is closed
                while self.folder.is_dir():
                    self._write(f"rank-{rank}.beat", "{} {}".format(*exchanges()))
                    time.sleep(1)

        threading.Thread(target=beating, daemon=True, name="beat").start()

    def _write(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.folder / name)

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
