"""Crew: worker processes of this machine that help a search for as long as it is solved here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.train.errors import TrainError

__all__ = ["Crew", "crew"]

_GRACE = 5.0  # seconds to stop in
_TAIL = 12  # lines of a log that go into an error


class Crew:
    """The workers; those that are left go on if one dies.

    Args:
        processes: Each with the file that its output goes to.
    """

    def __init__(self, processes: list[tuple[subprocess.Popen[bytes], Path]]) -> None:
        self.processes = processes

    def check(self) -> None:
        """Makes sure that not all of them failed by themselves, which the search would only notice by being slow.

        Raises:
            TrainError: They did; with the end of what one of them said.
        """
        codes = [process.poll() for process, _ in self.processes]
        if codes and all(code is not None and code > 0 for code in codes):
            told = self.processes[0][1].read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
            raise TrainError("every worker of this search failed; the first one said:\n" + "\n".join(told))

    def stop(self) -> None:
        """Ends them; a candidate that one has begun is free at once."""
        for process, _ in self.processes:
            process.terminate()
        for process, _ in self.processes:
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def crew(store: Store, home: Home, search: str, count: int, threads: int) -> Iterator[Crew]:
    """Workers for a search, ended with the block; they end by themselves if this process dies.

    Args:
        store: What they open too.
        home: Theirs as well.
        search: Its key.
        count: How many.
        threads: Of each.
    """
    with tempfile.TemporaryDirectory(prefix="cortigraph-crew-") as folder:
        started = []
        for number in range(count):
            log = Path(folder) / f"{number}.log"
            command = [sys.executable, "-m", "cortigraph.reasoning.solving.help", search, str(home.root), str(threads)]
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **store.surroundings()},
                    start_new_session=True,  # Ctrl-C is for us: we end them
                )
            started.append((process, log))
        found = Crew(started)
        try:
            yield found
        finally:
            found.stop()
