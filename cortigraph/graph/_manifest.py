"""The list of what a backup holds, and the copying of files: each with its size and SHA-256, none outside its folder.

<backup>/SHA256SUMS                of the manifest
<backup>/manifest.json             format, versions, when, what the graph holds, and every file
<backup>/database/neo4j/data/…     the store and its transaction logs
<backup>/weights/…  <backup>/batches/…
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cortigraph.graph import jars
from cortigraph.graph._digest import Content
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.home import private_folder
from cortigraph.graph.schema import MIGRATIONS
from cortigraph.graph.sums import SUMS, DamagedError, Sums, sha256, write_sums

__all__ = [
    "DATA", "EXTRAS", "File", "Manifest", "check_room", "copy", "files_in", "listed", "mirror", "read", "verify",
    "write",
]  # fmt: skip

NAME = "manifest.json"
FORMAT = 1
DATA = "database/neo4j/data"
EXTRAS = ("weights", "batches")  # what a home holds beside the database that can't be made again
SPARE_MEGABYTES = 250  # a server must be able to start on the copy
_LOCKS = ("store_lock", "database_lock")


@dataclass(frozen=True)
class File:
    """One file of a backup.

    Args:
        size: In bytes.
        sha256: Of what it holds.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Args:
        created: When, in ISO 8601.
        cortigraph: The version that made it.
        neo4j: The server's version.
        content: What the graph holds.
        files: By path, with slashes, from the backup's folder.
    """

    created: str
    cortigraph: str
    neo4j: str
    content: Content
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a backup's folder.

    Args:
        folder: The backup's.
        manifest: What to write.
    """
    path = folder / NAME
    path.write_text(json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1), encoding="utf-8")
    write_sums(folder, [NAME])
    _sync(path)
    _sync(folder / SUMS)
    _sync(folder)


