"""The server's jars: fetched once from Maven Central, each verified against the lock that ships with the package.

The lock names exactly what Maven resolves, so nothing is resolved on the user's machine: `mvn` (which honours the
user's settings, mirrors and proxies) or, without it, jgo fetches the files by name, in parallel. A set is built in a
temporary folder and renamed into place when every checksum holds, so a half-fetched set is never seen.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cortigraph.graph.errors import SetupError
from cortigraph.graph.home import shared_cache
from cortigraph.graph.threads import threads

__all__ = ["NEO4J_VERSION", "Jar", "Progress", "fetch", "folder", "locked", "present"]

NEO4J_VERSION = "2026.09.0"
MARKER = "complete"
THREADS = 8
MAVEN_SECONDS = 900

# (jars done, jars in all, what is going on)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Jar:
    """One line of the lock.

    Example:
        >>> Jar("io.netty", "netty-x", "4.2", "linux-x86_64", "ab12", 10).file_name
        'netty-x-4.2-linux-x86_64.jar'
    """

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The name that Maven gives the file."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{tail}.jar"


def fetch(cache_folder: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Bring the server's jars into the cache, unless they are there.

    Args:
        cache_folder: Where the set lies; the shared cache if left out.
        progress: Called with (done, in all, text) while jars come in.

    Returns:
        The jars, sorted: the class path.

    Raises:
        SetupError: No network, no space, or a jar whose checksum stays wrong; says what to do.

    Example:
        >>> fetch()[0].suffix  # doctest: +SKIP
        '.jar'
    """
    target = folder(cache_folder)
    if not present(cache_folder):
        from filelock import FileLock

        try:
            with FileLock(target.with_name(f"{target.name}.lock")):
                if not present(cache_folder):  # another process may have fetched them while we waited
                    _install(target, progress or (lambda done, total, text: None))
        except OSError as error:
            raise SetupError(f"cannot store Neo4j's jars in {target}: {error.strerror or error}; {_REMEDY}") from error
    return [target / jar.file_name for jar in locked()]


def folder(cache_folder: Path | None = None) -> Path:
    """Where the set lies, or would.

    Args:
        cache_folder: Its parent; the shared cache if left out.
    """
    return (cache_folder or shared_cache()) / f"neo4j-{NEO4J_VERSION}"


def present(cache_folder: Path | None = None) -> bool:
    """Whether the whole verified set is there. Sizes are compared; 155 MB are not hashed again.

    Args:
        cache_folder: Where to look; the shared cache if left out.
    """
    target = folder(cache_folder)
    if not (target / MARKER).exists():
        return False
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(target)}
    return all(sizes.get(jar.file_name) == jar.size for jar in locked())


@cache
def locked() -> tuple[Jar, ...]:
    """The jars that the lock names.

    Example:
        >>> len(locked())
        230
    """
    text = resources.files("cortigraph.graph").joinpath("neo4j.lock").read_text(encoding="utf-8")
    return tuple(_parse(line) for line in text.splitlines() if line and not line.startswith("#"))


def _parse(line: str) -> Jar:
    coordinate, sha256, size = line.split()
    group, artifact, version, *classifier = coordinate.split(":")
    return Jar(group, artifact, version, classifier[0] if classifier else "", sha256, int(size))


