"""One file of boxes, `frame,id,x,y,w,h,…`, as columns: ground truth, or what a detector saw.

7 columns    … score                                   detections
8, 9         … flag, class[, visibility]               ground truth: evaluated where flag = 1 and class = 1
10           … score (or flag), and a place in the world that is not looked at
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.problems import DataError, Problems

__all__ = ["Boxes", "parse_boxes", "read_bytes"]

_LEAST, _MOST = 7, 10
_PEDESTRIAN = 1
_SHOWN = 10  # problems of one kind that are told of one file; the rest are counted

Column = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Boxes:
    """Boxes of one video, sorted by frame; every column is as long.

    Args:
        frame: From 1.
        id: Of the track; -1 for a detection.
        x: Left edge, in pixels.
        y: Upper edge.
        w: Width.
        h: Height.
        score: A detector's confidence; of ground truth, 1 where the box counts in an evaluation.
        kind: Class of ground truth: 1 is a pedestrian; -1 where the file has none.
        visibility: Share of the box that is seen; 1 where the file does not say.

    Example:
        `truth.evaluated().at(12)`
    """

    frame: Whole
    id: Whole
    x: Column
    y: Column
    w: Column
    h: Column
    score: Column
    kind: Whole
    visibility: Column

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, chosen: Mask | Whole | slice) -> Boxes:
        """Some of the boxes."""
        return Boxes(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def at(self, frame: int) -> Boxes:
        """The boxes of one frame, in the order of the file."""
        low, high = np.searchsorted(self.frame, [frame, frame + 1])
        return self.take(slice(int(low), int(high)))

    def evaluated(self) -> Boxes:
        """The pedestrians that count in an evaluation: of ground truth."""
        return self.take((self.score == 1) & (self.kind == _PEDESTRIAN))

    @property
    def xywh(self) -> Column:
        """(boxes, 4)."""
        return np.stack([self.x, self.y, self.w, self.h], axis=1)

    @classmethod
    def none(cls) -> Boxes:
        """No box."""
        return _columns(np.zeros((0, _LEAST)), truth=False)


def read_bytes(path: Path) -> bytes:
    """What a file holds; unpacked, if its name ends with `.gz`.

    Raises:
        DataError: It can't be read, or is cut short.
    """
    try:
        told = path.read_bytes()
        return gzip.decompress(told) if path.suffix == ".gz" else told
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def parse_boxes(told: bytes, path: Path, length: int, problems: Problems, *, truth: bool) -> Boxes:
    """The boxes of a file.

    Args:
        told: Its content.
        path: For messages.
        length: How many frames the video has.
        problems: Takes each row that is wrong, with its line.
        truth: Whether it is ground truth: then every box has a track, once a frame.

    Returns:
        The boxes, sorted by frame; none where a row is wrong.
    """
    try:
        lines = told.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        problems.add(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})")
        return Boxes.none()
    numbers = np.array([number for number, line in enumerate(lines, start=1) if line.strip()], dtype=np.int64)
    values = _numbers([lines[number - 1] for number in numbers], numbers, path, problems)
    if values is None or not len(values):
        return Boxes.none()
    wrong = _told_rows(values, numbers, path, length, problems, truth)
    if wrong:
        return Boxes.none()
    boxes = _columns(values, truth)
    return boxes.take(np.argsort(boxes.frame, kind="stable"))


def _numbers(rows: Sequence[str], numbers: Whole, path: Path, problems: Problems) -> Column | None:
    if not rows:
        return np.zeros((0, _LEAST))
    try:  # all rows at once; one by one only to say which is wrong
        values = np.loadtxt(rows, delimiter=",", ndmin=2, comments=None, dtype=np.float64)
    except ValueError:
        _tell_cells(rows, numbers, path, problems)
        return None
    if not _LEAST <= values.shape[1] <= _MOST:
        problems.add(
            f"{path}:{numbers[0]}: {values.shape[1]} columns; expected {_LEAST} to {_MOST}: frame,id,x,y,w,h,…"
        )
        return None
    return values


def _tell_cells(rows: Sequence[str], numbers: Whole, path: Path, problems: Problems) -> None:
    width = len(rows[0].split(","))
    found = []
    for number, row in zip(numbers.tolist(), rows, strict=True):
        cells = row.split(",")
        bad = next((cell for cell in cells if not _is_number(cell)), None)
        if bad is not None:
            found.append(f"{path}:{number}: {bad.strip()!r} is not a number")
        elif len(cells) != width:
            found.append(f"{path}:{number}: {len(cells)} columns, but line {numbers[0]} has {width}")
    _tell(found or [f"{path}: cannot be read as rows of numbers with ','"], path, problems)


def _told_rows(values: Column, numbers: Whole, path: Path, length: int, problems: Problems, truth: bool) -> bool:
    """Tells what is wrong with rows of numbers; whether anything is."""
    before = len(problems)

    def told(wrong: Mask, say: Callable[[Column], str]) -> None:
        rows = np.flatnonzero(wrong)
        found = [f"{path}:{numbers[row]}: {say(values[row])}" for row in rows[: _SHOWN + 1]]
        _tell(found, path, problems, len(rows))

    finite: Mask = np.asarray(np.isfinite(values[:, :_LEAST]).all(axis=1))
    told(~finite, lambda row: "a value is not finite")
    frame, track, size = values[:, 0], values[:, 1], values[:, 4:6]
    whole = (
        finite & (frame == np.floor(frame)) & (track == np.floor(track)) & (np.abs(values[:, :2]) < 2**53).all(axis=1)
    )
    told(finite & ~whole, lambda row: f"frame {row[0]:g} and id {row[1]:g}; expected whole numbers")
    told(whole & ((frame < 1) | (frame > length)), lambda row: f"frame {row[0]:g} is not within 1 to {length}")
    told(
        finite & np.asarray((size <= 0).any(axis=1)), lambda row: f"size {row[4]:g} × {row[5]:g}; expected more than 0"
    )
    if truth:
        told(whole & (track < 0), lambda row: f"id {row[1]:g}; expected one from 0, ground truth has tracks")
        told(whole & _again(values[:, :2]), lambda row: f"id {row[1]:g} is in frame {row[0]:g} twice")
    return len(problems) > before


def _again(pairs: Column) -> Mask:
    """Which rows say what an earlier one says."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # stable: of two that are equal the earlier comes first
    again: Mask = np.zeros(len(pairs), dtype=np.bool_)
    again[order[1:]] = (pairs[order[1:]] == pairs[order[:-1]]).all(axis=1)
    return again


def _tell(found: Sequence[str], path: Path, problems: Problems, count: int | None = None) -> None:
    for problem in found[:_SHOWN]:
        problems.add(problem)
    more = (len(found) if count is None else count) - _SHOWN
    if more > 0:
        problems.add(f"{path}: {more} more rows like the last")


def _columns(values: Column, truth: bool) -> Boxes:
    width = values.shape[1]
    has_class = width in (8, 9)  # with ten columns the last three are a place in the world
    kind = values[:, 7] if has_class else np.full(len(values), _PEDESTRIAN if truth else -1)
    seen = values[:, 8] if width == 9 else np.ones(len(values))
    x, y, w, h, score = (values[:, column].copy() for column in range(2, 7))
    frame, track, kinds = (np.asarray(each).astype(np.int64) for each in (values[:, 0], values[:, 1], kind))
    return Boxes(frame, track, x, y, w, h, score, kinds, np.asarray(seen))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