def read(folder: Path) -> Manifest:
    """Read a backup's manifest.

    Args:
        folder: The backup's.

    Returns:
        The manifest; every path in it stays inside the folder.

    Raises:
        InputError: There is none, or it is damaged, or it was made by a newer version, or names a file outside.
    """
    try:
        told = json.loads(Sums(folder, "use another backup").check(NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} is no backup: it has no {NAME}") from error
    except DamagedError as error:
        raise InputError(f"the backup's {error}") from error
    except ValueError as error:
        raise InputError(f"the backup's {folder / NAME} is damaged: {error}; use another backup") from error
    try:
        _refuse_newer(folder, told)
        files = {str(path): File(int(file["size"]), str(file["sha256"])) for path, file in told["files"].items()}
        manifest = Manifest(told["created"], told["cortigraph"], told["neo4j"], Content(**told["content"]), files)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the backup's {folder / NAME} is damaged ({error!r}); use another backup") from error
    problems = [f"{NAME} names {path!r}, which is no place in a backup" for path in files if not _inside(path)]
    if problems:
        raise InputError(problems)
    return manifest


def _refuse_newer(folder: Path, told: dict[str, Any]) -> None:
    version, schema = told["neo4j"], told["content"]["schema"]
    newest = MIGRATIONS[-1].version
    newer = [f"format {told['format']}, this cortigraph reads {FORMAT}"] if told["format"] != FORMAT else []
    newer += [f"schema version {schema}, this cortigraph knows up to {newest}"] if schema > newest else []
    if _numbers(version) > _numbers(jars.NEO4J_VERSION):
        newer += [f"Neo4j {version}, this cortigraph has {jars.NEO4J_VERSION}"]
    if newer:
        told_so = "; ".join(newer)
        raise InputError(f"the backup in {folder} has {told_so}: upgrade with `pip install -U cortigraph`")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    plain = str(pure) == path and not pure.is_absolute() and ".." not in pure.parts
    return plain and not set(path) & set("\\:\x00") and path.startswith((f"{DATA}/", *(f"{name}/" for name in EXTRAS)))


def listed(folder: Path, progress: jars.Progress | None = None) -> dict[str, File]:
    """Every file below a folder but the manifest, with its size and checksum.

    Args:
        folder: The backup's.
        progress: Told how far it is.

    Raises:
        StoreError: Something in it is a link, or no file.
    """
    paths = [path for path in files_in(folder) if path not in (NAME, SUMS)]
    found = {}
    for number, path in enumerate(paths, 1):
        found[path] = File((folder / path).stat().st_size, sha256(folder / path))
        if progress:
            progress(number, len(paths), "checksums")
    return found


def verify(folder: Path, manifest: Manifest, progress: jars.Progress | None = None) -> None:
    """Compare every file of a backup with its manifest.

    Args:
        folder: The backup's.
        manifest: Its manifest.
        progress: Told how far it is.

    Raises:
        InputError: A file is missing, a link, too short, too long, or holds something else; names all of them.
    """
    problems = []
    for number, (path, file) in enumerate(manifest.files.items(), 1):
        problem = _problem(folder.resolve(), path, file)
        problems += [f"{path} {problem}"] if problem else []
        if progress:
            progress(number, len(manifest.files), "checksums")
    if problems:
        more = [f"and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise InputError([f"the backup in {folder} is damaged; use another", *problems[:20], *more])


def _problem(folder: Path, path: str, file: File) -> str | None:
    place = folder / path
    try:
        status = place.lstat()
        if place.resolve() != place or not stat.S_ISREG(status.st_mode):
            return "is a link, or no file"
        if status.st_size != file.size:
            return f"has {status.st_size} bytes, expected {file.size}"
        return None if sha256(place) == file.sha256 else "does not match its checksum"
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"can't be read: {error.strerror or error}"


def files_in(folder: Path) -> list[str]:
    """The files below a folder, as paths with slashes; without locks and what is hidden (half-written things are).

    Args:
        folder: May be a link itself, and may be absent.

    Raises:
        StoreError: A link or something else that is no file lies in it.
    """
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*names, *(each for each in folders if (Path(here) / each).is_symlink())]:
            path = Path(here) / name
            if name.startswith(".") or name in _LOCKS:
                continue
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise StoreError(f"{path} is a link, or no file: a backup holds plain files only; replace it")
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def mirror(source: Path, target: Path) -> None:
    """Make one folder hold the files of another: what is there already, and has not changed, isn't copied again.

    Args:
        source: May be absent.
        target: Comes into being where there is something to copy.

    Raises:
        StoreError: The disk is full, or something is no plain file.
    """
    wanted = files_in(source)
    for path in set(files_in(target)) - set(wanted):
        (target / path).unlink()
    for path in wanted:
        with contextlib.suppress(FileNotFoundError):  # what has just gone is not in the backup
            if not _same(source / path, target / path):
                copy(source / path, target / path)


def copy(source: Path, target: Path) -> None:
    """Copy a file, private to the user, on to the disk itself."""
    private_folder(target.parent)
    with _no_room(target):
        shutil.copyfile(source, target, follow_symlinks=False)
        target.chmod(0o600)
        status = source.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        _sync(target)


def _same(source: Path, target: Path) -> bool:
    if not target.exists():
        return False
    ours, theirs = source.stat(), target.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit.

    Args:
        folder: Where; may not exist yet.
        needed: Bytes to be copied.

    Raises:
        StoreError: Less than that, and what a server needs to start, is free.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, needed = shutil.disk_usage(there).free >> 20, (needed >> 20) + SPARE_MEGABYTES
    if free < needed:
        raise StoreError(f"too little space at {there}: {needed} MB are needed, {free} are free; choose another place")


@contextlib.contextmanager
def _no_room(path: Path) -> Iterator[None]:
    """Says in plain words what the operating system says when a disk is full, or may not be written."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else (error.strerror or str(error))
        raise StoreError(f"{path} can't be written: {reason}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