def _install(target: Path, progress: Progress) -> None:
    """Gather a verified set beside the target, then put it in place with one rename."""
    for left_over in target.parent.glob("fetching-*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as folder:
        staging = Path(folder) / "jars"
        staging.mkdir()
        _adopt(target, staging)
        _gather(staging, progress)
        (staging / MARKER).write_text(f"{len(locked())} jars, SHA-256 verified\n", encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)


def _adopt(target: Path, staging: Path) -> None:
    """Keep what is already there and sound: a folder copied from another machine, or all but one damaged jar."""
    for jar in locked():
        source = target / jar.file_name
        if source.is_file() and _sound(source, jar):
            shutil.copyfile(source, staging / jar.file_name)


def _gather(staging: Path, progress: Progress) -> None:
    causes: list[str] = []
    # jgo comes twice: a jar that arrived damaged is deleted by `_missing` and fetched once more.
    for way in (_with_maven, _with_jgo, _with_jgo):
        missing = _missing(staging)
        if not missing:
            return
        cause = way(missing, staging, progress)
        causes += [cause] if cause and cause not in causes else []
    missing = _missing(staging)
    if missing:
        names = ", ".join(jar.file_name for jar in missing[:3]) + (" …" if len(missing) > 3 else "")
        why = "; ".join(causes) or "checksums differ from the lock's, twice"
        raise SetupError(f"{len(missing)} of {len(locked())} jars of Neo4j are missing ({names}): {why}. {_REMEDY}")


def _missing(staging: Path) -> list[Jar]:
    """The jars still to fetch; a file that is not what the lock says is deleted."""
    missing = []
    for jar in locked():
        path = staging / jar.file_name
        if not path.is_file() or not _sound(path, jar):
            path.unlink(missing_ok=True)
            missing.append(jar)
    return missing


def _sound(path: Path, jar: Jar) -> bool:
    if path.stat().st_size != jar.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def _with_maven(missing: Sequence[Jar], staging: Path, progress: Progress) -> str:
    """Let Maven copy the jars, with the user's own settings.

    Returns:
        Why it failed, or nothing.
    """
    maven = shutil.which("mvn")
    if maven is None:
        return ""
    progress(len(locked()) - len(missing), len(locked()), f"fetching Neo4j {NEO4J_VERSION} with mvn")
    pom = staging.parent / "pom.xml"
    pom.write_text(_pom(missing), encoding="utf-8")
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={staging}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"mvn: {error}"
    if done.returncode == 0:
        progress(len(locked()), len(locked()), "verifying checksums")
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
    return f"mvn: {lines[0][:300] if lines else f'exit code {done.returncode}'}"


def _pom(jars: Iterable[Jar]) -> str:
    """A project that depends on just these jars: the lock has resolved everything, nothing is followed."""
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version>"
        + (f"<classifier>{jar.classifier}</classifier>" if jar.classifier else "")
        + "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
        + "</dependency>\n"
        for jar in jars
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>cortigraph</groupId><artifactId>jars</artifactId><version>1</version>\n"
        f"<dependencies>\n{dependencies}</dependencies></project>\n"
    )


def _with_jgo(missing: Sequence[Jar], staging: Path, progress: Progress) -> str:
    """Fetch the jars one by one with jgo's artifact interface (its resolver would follow another set).

    Returns:
        Why it failed, or nothing.
    """
    from jgo import constants
    from jgo.maven import MavenContext

    context = MavenContext(
        repo_cache=staging.parent / "jgo",
        local_repos=[],
        remote_repos={"central": constants.MAVEN_CENTRAL_URL},
        timeout=30,
    )
    done = len(locked()) - len(missing)
    progress(done, len(locked()), f"fetching Neo4j {NEO4J_VERSION} from {constants.MAVEN_CENTRAL_URL}")

    def bring(jar: Jar) -> None:
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        path = component.artifact(classifier=jar.classifier).resolve()
        shutil.move(path, staging / jar.file_name)

    with threads(THREADS) as pool:
        futures = [pool.submit(bring, jar) for jar in missing]
        for number, (jar, future) in enumerate(zip(missing, futures, strict=True), start=done + 1):
            error = future.exception()
            if error is not None:
                pool.shutdown(cancel_futures=True)
                return f"{jar.file_name} from {constants.MAVEN_CENTRAL_URL}: {type(error).__name__}: {str(error)[:300]}"
            progress(number, len(locked()), jar.file_name)
    return ""


_REMEDY = (
    "Check the network (a proxy: HTTPS_PROXY, or ~/.m2/settings.xml for mvn) and try again; or, on a machine without "
    f"network, copy the folder neo4j-{NEO4J_VERSION} from one that has it and set CORTIGRAPH_CACHE to its parent"
)
