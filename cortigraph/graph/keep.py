"""Keeping a memory: a backup of a home that is consistent and verified, and its way back into an empty one.

    backup    the store, the weights and the archives of batches, each file with its checksum, and what the graph holds
    restore   the same into a home without a database; what the graph holds then is compared

The store's files are copied while the server is stopped, so that no transaction runs; it is started again at once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cortigraph.graph import _manifest, jars, server
from cortigraph.graph._digest import Content, read_content
from cortigraph.graph._manifest import DATA, EXTRAS, Manifest
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store

__all__ = ["Kept", "backup", "restore"]

ATTEMPTS = 5


@dataclass(frozen=True)
class Kept:
    """What was kept, or brought back.

    Args:
        path: Of the backup.
        created: When it was made, in ISO 8601.
        files: How many.
        size: Of all of them, in bytes.
        content: What the graph holds.
        pause: Seconds during which the server did not answer.
    """

    path: Path
    created: str
    files: int
    size: int
    content: Content
    pause: float = 0.0


def backup(home: Home, target: Path, progress: jars.Progress | None = None) -> Kept:
    """Makes a backup of a home.

    Args:
        home: Whose store, weights and batches.
        target: A folder that does not exist, or is empty; it appears whole or not at all.
        progress: Told (done, whole, what).

    Returns:
        What was kept.

    Raises:
        InputError: There is something at `target`, or there is no store to keep.
        StoreError: The disk is full, or somebody writes all the time.

    Example:
        >>> backup(Home.resolve(), Path("memory.backup")).content.nodes  # doctest: +SKIP
        14778
    """
    target = target.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already; a backup goes into a folder of its own")
    if not (home.root / DATA).exists():
        raise InputError(f"there is no store in {home.root}; nothing to keep")
    sources = {DATA: home.root / DATA, **{name: home.root / name for name in EXTRAS}}
    _manifest.check_room(target, sum(_size(path) for path in sources.values()))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".cortigraph-backup-", dir=target.parent))
    try:
        content, pause = _copied(home, sources, partial, progress)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        from cortigraph import __version__

        files = _manifest.listed(partial, progress)
        manifest = Manifest(created, __version__, jars.NEO4J_VERSION, content, files)
        _manifest.write(partial, manifest)
        if target.exists():
            target.rmdir()
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Kept(target, manifest.created, len(files), manifest.size, content, pause)


def restore(source: Path, home: Home, progress: jars.Progress | None = None) -> Kept:
    """Brings a backup back into a home without a database, under a new password.

    Args:
        source: The backup's folder.
        home: Where to; what it has of weights and batches must be nothing.
        progress: Told (done, whole, what).

    Returns:
        What was brought back.

    Raises:
        InputError: It is no backup, damaged or of a newer version, or the home is not empty; nothing was written.
        StoreError: The disk is full, or the graph that came back is another; nothing is left of it.
    """
    source = source.expanduser().absolute()
    manifest = _manifest.read(source)
    taken = [name for name in ("database", *EXTRAS) if _manifest.files_in(home.root / name)]
    if taken:
        raise InputError(f"{home.root} holds a memory already ({', '.join(taken)}); restore into an empty home")
    _manifest.verify(source, manifest, progress)
    _manifest.check_room(home.root, manifest.size)
    try:
        for number, path in enumerate(manifest.files, 1):
            _manifest.copy(source / path, home.root / path)
            if progress:
                progress(number, len(manifest.files), "files")
        content = _compared(home, manifest, progress)
    except BaseException:
        server.stop(home)
        for name in ("database", *EXTRAS):
            shutil.rmtree(home.root / name, ignore_errors=True)
        raise
    return Kept(source, manifest.created, len(manifest.files), manifest.size, content)


def _compared(home: Home, manifest: Manifest, progress: jars.Progress | None) -> Content:
    with open_store(home, read_only=True) as store:  # as it was: an older schema is brought up when it is next opened
        content = read_content(store, progress)
    differences = content.differences(manifest.content)
    if differences:
        raise StoreError("the graph that came back is not the one that was kept: " + "; ".join(differences))
    return content


def _copied(
    home: Home, sources: dict[str, Path], partial: Path, progress: jars.Progress | None
) -> tuple[Content, float]:
    """Copies everything, until nobody has written between the look at the graph and the stop of the server."""
    for _ in range(ATTEMPTS):
        with open_store(home, read_only=True) as store:
            version = store.version()
            content = read_content(store, progress)
            began = time.perf_counter()
            server.stop(home)
            for name, path in sources.items():
                _manifest.mirror(path, partial / name)
            server.ensure(home)
            pause = time.perf_counter() - began
            if store.version() == version:
                return content, pause
    raise StoreError(f"somebody has written all the time, in {ATTEMPTS} tries; make the backup when nobody does")


def _size(folder: Path) -> int:
    return sum((folder / path).stat().st_size for path in _manifest.files_in(folder))
