"""What all that makes columns shares: the reasons why a cell is refused, and columns without such cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COARSE",
    "EXACT",
    "NOT_FINITE",
    "TOO_LARGE",
    "Notation",
    "Reasons",
    "as_text",
    "blanked",
    "failing",
    "rows_of",
]

Reasons = dict[int, str]  # row → why its cell is refused
EXACT = 2.0**53  # from here on, whole numbers that differ become the same float
NOT_FINITE = "expected a finite number; leave it empty, or name it under `missing`"
TOO_LARGE = "does not fit in 64 bits; give the column the type text"
COARSE = "is a whole number whose last digits a float does not hold; give the column the type text"


@dataclass(frozen=True)
class Notation:
    """How numbers and lists are written in cells of text.

    Args:
        separator: Between the items of a list.
        decimal: Before the fraction of a number.
        thousands: Between groups of three digits; nothing, where it is empty.
    """

    separator: str = "|"
    decimal: str = "."
    thousands: str = ""


def as_text(cells: pa.Array) -> tuple[pa.Array, Reasons]:
    """Bytes as text, which is to be UTF-8; null where it is not, and why.

    Example:
        >>> import pyarrow as pa
        >>> as_text(pa.array([b"a", b"\\xe9"]))[1]
        {1: 'is not UTF-8 (byte 0xe9 at 0); save the file as UTF-8'}
    """
    import pyarrow as pa

    try:
        return cells.cast(pa.string()), {}
    except pa.ArrowInvalid:
        wrong = failing(cells, pa.string())
        return blanked(cells, wrong).cast(pa.string()), {row: _not_utf8(cells[row].as_py()) for row in wrong}


def failing(cells: pa.Array, target: pa.DataType) -> list[int]:
    """Which cells can't be cast, found by halving: as many casts as there are such cells, times a logarithm."""
    import pyarrow as pa

    found: list[int] = []
    spans = [(0, len(cells))]
    while spans:
        first, size = spans.pop()
        try:
            cells.slice(first, size).cast(target)
        except pa.ArrowInvalid:
            if size == 1:
                found.append(first)
                continue
            half = size // 2
            spans += [(first + half, size - half), (first, half)]
    return found


def blanked(cells: pa.Array, rows: Iterable[int]) -> pa.Array:
    """The column with null in these rows."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.zeros(len(cells), bool)
    mask[list(rows)] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, cells.type), cells) if mask.any() else cells


def rows_of(mask: pa.Array) -> list[int]:
    """The rows in which something holds; null counts as not.

    Example:
        >>> import pyarrow as pa
        >>> rows_of(pa.array([True, None, False, True]))
        [0, 3]
    """
    import numpy as np

    return np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False)).tolist()


def _not_utf8(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte 0x{data[error.start]:02x} at {error.start}); save the file as UTF-8"
    return "is not UTF-8; save the file as UTF-8"
