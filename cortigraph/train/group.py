"""A group of processes, on this machine or on several, that is started once and then serves any number of jobs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cortigraph.train.errors import TrainError, WorkerLostError
from cortigraph.train.hosts import Slot, is_here
from cortigraph.train.meeting import open_meeting, package_path
from cortigraph.train.spool import Spool
from cortigraph.train.watch import Watch

__all__ = ["Group", "cores"]

REMOTE_SHELL = "CORTIGRAPH_RSH"  # a command that takes what ssh takes: host, then one line for a shell there
_GRACE = 5.0  # seconds that ranks have to stop by themselves
_POLL = 0.01
_TAIL = 12  # lines of a log that go into an error


class Group:
    """N processes under one engine.

    Each is a child of this process (on another host: of its ssh), with a log of its own. If one dies, falls silent or
    keeps the others waiting, all are ended and the error says which and why; if this process dies, they end by
    themselves.

    Args:
        engine: `horovod` or `torch`.
        slots: Where ranks run, one each.
        threads: Of each.
        silence: Seconds without a sign of life after which a rank is taken for dead.
        stall: Seconds that ranks may keep others waiting.
        join: Seconds within which all ranks must have joined.
        shared: A folder that all hosts see, where there are other hosts than this.

    Raises:
        TrainError: They did not all start.
    """

    def __init__(
        self,
        engine: str,
        slots: Sequence[Slot],
        threads: int,
        shared: Path,
        *,
        silence: float = 30.0,
        stall: float = 60.0,
        join: float = 120.0,
    ) -> None:
        self.engine, self.slots = engine, list(slots)
        self._threads = threads
        away = any(not is_here(slot.host) for slot in slots)
        shared.mkdir(parents=True, exist_ok=True)
        self.spool = Spool(Path(tempfile.mkdtemp(prefix="cortigraph-train-", dir=shared if away else None)))
        self._watch = Watch(self.spool, len(slots), silence, stall)
        self._asked = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._meeting = open_meeting(engine, slots)
        try:
            for rank in range(len(slots)):
                self._processes.append(self._start(rank))
            self._wait(self._joined, time.monotonic() + join)
        except BaseException:
            self._kill()
            raise

    def _start(self, rank: int) -> subprocess.Popen[bytes]:
        slot = self.slots[rank]
        command = [sys.executable, "-u", "-m", "cortigraph.train.worker", str(self.spool.folder)]
        told = {**self._meeting.environment(rank), **_surroundings(self._threads, self.engine)}
        here = is_here(slot.host)
        if not here:
            command, told = _remotely(slot.host, command, told), {}
        with self.spool.log(rank).open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if here else subprocess.PIPE,  # it ends when we are gone
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **told},
                start_new_session=True,  # Ctrl-C is for us: we end the ranks in order
            )

    @property
    def pids(self) -> list[int]:
        """Process of each rank."""
        return [process.pid for process in self._processes]

    def ask(
        self,
        request: dict[str, Any],
        on_progress: Callable[[str], None] | None = None,
        pause: Callable[[], bool] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Has the group do something, and waits for it.

        Args:
            request: For every rank.
            on_progress: Given each line of progress.
            pause: Asked every second whether the group shall stop at the next commit.

        Returns:
            The number of the request, and its result.

        Raises:
            WorkerLostError: A rank is lost; the group is ended.
        """
        self._asked += 1
        number, seen, looked = self._asked, 0, time.monotonic()
        self.spool.ask(number, request)
        result = None

        def done() -> bool:
            nonlocal seen, result, looked
            result = self.spool.result(number)  # before the lines: none is written after it
            for line in self.spool.progress(number, seen):
                seen += 1
                if on_progress is not None:
                    on_progress(line)
            if pause is not None and time.monotonic() - looked > 1:
                looked = time.monotonic()
                if pause():
                    self.spool.file(number, "pause").touch()
            return result is not None

        try:
            self._wait(done)
        except TrainError:
            self._kill()  # the logs stay: the error names them
            raise
        except BaseException:
            self._kill()
            shutil.rmtree(self.spool.folder, ignore_errors=True)
            raise
        assert result is not None
        return number, result

    def _joined(self) -> bool:
        return all(self.spool.ready(rank).exists() for rank in range(len(self.slots)))

    def _wait(self, done: Callable[[], bool], until: float | None = None) -> None:
        while not done():
            for rank, process in enumerate(self._processes):
                code = process.poll()
                if code is not None and not done():
                    raise self._lost(*self._first_dead(rank, code))
            blamed, why = self._watch.look(len(self._processes))
            if why:
                raise self._lost(blamed, why)
            if until is not None and time.monotonic() > until:
                missing = [rank for rank in range(len(self.slots)) if not self.spool.ready(rank).exists()]
                raise self._lost((missing[0],), "did not join in time")
            time.sleep(_POLL)

    def _first_dead(self, rank: int, code: int) -> tuple[tuple[int, ...], str]:
        # One that was killed takes the others with it: it is the one to name, not who noticed first.
        time.sleep(0.5)
        for other, process in enumerate(self._processes):
            found = process.poll()
            if found is not None and found < 0:
                rank, code = other, found
                break
        return (rank,), f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _lost(self, ranks: tuple[int, ...], what: str) -> WorkerLostError:
        size = len(self.slots)
        if ranks:
            names = " and ".join(f"rank {rank}" for rank in ranks)
            who = f"{names} of {size}" + self._where(ranks)
            log = self.spool.log(ranks[0])
        else:
            who, log = f"all {size} ranks", self.spool.log(0)
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        except OSError:
            lines = []
        tail = "\n".join(f"  | {line}" for line in lines) or "  | (it printed nothing)"
        return WorkerLostError(
            f"training ended: {who} {what}; the others were stopped, and the job can be "
            f"started again from its last checkpoint. Last lines of {log}:\n{tail}",
            ranks,
            self.spool.folder,
        )

    def _where(self, ranks: tuple[int, ...]) -> str:
        away = sorted({self.slots[rank].host for rank in ranks if not is_here(self.slots[rank].host)})
        return f" on {', '.join(away)}" if away else ""

    def close(self) -> None:
        """Tells the ranks to stop, ends those that do not, and removes the spool."""
        if any(process.poll() is None for process in self._processes):
            self.spool.ask(self._asked + 1, {"kind": "stop"})
            until = time.monotonic() + _GRACE
            while time.monotonic() < until and any(process.poll() is None for process in self._processes):
                time.sleep(_POLL)
        self._kill()
        shutil.rmtree(self.spool.folder, ignore_errors=True)

    def _kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process in self._processes:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._meeting.close()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _surroundings(threads: int, engine: str) -> dict[str, str]:
    return {
        "CORTIGRAPH_ENGINE": engine,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "20000",  # see benchmarks/threads.py
        "PYTHONPATH": package_path(),
    }


def _remotely(host: str, command: Sequence[str], told: dict[str, str]) -> list[str]:
    """The same command on another host, which has the same folders and Python in the same places."""
    told = {**told, "CORTIGRAPH_STDIN": "watch"}
    words = ["env", *(f"{name}={value}" for name, value in told.items()), *command]
    shell = os.environ.get(REMOTE_SHELL, "ssh -o BatchMode=yes -o ServerAliveInterval=5")
    return [*shlex.split(shell), host, f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(words)}"]
