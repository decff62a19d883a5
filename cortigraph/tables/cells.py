"""Text cells become typed columns: a whole column at a time, and only a column in which one fails is looked into.

Every function gives the column, with null where a cell is wrong, and row → reason for those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cortigraph.tables.types import Type, arrow_type

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["NOT_FINITE", "TOO_LARGE", "Reasons", "as_text", "blanked", "failing", "from_text", "zoned"]

Reasons = dict[int, str]
NOT_FINITE = "expected a finite number; leave it empty, or name it under `missing`"
TOO_LARGE = "does not fit in 64 bits; give the column the type text or float"
_EXPECTED = {
    "int": "expected a whole number",
    "float": "expected a number",
    "bool": "expected true or false",
    "date": "expected a date such as 2024-05-31",
    "datetime": "expected a date and time such as 2024-05-31T13:45:00, to the microsecond and without a zone",
    "instant": "expected a date and time with a zone, such as 2024-05-31T13:45:00Z, as the first one here has",
}


def as_text(cells: pa.Array) -> tuple[pa.Array, Reasons]:
    """Bytes as text, which is to be UTF-8.

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


def from_text(texts: pa.Array, kind: Type, separator: str) -> tuple[pa.Array, Reasons]:
    """Text as the type that was asked for.

    Args:
        texts: Text; null stays null.
        kind: What it is to become.
        separator: Between the items of a list, and of a vector that is not written as JSON.

    Example:
        >>> import pyarrow as pa
        >>> from_text(pa.array(["1", "x7"]), Type("int"), "|")[1]
        {1: 'expected a whole number'}
    """
    if kind.name == "text":
        return texts, {}
    if kind.name == "list":
        return _lists(texts, kind, separator)
    if kind.name == "vector":
        return _vectors(texts, kind.size, separator)
    return _scalars(texts, kind)


def zoned(texts: pa.Array) -> bool | None:
    """Whether the first time in a column names its zone; `None` where there is no time."""
    import pyarrow.compute as pc

    present = pc.drop_null(texts)
    return bool(re.search(r"[T ].*([Zz]|[+-]\d\d(:?\d\d)?)\s*$", present[0].as_py())) if len(present) else None


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


def _scalars(texts: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa

    target = arrow_type(kind)
    wrong: list[int] = []
    try:
        cells = texts.cast(target)
    except pa.ArrowInvalid:
        texts = _tidy(texts)
        wrong = failing(texts, target)
        cells = blanked(texts, wrong).cast(target)
    if kind.name == "int":
        wrong += _hexadecimal(texts)
    reasons = {row: _reason(texts[row].as_py(), kind) for row in wrong}
    if kind.name == "float":
        reasons |= dict.fromkeys(_not_finite(cells), NOT_FINITE)
    return blanked(cells, reasons), reasons


def _tidy(texts: pa.Array) -> pa.Array:
    """Without what Arrow does not take though its meaning is plain: blanks around it, a plus sign."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(pc.ascii_trim_whitespace(texts), r"^\+([0-9])", r"\1")


def _hexadecimal(texts: pa.Array) -> list[int]:
    """Arrow reads `0x1A` as a number; a user who writes that means something else."""
    import numpy as np
    import pyarrow.compute as pc

    found = pc.match_substring(texts, "x", ignore_case=True)
    return [int(row) for row in np.flatnonzero(found.fill_null(False).to_numpy(zero_copy_only=False))]


def _not_finite(cells: pa.Array) -> list[int]:
    import numpy as np
    import pyarrow.compute as pc

    finite = pc.is_finite(cells).fill_null(True)
    return [] if pc.all(finite).as_py() in (True, None) else np.flatnonzero(~finite.to_numpy(False)).tolist()


def _lists(texts: pa.Array, kind: Type, separator: str) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.split_pattern(texts, separator)
    items, wrong = from_text(parts.values, Type(kind.item), separator)
    owners = pc.list_parent_indices(parts)
    reasons = {
        owners[item].as_py(): f"{reason} in every item, got {parts.values[item].as_py()!r}"
        for item, reason in wrong.items()
    }
    lists = pa.ListArray.from_arrays(parts.offsets, items, mask=parts.is_null() if parts.null_count else None)
    return blanked(lists, reasons), reasons


def _vectors(texts: pa.Array, size: int, separator: str) -> tuple[pa.Array, Reasons]:
    import numpy as np
    import pyarrow.compute as pc

    texts = _without_brackets(texts, separator)
    parts = pc.split_pattern(texts, separator)
    lengths = pc.if_else(pc.equal(texts, ""), 0, pc.list_value_length(parts)).fill_null(size).to_numpy(False)
    short = np.flatnonzero(lengths != size)
    reasons: Reasons = {int(row): f"expected a vector of {size} numbers, got {lengths[row]}" for row in short}
    if reasons:
        texts = blanked(texts, reasons)
        parts = pc.split_pattern(texts, separator)
    numbers, wrong = _scalars(parts.values, Type("float"))
    owners = pc.list_parent_indices(parts)
    for item, reason in wrong.items():
        reasons[owners[item].as_py()] = f"{reason} in every place of the vector, got {parts.values[item].as_py()!r}"
    present = ~texts.is_null().to_numpy(zero_copy_only=False)
    return blanked(_fixed(numbers.fill_null(0.0).to_numpy(), present, size), reasons), reasons


def _fixed(numbers: NDArray[np.float64], present: NDArray[np.bool_], size: int) -> pa.Array:
    """Vectors as one column; rows that are not present are null."""
    import numpy as np
    import pyarrow as pa

    values = np.zeros((len(present), size))
    values[present] = numbers.reshape(-1, size)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), size, mask=pa.array(~present))


def _without_brackets(texts: pa.Array, separator: str) -> pa.Array:
    """Vectors that are written as JSON lists, with our separator instead."""
    import pyarrow.compute as pc

    trimmed = pc.ascii_trim_whitespace(texts)
    bracketed = pc.and_(pc.starts_with(trimmed, "["), pc.ends_with(trimmed, "]"))
    if not pc.any(bracketed).as_py():
        return trimmed
    inner = pc.ascii_trim_whitespace(pc.utf8_slice_codeunits(trimmed, 1, -1))
    return pc.if_else(bracketed, pc.replace_substring(inner, ",", separator), trimmed)


def _reason(text: str, kind: Type) -> str:
    if kind.name == "int" and re.fullmatch(r"-?[0-9]+", text):
        return TOO_LARGE
    return _EXPECTED[kind.name]


def _not_utf8(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte 0x{data[error.start]:02x} at {error.start}); save the file as UTF-8"
    return "is not UTF-8; save the file as UTF-8"
