"""Python values, from JSON or from objects in a table, become typed columns.

As for text, a column that is all of one kind is made at once; only one that is not is looked at value by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.tables._value import WrongError, checked, encodable, kind_of_value
from cortigraph.tables.cells import Notation, Reasons, blanked
from cortigraph.tables.numbers import not_finite
from cortigraph.tables.text import from_text
from cortigraph.tables.types import TEXT, Type, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_values", "guessed", "texts_of"]

_PLAIN: dict[str, set[type]] = {
    "text": {str, type(None)},
    "int": {int, type(None)},
    "float": {int, float, type(None)},
    "bool": {bool, type(None)},
}


def guessed(values: Iterable[Any]) -> Type | None:
    """What a column holds for which no type is given, by its first values.

    Args:
        values: Those; whole numbers and floats together are floats.

    Returns:
        The kind of the first of them (others that differ are told of when they are read); `None` where all are missing.

    Example:
        >>> str(guessed([None, 1, 2.5])), str(guessed([["a"]]))
        ('float', 'list[text]')
    """
    present = [value for value in values if value is not None]
    lists = [value for value in present if isinstance(value, list)]
    if present and isinstance(present[0], list):
        name = _number([item for value in lists for item in value])
        return Type("list", item=name if name in ("int", "float") else "text")
    name = _number(present)
    return Type(name) if name else None


def from_values(values: Sequence[Any], kind: Type, notation: Notation, *, told: bool) -> tuple[pa.Array, Reasons]:
    """Values as a column.

    Args:
        values: As JSON gives them; `None` is null.
        kind: What they are to be.
        notation: How numbers and lists are written where they are text.
        told: Whether the user gave the type; text then takes anything, as JSON.

    Returns:
        The column, null where a value is wrong, and row → reason for those.
    """
    import pyarrow as pa

    if set(map(type, values)) <= _PLAIN.get(kind.name, set()):
        try:
            column = pa.array(values, arrow_type(kind))
        except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
            return _one_by_one(values, kind, notation, told)
        reasons = not_finite(column) if kind.name == "float" else {}
        return blanked(column, reasons), reasons
    return _one_by_one(values, kind, notation, told)


def texts_of(values: Sequence[str | None]) -> tuple[pa.Array, Reasons]:
    """Text as a column, null where it has no UTF-8, and row → reason for those."""
    import pyarrow as pa

    try:
        return pa.array(values, pa.string()), {}
    except UnicodeEncodeError:
        return _one_by_one(values, TEXT, Notation(), told=True)


def _number(values: Sequence[Any]) -> str:
    """The kind of the first value; `float` where some of several numbers are."""
    names = [kind_of_value(value) for value in values]
    first = next(iter(names), "")
    return "float" if first == "int" and "float" in names else first or ("text" if names else "")


def _one_by_one(values: Sequence[Any], kind: Type, notation: Notation, told: bool) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa

    made: list[Any] = []
    reasons: Reasons = {}
    texts: dict[int, str] = {}
    for row, value in enumerate(values):
        made.append(None)
        try:
            if isinstance(value, str) and kind.name != "text" and told:
                texts[row] = encodable(value)
            elif value is not None:
                made[row] = checked(value, kind, told=told)
        except WrongError as error:
            reasons[row] = str(error)
    column = pa.array(made, arrow_type(kind))
    return _with_texts(column, texts, kind, notation, reasons)


def _with_texts(
    column: pa.Array, texts: dict[int, str], kind: Type, notation: Notation, reasons: Reasons
) -> tuple[pa.Array, Reasons]:
    """Fills in what was written as text though it is something else, such as dates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not texts:
        return column, reasons
    written, wrong = from_text(pa.array([texts.get(row) for row in range(len(column))], pa.string()), kind, notation)
    mask = pa.array([row in texts for row in range(len(column))])
    return pc.if_else(mask, written, column), reasons | wrong
