"""What feeds each input, row by row: a file, a clip of one, a cell's content, or for texts the cell itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cortigraph.train.data.clips import Clip, find_clips
from cortigraph.train.data.contents import Content, Mixed
from cortigraph.train.data.files import Progress, find_files, in_threads
from cortigraph.train.data.problems import Problems
from cortigraph.train.data.spec import DataSpec
from cortigraph.train.data.table import Listing

__all__ = ["find_column", "find_sources", "hash_sources", "paths_in"]

Sources = Sequence[Any]  # each a Path, a Clip, a Content or None


def find_sources(spec: DataSpec, listing: Listing, problems: Problems) -> dict[str, Sources]:
    """The files of a data set, found and checked but not decoded: of clips, that they lie within their file.

    Args:
        spec: What the user wrote.
        listing: Its samples.
        problems: Takes each row whose file is missing, out of bounds or too short.

    Returns:
        Input name → one per row, None where there is none that may be read; empty for texts of a table.

    Example:
        `find_sources(spec, list_samples(spec, base), problems)`
    """
    found: dict[str, Sources] = {}
    for name, item in spec.inputs.items():
        if item.modality == "text" and spec.folder is None:
            found[name] = []
        elif item.clips:
            found[name] = find_clips(listing, name, item, spec.allow_outside, problems)
        else:
            found[name] = find_column(listing, item.column, spec.allow_outside, problems)
    return found


def find_column(listing: Listing, column: str, outside: bool, problems: Problems) -> Sources:
    """The sources that one column holds or names.

    Args:
        listing: The samples.
        column: Its name.
        outside: Whether a path may leave the listing's folder.
        problems: Takes each row whose file is missing or out of bounds.
    """
    files = find_files(listing, column, outside, problems)
    contents = listing.contents.get(column)
    return files if contents is None else Mixed(contents, files)


def paths_in(sources: Sources) -> Iterator[Path]:
    """The files among the sources of an input."""
    for each in sources.files if isinstance(sources, Mixed) else sources:
        if each is not None:
            yield each.path if isinstance(each, Clip) else each


def hash_sources(listing: Listing, sources: Sources, problems: Problems, progress: Progress) -> list[str]:
    """SHA-256 of the bytes of each; an empty text where there is none.

    Args:
        listing: The samples, for messages.
        sources: One per row, or None.
        problems: Takes files that cannot be read.
        progress: Told how far it is.
    """
    of_file = lru_cache(maxsize=None)(_hash_of)  # one file may serve many rows

    def one(row: int) -> str | None:
        source = sources[row]
        if isinstance(source, Content):
            return hashlib.sha256(source.data).hexdigest()
        return None if source is None else of_file(source)

    hashes = in_threads(one, range(len(sources)), "reading", progress)
    for row, found in enumerate(hashes):
        if found == "":
            problems.add(f"{listing.where(row)}: {sources[row]} cannot be read; check its permissions")
    return [found or "" for found in hashes]


def _hash_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
