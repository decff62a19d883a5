"""One Python value as a column of some type holds it, or the reason why it can't."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from typing import Any

from cortigraph.tables.cells import COARSE, EXACT, NOT_FINITE, TOO_LARGE
from cortigraph.tables.types import Type
from cortigraph.tables.written import COARSE as UNWRITABLE

__all__ = ["WrongError", "checked", "encodable", "kind_of_value", "written"]

# The Python types whose values a column of the type holds as they are.
_KINDS: dict[type, str] = {
    str: "text",
    bool: "bool",
    int: "int",
    float: "float",
    datetime.date: "date",
    datetime.datetime: "datetime",
}
_NESTED = "holds a nested {}, which a property can't; give the column the type text to store it as JSON text"
_LARGEST = 2**63
_NAMES = {
    list: "a list",
    dict: "an object",
    str: "text",
    bool: "a truth value",
    int: "a whole number",
    float: "a float",
    datetime.date: "a date",
    datetime.datetime: "a date and time",
}


def kind_of_value(value: Any) -> str:
    """What a column of such values holds; empty where no column does.

    Example:
        >>> kind_of_value(7), kind_of_value({})
        ('int', '')
    """
    name = _KINDS.get(type(value), "")
    return "instant" if name == "datetime" and value.tzinfo is not None else name


class WrongError(Exception):
    """Carries the reason."""


def checked(value: Any, kind: Type, *, told: bool) -> Any:
    """A value as the column holds it.

    Args:
        value: As JSON or Python gives it; not `None`.
        kind: What the column holds.
        told: Whether the user gave the type; text then takes anything, nested values as JSON.

    Raises:
        WrongError: It can't be that without loss.

    Example:
        >>> checked(3, Type("float"), told=True), checked([1], Type("text"), told=True)
        (3.0, '[1]')
    """
    if kind.name == "text":
        return _text(value, told)
    if isinstance(value, dict):
        raise WrongError(_NESTED.format("object"))
    if kind.name == "list":
        return _list(value, kind, told)
    if kind.name == "vector":
        return _vector(value, kind.size)
    return _scalar(value, kind, told)


def written(value: Any) -> Any:
    """A value as JSON has it, for what JSON has nothing like: dates, times, exact numbers, bytes.

    Raises:
        WrongError: It has no text of its own.

    Example:
        >>> written(datetime.timedelta(days=1, seconds=90)), written(Decimal("1.50"))
        ('P1DT90S', '1.50')
    """
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise WrongError("is binary, not text; leave the column out") from None
    if isinstance(value, tuple | set | frozenset):
        return list(value) if isinstance(value, tuple) else sorted(value, key=repr)
    if hasattr(value, "tolist"):  # NumPy's
        return value.tolist()
    text = str(value)
    if text == object.__repr__(value):  # where it lies in memory
        raise WrongError(f"is a {type(value).__name__}, which has no text of its own; leave it out")
    return text


def encodable(text: str) -> str:
    """Text that UTF-8 has.

    Raises:
        WrongError: It does not.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise WrongError("holds half of a surrogate pair, which is no character")
    return text


def _text(value: Any, told: bool) -> str:
    if isinstance(value, str):
        return encodable(value)
    if not told:
        raise WrongError(_NESTED.format("object")) if isinstance(value, dict) else _mixed(value, "text")
    if isinstance(value, float) and abs(value) >= EXACT:
        raise WrongError(UNWRITABLE)
    if not isinstance(value, dict | list | tuple | bool | int | float):
        return encodable(str(written(value)))
    try:
        return encodable(json.dumps(value, ensure_ascii=False, default=written, allow_nan=isinstance(value, float)))
    except (ValueError, TypeError, RecursionError) as error:
        raise WrongError(f"can't be written as JSON ({error}); leave the column out") from None


def _scalar(value: Any, kind: Type, told: bool) -> Any:
    if kind.name in ("int", "float") and isinstance(value, Decimal) and told:
        value = _from_decimal(value, kind)
    found = kind_of_value(value)
    if kind.name == "bool" and found == "int" and told and value in (0, 1):
        return bool(value)
    if kind.name == "int" and found == "float" and told and value.is_integer() and abs(value) < EXACT:
        return int(value)
    if kind.name == "float" and found == "int":
        return _as_float(value)
    if {found, kind.name} == {"instant", "datetime"}:
        raise WrongError("has a zone where others of the column have none, or none where they have; make all alike")
    if found != kind.name:
        raise _mixed(value, str(kind))
    if kind.name == "int" and not -_LARGEST <= value < _LARGEST:
        raise WrongError(TOO_LARGE)
    if kind.name == "float" and not math.isfinite(value):
        raise WrongError(NOT_FINITE)
    return value


def _as_float(value: int) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise WrongError(COARSE) from None
    if int(number) != value:
        raise WrongError(COARSE)
    return number


def _from_decimal(value: Decimal, kind: Type) -> Any:
    if not value.is_finite():
        raise WrongError(NOT_FINITE)
    if value == value.to_integral_value():
        return int(value)
    return float(value) if kind.name == "float" else value


def _list(value: Any, kind: Type, told: bool) -> list[Any]:
    if not isinstance(value, list):
        raise _mixed(value, str(kind))
    inner = next((item for item in value if isinstance(item, list | dict)), None)
    if inner is not None:
        raise WrongError(_NESTED.format("list" if isinstance(inner, list) else "object"))
    if None in value:
        raise WrongError("holds null within a list, which a property can't; leave it out")
    return [_text(item, told) if kind.item == "text" else _scalar(item, Type(kind.item), told) for item in value]


def _vector(value: Any, size: int) -> list[float]:
    if not isinstance(value, list):
        raise _mixed(value, f"vector[{size}]")
    if len(value) != size:
        raise WrongError(f"expected a vector of {size} numbers, got {len(value)}")
    if any(isinstance(item, dict) for item in value):
        raise WrongError(_NESTED.format("object"))
    return [_scalar(item, Type("float"), told=True) for item in value]


def _duration(value: datetime.timedelta) -> str:
    """As ISO 8601 has it."""
    if value < datetime.timedelta(0):
        return f"-{_duration(-value)}"
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    days = f"{value.days}D" if value.days else ""
    return f"P{days}T{value.seconds}{fraction}S" if value.seconds or fraction or not days else f"P{days}"


def _mixed(value: Any, expected: str) -> WrongError:
    got = _NAMES.get(type(value)) or f"a {type(value).__name__}"
    if type(value) not in _NAMES and expected == "text":
        return WrongError(f"is {got}, for which there is no type of its own; give the column the type text")
    both = " or float" if expected == "int" and isinstance(value, float) else ""
    return WrongError(
        f"expected {expected} as in the rest of the column, got {got}; give the column a type that holds both, such "
        f"as text{both}"
    )
