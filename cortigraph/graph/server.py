"""The embedded Neo4j of a home: found running or started, and stopped.

database/server.json      pid, create_time, port, version of the server that runs (gone when none does)
database/password         readable by the user alone; `password.new` until the server has taken it over
database/server.log       what the server said, the place to look when it does not start
database/starting.lock    held while a process starts a server: two that open a home at once share one
database/running.lock     held by the server itself as long as it lives
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortigraph.graph import _launch, aot, jars
from cortigraph.graph.errors import StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.processes import alive
from cortigraph.graph.variables import read_variables

__all__ = ["Address", "Status", "disk_is_full", "ensure", "paused", "restart", "start", "status", "stop"]

USER = "neo4j"
STARTING_SECONDS = 300.0
STOPPING_SECONDS = 60.0
PANIC_SECONDS = 20.0  # a server that has given up has nothing to write any more: it need not take long to stop


@dataclass(frozen=True)
class Address:
    """What a client needs to log in. The password stays out of `repr`, logs and errors."""

    uri: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Status:
    """What is known of a home's server without starting it."""

    running: bool
    pid: int | None = None
    port: int | None = None
    version: str = jars.NEO4J_VERSION
    since: float | None = None  # seconds since the epoch
    stored_bytes: int = 0

    @property
    def uri(self) -> str | None:
        """Where a client connects."""
        return f"bolt://127.0.0.1:{self.port}" if self.port else None


def ensure(home: Home, progress: jars.Progress | None = None) -> Address:
    """The address of the home's server, which is started (and its jars fetched) if it does not run.

    Args:
        home: Whose store.
        progress: Called with (done, in all, text) while jars are fetched on first use.

    Returns:
        Where it is and how to log in.

    Raises:
        SetupError: Java or the jars can't be had.
        StoreError: The server does not start; carries the diagnosis and the log's last lines.

    Example:
        >>> ensure(Home.resolve()).uri  # doctest: +SKIP
        'bolt://127.0.0.1:43121'
    """
    return _running_address(home) or start(home, progress)


def start(home: Home, progress: jars.Progress | None = None, *, any_port: bool = False, mend: bool = False) -> Address:
    """Start the home's server, or find the one that another process has just started.

    Args:
        home: Whose store.
        progress: Called while jars are fetched.
        any_port: Leave `CORTIGRAPH_PORT` to another server: this one is for a moment.
        mend: Cut off a transaction that is torn at the log's end; the log as it was stays in `torn-…` beside it.

    Returns:
        Where it is and how to log in.

    Raises:
        InputError: A variable of the environment is wrong.
        SetupError: Java or the jars can't be had.
        StoreError: The server does not start.
    """
    read_variables()
    with _turn(home):
        found = _running_address(home)
        if found is not None:
            return found
        if mend:
            _keep_log(home)
        return _start(home, progress, any_port=any_port, mend=mend)


def restart(home: Home, given_up: Address) -> Address:
    """Start the home's server anew, unless another process has done so: after a full disk it serves nobody any more.

    Args:
        home: Whose server.
        given_up: The one that is of no use.

    Returns:
        The address of the one that runs now.

    Raises:
        StoreError: The disk is still full, or the server does not start.
    """
    with _turn(home):
        found = _running_address(home)
        if found is not None and found != given_up:
            return found
        _launch.check_space(home.database)
        stop(home, PANIC_SECONDS)
        # It gave up in the middle of writing a transaction, which nobody was told is committed.
        return _start(home, mend=True)


@contextlib.contextmanager
def paused(home: Home) -> Iterator[None]:
    """No server of the home runs inside the block; one that ran is started again after it. Who needs it waits.

    Args:
        home: Whose server.

    Raises:
        StoreError: It can't be stopped, or does not start again.
    """
    from filelock import FileLock, Timeout

    with _turn(home):
        ran = stop(home)
        try:
            with FileLock(home.database / "running.lock", timeout=STOPPING_SECONDS):
                yield
        except Timeout as error:
            raise StoreError(f"the server in {home.database} does not end; see server.log there") from error
        finally:
            if ran:
                _start(home)


@contextlib.contextmanager
def _turn(home: Home) -> Iterator[None]:
    """Processes that start or stop the server of one home take turns."""
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(home.database / "starting.lock", timeout=STARTING_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process has been starting the server in {home.database} for {STARTING_SECONDS:.0f} s; "
            f"see server.log there, end that process, and try again"
        ) from error
    except PermissionError as error:
        raise _no_permission(home, error) from error
    try:
        yield
    finally:
        lock.release()


