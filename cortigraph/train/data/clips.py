"""Sounds that are parts of longer files: one recording with an index beside it, read without unpacking it first.

A clip is found in its file by seeking; nothing but the clip itself is ever held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.files import Progress, find_files, refusal_of
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.sound import measure, opened, part, short
from cortigraph.train.data.spec import InputSpec
from cortigraph.train.data.table import Listing

__all__ = ["Clip", "find_clips", "hash_clips"]


@dataclass(frozen=True)
class Clip:
    """A part of a sound file.

    Args:
        path: The file.
        start: Its first sample.
        length: How many samples.

    Example:
        >>> str(Clip(Path("all.flac"), 2384, 4727))
        'all.flac at 2384'
    """

    path: Path
    start: int
    length: int

    def __str__(self) -> str:
        return f"{self.path} at {self.start}"

    @property
    def suffix(self) -> str:
        """Of the file's name."""
        return self.path.suffix

    def read(self) -> tuple[NDArray[np.float32], int]:
        """The clip, (samples, channels), and samples per second.

        Raises:
            DataError: The file can't be read.
        """
        with opened(self.path) as sound:
            return _clip(sound, self), int(sound.samplerate)


def find_clips(listing: Listing, name: str, item: InputSpec, outside: bool, problems: Problems) -> list[Clip | None]:
    """The clip of each row.

    Args:
        listing: The samples.
        name: Of the input.
        item: Which says where clips lie.
        outside: Whether a path may leave the listing's folder.
        problems: Takes each row whose clip is not within its file.

    Returns:
        One clip per row; None where there is none that may be read.
    """
    files = _files(listing, name, item, outside, problems)
    sizes = {path: _size(path, problems) for path in dict.fromkeys(files) if path is not None}
    found: list[Clip | None] = []
    for row, path in enumerate(files):
        size = sizes[path] if path is not None else None
        span = _span(listing, item, row, problems)
        if path is None or size is None or span is None:
            found.append(None)
            continue
        start, length = span
        if start + length > size:
            end = f"samples {start} to {start + length}"
            problems.add(f"{listing.where(row)}: {end} are not all in {path.name}, which has {size}")
        found.append(Clip(path, start, length) if start + length <= size else None)
    return found


def hash_clips(listing: Listing, clips: Sequence[Clip | None], problems: Problems, progress: Progress) -> list[str]:
    """SHA-256 of each clip's sound; an empty text where there is none. Each file is gone through once.

    Args:
        listing: The samples, for messages.
        clips: One per row, or None.
        problems: Takes clips that cannot be read.
        progress: Told how far it is.
    """
    hashes = [""] * len(clips)
    for done, (row, found) in enumerate(_in_order(clips), start=1):
        if isinstance(found, str):
            hashes[row] = found
        else:
            problems.add(f"{listing.where(row)}: {clips[row]} cannot be read ({found})")
        if done % 64 == 0 or done == len(clips):
            progress("reading", done, len(clips))
    return hashes


def _in_order(clips: Sequence[Clip | None]) -> Iterator[tuple[int, str | DataError]]:
    rows: dict[Path, list[tuple[int, int]]] = {}
    for row, clip in enumerate(clips):
        if clip is not None:
            rows.setdefault(clip.path, []).append((clip.start, row))
    for path, places in rows.items():
        with opened(path) as sound:  # its header has been read before
            for _, row in sorted(places):
                clip = clips[row]
                assert clip is not None
                try:
                    found: str | DataError = _hash(_clip(sound, clip), int(sound.samplerate))
                except (DataError, OSError, RuntimeError) as error:
                    found = error if isinstance(error, DataError) else DataError(short(error))
                yield row, found


def _clip(sound: Any, clip: Clip) -> NDArray[np.float32]:
    if sound.tell() != clip.start:
        sound.seek(clip.start)
    return part(sound, clip.length)


def _hash(wave: NDArray[np.float32], rate: int) -> str:
    return hashlib.sha256(f"{rate} {wave.shape}\n".encode() + wave.tobytes()).hexdigest()


def _files(listing: Listing, name: str, item: InputSpec, outside: bool, problems: Problems) -> list[Path | None]:
    if item.file is None:
        return find_files(listing, item.column, outside, problems)
    reason = refusal_of(listing, str(item.file), outside)
    if reason:
        problems.add(f"file: {reason}")
    return [None if reason else Path(listing.root.resolve(), item.file)] * len(listing)


def _span(listing: Listing, item: InputSpec, row: int, problems: Problems) -> tuple[int, int] | None:
    """First sample and length of a row's clip."""
    if item.every is not None:
        return row * item.every, item.every
    assert item.offset is not None
    assert item.length is not None
    start = _whole(listing, item.offset, row, 0, problems)
    length = _whole(listing, item.length, row, 1, problems)
    return None if start is None or length is None else (start, length)


def _whole(listing: Listing, column: str, row: int, least: int, problems: Problems) -> int | None:
    cell = listing.columns[column][row]
    if cell.isascii() and cell.isdigit() and len(cell) < 19 and int(cell) >= least:
        return int(cell)
    if cell:  # an empty cell is reported with the other empty cells
        problems.add(f"{listing.where(row)}: {column!r} is {cell!r}; expected a whole number of samples, from {least}")
    return None


def _size(path: Path, problems: Problems) -> int | None:
    try:
        return measure(path)[0]
    except DataError as error:
        problems.add(f"{path} is not a sound that can be read ({error})")
        return None
