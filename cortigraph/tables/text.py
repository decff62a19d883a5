"""Text cells become typed columns: a whole column at a time, and only a column in which one fails is looked into."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cortigraph.tables._casts import beyond
from cortigraph.tables.cells import Notation, Reasons, blanked, failing
from cortigraph.tables.lists import lists, vectors
from cortigraph.tables.numbers import numbers
from cortigraph.tables.types import Type, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_text", "zoned"]

_EXPECTED = {
    "bool": "expected true or false, or 1 or 0; give the column the type text to keep other words",
    "date": "expected a date such as 2024-05-31; give the column the type text to keep it as it is",
    "datetime": "expected a date and time such as 2024-05-31T13:45:00, to the microsecond and without a zone; give the "
    "column the type text to keep it as it is",
    "instant": "expected a date and time with a zone, such as 2024-05-31T13:45:00Z, as the first one here has; give "
    "the column the type text to keep it as it is",
}


def from_text(texts: pa.Array, kind: Type, notation: Notation) -> tuple[pa.Array, Reasons]:
    """Text as the type that was asked for.

    Args:
        texts: Text; null stays null.
        kind: What it is to become.
        notation: How numbers and lists are written.

    Returns:
        The column, null where a cell is refused, and why.

    Example:
        >>> import pyarrow as pa
        >>> from_text(pa.array(["1", "x7"]), Type("int"), Notation())[1]
        {1: 'expected a whole number'}
    """
    if kind.name == "text":
        return texts, {}
    if kind.name == "list":
        return lists(texts, kind, notation)
    if kind.name == "vector":
        return vectors(texts, kind.size, notation)
    if kind.name in ("int", "float"):
        return numbers(texts, kind, notation)
    return _others(texts, kind)


def zoned(texts: pa.Array) -> bool | None:
    """Whether the first time in a column names its zone; `None` where there is no time."""
    import pyarrow.compute as pc

    present = pc.drop_null(texts)
    return bool(re.search(r"[T ].*([Zz]|[+-]\d\d(:?\d\d)?)\s*$", present[0].as_py())) if len(present) else None


def _others(texts: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa
    import pyarrow.compute as pc

    target = arrow_type(kind)
    wrong: list[int] = []
    try:
        column = texts.cast(target)
    except pa.ArrowInvalid:
        texts = pc.utf8_trim_whitespace(texts)
        wrong = failing(texts, target)
        column = blanked(texts, wrong).cast(target)
    reasons = {**dict.fromkeys(wrong, _EXPECTED[kind.name]), **beyond(column)}
    return blanked(column, reasons), reasons