def _start(home: Home, progress: jars.Progress | None = None, *, any_port: bool = False, mend: bool = False) -> Address:
    try:
        _launch.check_space(home.database)
        fresh = not jars.present()
        jars.fetch(progress=progress)
        folder = jars.folder()
        if fresh:  # who has waited for the jars waits a little more, and less at every start
            aot.prepare(folder, progress)
        password = _password(home.database)
        port = _launch.launch(home.database, folder, jars.NEO4J_VERSION, any_port=any_port, mend=mend)
        return Address(f"bolt://127.0.0.1:{port}", USER, password)
    except PermissionError as error:
        raise _no_permission(home, error) from error
    except OSError as error:
        if not disk_is_full(home):
            raise
        raise StoreError(f"the disk is full: {error}; free some space, or move CORTIGRAPH_HOME") from error


def _keep_log(home: Home) -> None:
    """A copy of the transaction log before it is cut: whoever knows how may find in it what recovery could not read."""
    log = home.database / "neo4j" / "data" / "transactions"
    if log.exists():
        shutil.copytree(log, home.database / f"torn-{time.strftime('%Y%m%d-%H%M%S')}", dirs_exist_ok=True)


def _no_permission(home: Home, error: PermissionError) -> StoreError:
    return StoreError(f"no permission to use {home.database}: {error}; choose another with CORTIGRAPH_HOME")


def stop(home: Home, timeout: float = STOPPING_SECONDS) -> bool:
    """Stop the home's server cleanly; nothing that was committed is lost either way.

    Args:
        home: Whose server.
        timeout: Seconds to wait before it is killed.

    Returns:
        Whether one was running.
    """
    import psutil

    state = read_state(home)
    if state is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(state["pid"])
        process.terminate()
        deadline = time.monotonic() + timeout
        while _is_alive(state) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _is_alive(state):
            process.kill()
    read_state(home)  # clears what a killed one left, and touches nothing of a successor's
    return True


def status(home: Home) -> Status:
    """What runs, where, and how much is stored. Starts nothing.

    Args:
        home: Whose server.

    Example:
        >>> import tempfile
        >>> status(Home.resolve(tempfile.mkdtemp())).running
        False
    """
    state = read_state(home)
    stored = _stored_bytes(home.root / "database")
    if state is None:
        return Status(running=False, stored_bytes=stored)
    return Status(True, state["pid"], state["port"], state["version"], state["create_time"], stored)


def disk_is_full(home: Home) -> bool:
    """Whether nothing can be written any more where the store lies.

    Args:
        home: Whose store.
    """
    return _launch.is_full(home.database)


def other_password(home: Home) -> str:
    """What to say when the home's server refuses the password that lies in its file.

    Args:
        home: Whose server.
    """
    return (
        f"the password in {home.database / 'password'} is not the server's; delete that file and try again: "
        "the server starts anew under a new password, and what it holds stays as it is"
    )


def read_state(home: Home) -> dict[str, Any] | None:
    """The state of the server that runs now; a file that a killed server left behind is removed.

    The creation time guards against another process that has been given the same number since.
    """
    path = _state_file(home.root / "database")
    try:
        text = path.read_text(encoding="utf-8")
        state: dict[str, Any] = json.loads(text)
        if _is_alive(state):
            return state
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        pass  # not ours or half a file: as good as none
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == text:  # unless a new server has just written its own
            path.unlink()
    return None


def _running_address(home: Home) -> Address | None:
    state = read_state(home)
    if state is None:
        return None
    try:
        password = _read_password(home.database / "password")
    except FileNotFoundError:
        # Without the password the running server is of no use to anyone: stop it, and the next start sets a new one.
        stop(home)
        return None
    return Address(f"bolt://127.0.0.1:{state['port']}", USER, password)


def _is_alive(state: dict[str, Any]) -> bool:
    return alive(state["pid"], state["create_time"])


def _password(database: Path) -> str:
    """The password in force, or a new one that the server will take over at its start."""
    for name in ("password", "password.new"):
        with contextlib.suppress(FileNotFoundError):
            text = _read_password(database / name)
            if text:
                return text
    password = secrets.token_urlsafe(24)
    path = database / "password.new"
    path.unlink(missing_ok=True)
    (database / "password").unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password)
        file.flush()
        os.fsync(descriptor)
    return password


def _read_password(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} is not the file with the server's password any more; delete it, and the next start draws a new one"
        ) from error


def _state_file(database: Path) -> Path:
    return database / "server.json"


def _stored_bytes(database: Path) -> int:
    total = 0
    for path in (database / "neo4j" / "data").rglob("*"):
        with contextlib.suppress(OSError):  # files come and go while the server runs
            total += path.stat().st_size if path.is_file() else 0
    return total
