"""Python values, from JSON or from objects in a table, become typed columns.

As for text, a column that is all of one kind is made at once; only one that is not is looked at value by value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.tables.cells import NOT_FINITE, TOO_LARGE, Reasons, blanked, from_text
from cortigraph.tables.types import Type, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_values", "guessed"]

_KINDS: dict[type, str] = {str: "text", bool: "bool", int: "int", float: "float"}
_PLAIN: dict[str, set[type]] = {
    "text": {str, type(None)},
    "int": {int, type(None)},
    "float": {int, float, type(None)},
    "bool": {bool, type(None)},
}
_NESTED = "holds a nested {}, which a property can't; give the column the type text to store it as JSON text"
_LARGEST = 2**63


class _WrongError(Exception):
    """Carries the reason."""


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


def from_values(values: Sequence[Any], kind: Type, separator: str, *, told: bool) -> tuple[pa.Array, Reasons]:
    """Values as a column.

    Args:
        values: As JSON gives them; `None` is null.
        kind: What they are to be.
        separator: Between the items of a list that is written as text.
        told: Whether the user gave the type; text then takes anything, as JSON.

    Returns:
        The column, null where a value is wrong, and row → reason for those.
    """
    import pyarrow as pa

    if set(map(type, values)) <= _PLAIN.get(kind.name, set()):
        try:
            column = pa.array(values, arrow_type(kind))
        except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
            return _one_by_one(values, kind, separator, told)
        return _finite(column) if kind.name == "float" else (column, {})
    return _one_by_one(values, kind, separator, told)


def _number(values: Sequence[Any]) -> str:
    """The kind of the first value; `float` where some of several numbers are."""
    names = [_KINDS.get(type(value), "") for value in values]
    first = next(iter(names), "")
    return "float" if first == "int" and "float" in names else first or ("text" if names else "")


def _finite(column: pa.Array) -> tuple[pa.Array, Reasons]:
    import numpy as np
    import pyarrow.compute as pc

    finite = pc.is_finite(column).fill_null(True).to_numpy(zero_copy_only=False)
    reasons = dict.fromkeys(np.flatnonzero(~finite).tolist(), NOT_FINITE)
    return blanked(column, reasons), reasons


def _one_by_one(values: Sequence[Any], kind: Type, separator: str, told: bool) -> tuple[pa.Array, Reasons]:
    import pyarrow as pa

    made: list[Any] = []
    reasons: Reasons = {}
    texts: dict[int, str] = {}
    for row, value in enumerate(values):
        made.append(None)
        try:
            if isinstance(value, str) and kind.name != "text" and told:
                texts[row] = _encodable(value)
            elif value is not None:
                made[row] = _checked(value, kind, told)
        except _WrongError as error:
            reasons[row] = str(error)
    column = pa.array(made, arrow_type(kind))
    return _with_texts(column, texts, kind, separator, reasons)


def _with_texts(
    column: pa.Array, texts: dict[int, str], kind: Type, separator: str, reasons: Reasons
) -> tuple[pa.Array, Reasons]:
    """Fills in what was written as text though it is something else, such as dates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not texts:
        return column, reasons
    written, wrong = from_text(pa.array([texts.get(row) for row in range(len(column))], pa.string()), kind, separator)
    mask = pa.array([row in texts for row in range(len(column))])
    return pc.if_else(mask, written, column), reasons | wrong


def _checked(value: Any, kind: Type, told: bool) -> Any:
    """A value as the column holds it."""
    if isinstance(value, dict) and not (told and kind.name == "text"):
        raise _WrongError(_NESTED.format("object"))
    if kind.name == "text":
        return _text(value, told)
    if kind.name == "list":
        return _list(value, kind, told)
    if kind.name == "vector":
        return _vector(value, kind.size)
    return _scalar(value, kind)


def _text(value: Any, told: bool) -> str:
    if isinstance(value, str):
        return _encodable(value)
    if not told:
        raise _mixed(value, "text")
    return _encodable(json.dumps(value, ensure_ascii=False, default=str))


def _encodable(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise _WrongError("holds half of a surrogate pair, which is no character")
    return text


def _scalar(value: Any, kind: Type) -> Any:
    found = _KINDS.get(type(value), "")
    if found != kind.name and not (kind.name == "float" and found == "int"):
        raise _mixed(value, str(kind))
    if kind.name == "int" and not -_LARGEST <= value < _LARGEST:
        raise _WrongError(TOO_LARGE)
    if kind.name != "float":
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _WrongError(NOT_FINITE)
    return number


def _list(value: Any, kind: Type, told: bool) -> list[Any]:
    if not isinstance(value, list):
        raise _mixed(value, str(kind))
    inner = next((item for item in value if isinstance(item, list | dict)), None)
    if inner is not None:
        raise _WrongError(_NESTED.format("list" if isinstance(inner, list) else "object"))
    if None in value:
        raise _WrongError("holds null within a list, which a property can't; leave it out")
    return [_text(item, False) if kind.item == "text" else _scalar(item, Type(kind.item)) for item in value]


def _vector(value: Any, size: int) -> list[float]:
    if not isinstance(value, list):
        raise _mixed(value, f"vector[{size}]")
    if len(value) != size:
        raise _WrongError(f"expected a vector of {size} numbers, got {len(value)}")
    return [_scalar(item, Type("float")) for item in value]


def _mixed(value: Any, expected: str) -> _WrongError:
    names = {list: "a list", dict: "an object", str: "text", bool: "a truth value", int: "a whole number"}
    got = names.get(type(value), "a float" if isinstance(value, float) else f"a {type(value).__name__}")
    remedy = "give the column a type that holds both, such as text" + (" or float" if got == "a float" else "")
    return _WrongError(f"expected {expected} as in the rest of the column, got {got}; {remedy}")
