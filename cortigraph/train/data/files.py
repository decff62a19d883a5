"""The files that a listing names: where they are, that they stay inside their folder, and whether they changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from cortigraph.graph.threads import threads
from cortigraph.train.data.problems import Problems
from cortigraph.train.data.table import Listing

__all__ = ["Progress", "find_files", "in_threads", "refusal_of", "signature"]

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

_T = TypeVar("_T")
_R = TypeVar("_R")
_CHUNK = 64  # items between two reports: a report per item would cost more than the item


def find_files(listing: Listing, column: str, outside: bool, problems: Problems) -> list[Path | None]:
    """The file of each row.

    Args:
        listing: The samples.
        column: Column that holds the paths.
        outside: Whether a path may leave the listing's folder.
        problems: Takes each row whose file is missing or out of bounds.

    Returns:
        One path per row; None where there is none that may be read, or the table holds the content itself.
    """
    root = os.path.realpath(listing.root)
    real = lru_cache(maxsize=4096)(os.path.realpath)  # of folders: most files share one
    contents = listing.contents.get(column)
    found: list[Path | None] = []
    for row, cell in enumerate(listing.columns[column]):
        if contents is not None and contents.held[row]:
            found.append(None)
            continue
        path = Path(root, cell)
        reason = _refusal(path, cell, root, outside, real)
        found.append(None if reason else path)
        if reason and cell:  # an empty cell is reported with the other empty cells
            problems.add(f"{listing.where(row)}: {reason}")
    return found


def refusal_of(listing: Listing, name: str, outside: bool) -> str:
    """Why a file that a spec names beside its table may not be read; empty where it may.

    Args:
        listing: Whose folder it is named in.
        name: Its path, relative to that folder.
        outside: Whether the path may leave the folder.
    """
    root = os.path.realpath(listing.root)
    return _refusal(Path(root, name), name, root, outside, os.path.realpath)


def _refusal(path: Path, cell: str, root: str, outside: bool, real: Callable[[str], str]) -> str:
    if not cell:
        return "empty"
    if "\0" in cell:
        return f"{cell!r} is not a path"
    try:
        # a link may lead out of the folder although its path does not
        place = os.path.realpath(path) if path.is_symlink() else os.path.join(real(str(path.parent)), path.name)  # noqa: PTH118
        if not outside and not Path(os.path.normpath(place)).is_relative_to(root):
            return f"{cell!r} leads out of {root}; set data.allow_outside: true if that is meant"
        if not path.is_file():
            return f"no file {path}" if not path.exists() else f"{path} is not a file"
    except OSError as error:
        return f"{cell[:200]!r} is not a path that can be read: {error.strerror}"
    return ""


def signature(paths: Iterable[str]) -> str:
    """A hash of what the file system says about files: it changes when any of them is touched.

    Reading 4,000 files takes seconds, asking about them milliseconds; contents are hashed only when this differs.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            stat = os.stat(path)  # noqa: PTH116
            told = f"{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}"
        except OSError:
            told = "missing"
        digest.update(f"{path}\0{told}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def in_threads(work: Callable[[_T], _R], items: Sequence[_T], what: str, progress: Progress) -> list[_R]:
    """Maps in threads, in order. Decoders spend their time in C code that lets other threads run.

    Args:
        work: Called with each item.
        items: What to work on.
        what: A verb for the progress report.
        progress: Told after every few items.
    """
    results: list[_R] = []
    with threads(max(1, os.cpu_count() or 1)) as pool:
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        for done in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
            results += done
            progress(what, len(results), len(items))
    return results
