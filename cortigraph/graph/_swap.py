"""Another store in the place of the one that is there: how a first load gets in, whole or not at all.

    database/incoming-<name>/data/…   a store that was made beside the running one
    database/swap.json                says that it shall take its place; gone when it has

The server completes a swap while its databases are shut down: when it is told to, and at every start. Each step may be
the last one before a kill; the next start goes on from there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["clear", "complete", "pending", "prepare", "propose"]

_PREFIX = "incoming-"
_PARTS = ("databases/neo4j", "transactions/neo4j")


def prepare(database: Path) -> Path:
    """A folder for a store that is being made, in the same file system; what earlier ones left behind goes.

    Args:
        database: The server's folder.
    """
    clear(database)
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=database))


def clear(database: Path) -> None:
    """Removes stores that were never taken over."""
    if not pending(database):
        for path in database.glob(f"{_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


def pending(database: Path) -> bool:
    """Whether a swap is proposed and not complete."""
    return _journal(database).exists()


def propose(database: Path, incoming: Path) -> None:
    """Says that a store shall take the place of the one that is there.

    Args:
        database: The server's folder.
        incoming: As `prepare` gave it, with the store in it.
    """
    for path in sorted(incoming.rglob("*")):
        if path.is_file():
            _sync(path)
    partial = _journal(database).with_suffix(".partial")
    partial.write_text(json.dumps({"incoming": incoming.name}), encoding="utf-8")
    _sync(partial)
    partial.replace(_journal(database))
    _sync(database)


def complete(database: Path) -> bool:
    """Puts the proposed store in its place; only while no database is open.

    Args:
        database: The server's folder.

    Returns:
        Whether there was one.
    """
    if not pending(database):
        return False
    name = json.loads(_journal(database).read_text(encoding="utf-8"))["incoming"]
    incoming = database / Path(str(name)).name
    for part in _PARTS:
        source, target = incoming / "data" / part, database / "neo4j" / "data" / part
        if not source.exists():  # moved before
            continue
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        _sync(target.parent)
    _journal(database).unlink()
    shutil.rmtree(incoming, ignore_errors=True)
    return True


def _journal(database: Path) -> Path:
    return database / "swap.json"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
