"""A group of Horovod processes on this machine that is started once and then serves any number of jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cortigraph.train.errors import TrainError
from cortigraph.train.spool import Spool

__all__ = ["HorovodGroup", "cores"]

_START = 120.0  # seconds within which all ranks must have joined
_STALL = 60  # seconds after which Horovod ends a rank that waits for another
_GRACE = 5.0  # seconds that ranks have to stop by themselves
_POLL = 0.01
_TAIL = 12  # lines of a log that go into an error

_LOOPBACK = "127.0.0.1"


class HorovodGroup:
    """N Horovod processes that talk over the loopback interface.

    Each is a child of this process, with a log of its own. If one dies or falls silent, all are ended and `TrainError`
    says which and why; if this process dies, they end by themselves.

    Args:
        workers: How many.
        threads: Of each.
        silence: Seconds without a sign of life after which a rank is taken for dead.

    Raises:
        TrainError: They did not all start.
    """

    def __init__(self, workers: int, threads: int, silence: float = 30.0) -> None:
        self.workers = workers
        self._silence = silence
        self.spool = Spool(Path(tempfile.mkdtemp(prefix="cortigraph-train-")))
        self._asked = 0
        self._beats: dict[int, tuple[int, float]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._rendezvous, port = _start_rendezvous(workers)
        try:
            for rank in range(workers):
                self._processes.append(self._start(rank, threads, port))
            self._wait(
                lambda: all(self.spool.ready(rank).exists() for rank in range(workers)), time.monotonic() + _START
            )
        except BaseException:
            self._kill()
            raise

    def _start(self, rank: int, threads: int, port: int) -> subprocess.Popen[bytes]:
        with self.spool.log(rank).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-u", "-m", "cortigraph.train.worker", str(self.spool.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_environment(rank, self.workers, threads, port)},
                start_new_session=True,  # Ctrl-C is for us: we end the ranks in order
            )

    @property
    def pids(self) -> list[int]:
        """Process of each rank."""
        return [process.pid for process in self._processes]

    def ask(
        self, request: dict[str, Any], on_progress: Callable[[str], None] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Has the group do something, and waits for it.

        Args:
            request: For every rank.
            on_progress: Given each line of progress.

        Returns:
            The number of the request, and its result.

        Raises:
            TrainError: A rank died; the group is ended.
        """
        self._asked += 1
        number, seen = self._asked, 0
        self.spool.ask(number, request)
        result = None

        def done() -> bool:
            nonlocal seen, result
            result = self.spool.result(number)  # before the lines: none is written after it
            for line in self.spool.progress(number, seen):
                seen += 1
                if on_progress is not None:
                    on_progress(line)
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

    def _wait(self, done: Callable[[], bool], until: float | None = None) -> None:
        while not done():
            for rank, process in enumerate(self._processes):
                code = process.poll()
                if code is not None and not done():
                    raise TrainError(self._told(*self._first_dead(rank, code)))
                if self._silent(rank) > self._silence:
                    raise TrainError(self._told(rank, f"gave no sign of life for {self._silence:.0f} s"))
            if until is not None and time.monotonic() > until:
                missing = [rank for rank in range(self.workers) if not self.spool.ready(rank).exists()]
                raise TrainError(self._told(missing[0], f"did not join within {_START:.0f} s"))
            time.sleep(_POLL)

    def _silent(self, rank: int) -> float:
        # By our own clock since we saw the beat change: a machine that slept, or clocks that differ, prove nothing.
        beat, now = self.spool.last_beat(rank), time.monotonic()
        before, since = self._beats.get(rank, (0, now))
        if not beat or beat != before:
            self._beats[rank] = (beat, now)
            return 0.0
        return now - since

    def _first_dead(self, rank: int, code: int) -> tuple[int, str]:
        # One that was killed takes the others with it: it is the one to name, not who noticed first.
        time.sleep(0.5)
        for other, process in enumerate(self._processes):
            found = process.poll()
            if found is not None and found < 0:
                rank, code = other, found
                break
        return rank, f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _told(self, rank: int, what: str) -> str:
        log = self.spool.log(rank)
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        except OSError:
            lines = []
        tail = "\n".join(f"  | {line}" for line in lines) or "  | (it printed nothing)"
        return (
            f"training ended: rank {rank} of {self.workers} {what}; the others were stopped, and the job can be "
            f"started again from its last checkpoint. Last lines of {log}:\n{tail}"
        )

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
        self._rendezvous()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_rendezvous(workers: int) -> tuple[Callable[[], None], int]:
    """Horovod's meeting point, on the loopback interface only; gives what stops it, and its port."""
    from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

    server = RendezvousHTTPServer((_LOOPBACK, 0), RendezvousHandler, 0)
    server.daemon_threads = True
    server.init(get_host_assignments(parse_hosts(f"localhost:{workers}"), workers))
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="rendezvous").start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop, server.server_address[1]


def _environment(rank: int, workers: int, threads: int, port: int) -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    paths: Sequence[str] = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "HOROVOD_RANK": str(rank),
        "HOROVOD_SIZE": str(workers),
        "HOROVOD_LOCAL_RANK": str(rank),
        "HOROVOD_LOCAL_SIZE": str(workers),
        "HOROVOD_CROSS_RANK": "0",
        "HOROVOD_CROSS_SIZE": "1",
        "HOROVOD_HOSTNAME": "localhost",
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": _loopback_interface(),
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": _LOOPBACK,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        # in ms; at the usual 1 a step of a small network would mostly wait for the next cycle
        "HOROVOD_CYCLE_TIME": os.environ.get("HOROVOD_CYCLE_TIME", "0.3"),
        "HOROVOD_STALL_CHECK_TIME_SECONDS": str(_STALL // 3),
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(_STALL),
        "OMP_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "20000",  # see benchmarks/threads.py
        "MKL_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def _loopback_interface() -> str:
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == _LOOPBACK for address in addresses):
            return str(name)
    return "lo"
