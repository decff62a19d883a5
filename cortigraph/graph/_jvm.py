"""The child process that holds the embedded Neo4j: `python -m cortigraph.graph._jvm`, started by `server.py`.

It leaves its parent's session, so that it outlives the command that started it, and stops by itself when no client
has been connected for a while. What it tells its parent goes through a pipe, in JSON lines: `{"port": …}` when Bolt
answers or `{"failed": …}`, after `{"pid": …}`; a pipe that closes without either means that the process died.

`SIGUSR1` asks it to take over a store that was made beside its own (see `_swap`): it shuts its databases down, lets the
other in, and opens them again at the same port, which takes half a second because Java stays warm.

A lock on `running.lock` is held as long as the process lives. The operating system lets go of it even when the
process is killed, so the next server knows for certain that the store is free.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cortigraph.graph import aot
from cortigraph.graph._dbms import bound_port, causes, refuse_if_shut, set_password, start_java, start_neo4j
from cortigraph.graph.variables import read_variables

__all__: list[str] = []

OLD_SERVER_SECONDS = 60.0
POLL_SECONDS = 1.0

# What a full disk tears off the end of the transaction log was never committed: recovery may cut it off.
MENDING = {"internal.dbms.tx_log.fail_on_corrupted_log_files": "false"}


def main() -> None:
    """Read the arguments, leave the parent, serve, and report a failure through the pipe."""
    parser = argparse.ArgumentParser()
    for name in ("--database", "--jars", "--version"):
        parser.add_argument(name, required=True)
    parser.add_argument("--pipe", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mend", action="store_true")
    arguments = parser.parse_args()
    if os.fork():  # the parent can wait for this process at once, and no zombie is left behind
        os._exit(0)
    with os.fdopen(arguments.pipe, "w") as pipe:
        try:
            _tell(pipe, {"pid": os.getpid()})
            jars = Path(arguments.jars)
            start_java(jars, aot.options(jars))
            _serve(Path(arguments.database), arguments.port, arguments.version, pipe, mend=arguments.mend)
        except BaseException as error:
            _log(f"{type(error).__name__}: {error}")
            _tell(pipe, {"failed": causes(error)})
            os._exit(1)
    os._exit(0)


class _Asked:
    """What signals ask for."""

    def __init__(self) -> None:
        self._news = threading.Event()
        self.to_stop = False
        self.to_swap = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._swap)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that started us may close

    def wait(self, seconds: float) -> bool:
        """Whether something was asked for within this time."""
        asked = self._news.wait(seconds)
        self._news.clear()
        return asked

    def _stop(self, *_: Any) -> None:
        self.to_stop = True
        self._news.set()

    def _swap(self, *_: Any) -> None:
        self.to_swap = True
        self._news.set()


def _serve(database: Path, port: int, version: str, pipe: Any, *, mend: bool) -> None:
    from filelock import FileLock

    from cortigraph.graph import _swap

    asked = _Asked()
    with FileLock(database / "running.lock", timeout=OLD_SERVER_SECONDS):
        _swap.complete(database)
        dbms = start_neo4j(database, port, MENDING if mend else {})
        try:
            refuse_if_shut(dbms)
            set_password(dbms, database)
            bound = bound_port(dbms)
            state = _write_state(database, bound, version)
            _tell(pipe, {"port": bound})
            pipe.close()
            while _wait(asked, bound):
                asked.to_swap = False
                dbms.shutdown()
                _swap.complete(database)
                dbms = start_neo4j(database, bound)
            # From here on nobody should find this server. A newer one's file is never touched: we hold the lock.
            state.unlink(missing_ok=True)
        finally:
            dbms.shutdown()


def _write_state(database: Path, port: int, version: str) -> Path:
    import psutil

    created = psutil.Process().create_time()
    state = {"pid": os.getpid(), "create_time": created, "port": port, "version": version}
    path = database / "server.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(path)
    return path


def _wait(asked: _Asked, port: int) -> bool:
    """Wait for something to do: true when asked to swap, false when asked to stop or when nobody needs this server.

    Nobody does if no client has been connected for `CORTIGRAPH_IDLE` seconds (0: never).
    """
    idle = read_variables().idle
    last_seen = time.monotonic()
    while not asked.wait(min(POLL_SECONDS, idle / 4 or POLL_SECONDS)):
        if not idle or _clients(port):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > idle:
            _log(f"no client for {idle:.0f} s: stopping")
            return False
    return not asked.to_stop


def _clients(port: int) -> int:
    import psutil

    sockets = psutil.Process().net_connections(kind="tcp")
    return sum(socket.status == psutil.CONN_ESTABLISHED and socket.laddr.port == port for socket in sockets)


def _log(text: str) -> None:
    """Our standard error is `server.log`."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _tell(pipe: Any, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone; the server still serves whoever comes next
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()


if __name__ == "__main__":
    main()
