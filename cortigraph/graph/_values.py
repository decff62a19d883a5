"""What may become a property: checked here, because the server's answer to a bad value names no row.

Neo4j holds text, numbers, truth values, bytes, dates and times, and lists of one kind of these. Anything nested is
stored as JSON text by whoever owns it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from types import NoneType
from typing import Any

from cortigraph.graph.errors import InputError
from cortigraph.graph.names import is_text
from cortigraph.graph.schema import EMBEDDING_DIMENSIONS, TEXT_DIMENSION, TEXT_VECTORS

__all__ = ["checked_rows", "checked_vector", "same"]

LONGEST_KEY = 8164  # bytes of UTF-8: what fits into one entry of the index over `key`
SCALARS = (str, bool, int, float, bytes, datetime.date, datetime.time, datetime.timedelta)
PROBLEMS_SHOWN = 20
SHOWN = 60


def checked_rows(label: str, rows: Sequence[Mapping[str, Any]], identity: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows as the merge queries take them: identifying values apart from properties, every value storable.

    Args:
        label: Label or relationship type; decides the length of `embedding`.
        rows: As the caller gave them.
        identity: Names that every row must have, as text that is not empty.

    Returns:
        `{**identity, "properties": {…}}` per row.

    Raises:
        InputError: All problems, each with its row's number, counted from 1.

    Example:
        >>> checked_rows("Area", [{"key": "a", "name": "A"}], ("key",))
        [{'key': 'a', 'properties': {'name': 'A'}}]
    """
    dimensions = _dimensions(label)
    names = dict.fromkeys(chain.from_iterable(rows))
    odd = {name for name in names if name in dimensions or not _is_plain_column(name, rows)}
    odd |= {name for name in identity if not _are_plain_keys(name, rows)}
    if not odd:  # nearly always: whole columns were looked at, and every value is stored as it is
        return [_parted(row, identity) for row in rows]
    return _checked_one_by_one(rows, identity, dimensions, odd)


def checked_vector(label: str, vector: Any) -> list[float]:
    """An embedding of the right length, all of it finite.

    Args:
        label: Whose embedding.
        vector: A list or an array.

    Raises:
        InputError: Wrong length (both are named), or not finite numbers.

    Example:
        >>> checked_vector("Scene", [0.5])
        Traceback (most recent call last):
        ...
        cortigraph.graph.errors.InputError: an embedding of Scene has 384 numbers, got 1
    """
    dimension = EMBEDDING_DIMENSIONS.get(label)
    if dimension is None:
        raise InputError(f"{label} has no embedding; those that have: {', '.join(sorted(EMBEDDING_DIMENSIONS))}")
    values = vector.tolist() if hasattr(vector, "tolist") else list(vector)
    if len(values) != dimension:
        raise InputError(f"an embedding of {label} has {dimension} numbers, got {len(values)}")
    if not set(map(type, values)) <= {int, float}:
        raise InputError(f"an embedding of {label} holds numbers only")
    if not all(map(math.isfinite, values)):
        raise InputError(f"an embedding of {label} holds finite numbers only, got NaN or infinity")
    return [float(value) for value in values]


def same(first: Any, second: Any) -> bool:
    """Equal, where 1, 1.0 and True are three different values, and 0.0 and -0.0 two, as they are in the store.

    Example:
        >>> same({"a": 1}, {"a": 1}), same({"a": 1}, {"a": True})
        (True, False)
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[name]) for name, value in first.items())
    if isinstance(first, float) and math.copysign(1, first) != math.copysign(1, second):
        return False
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def _dimensions(label: str) -> dict[str, int]:
    """How long the vectors are that an index of this label holds. It passes over others without a word."""
    wanted = {TEXT_VECTORS[label]: TEXT_DIMENSION} if label in TEXT_VECTORS else {}
    return wanted | ({"embedding": EMBEDDING_DIMENSIONS[label]} if label in EMBEDDING_DIMENSIONS else {})


def _parted(row: Mapping[str, Any], identity: tuple[str, ...]) -> dict[str, Any]:
    """Identifying values apart from properties."""
    properties = dict(row)
    parted = {name: properties.pop(name, None) for name in identity}
    parted["properties"] = properties
    return parted


def _is_plain_column(name: Any, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every value under a name is stored as it is. A quick look: False only means that each must be checked."""
    if not isinstance(name, str) or not name or not name.isascii() or "\x00" in name:
        return False
    values = [row[name] for row in rows if name in row]
    kinds = set(map(type, values))
    if NoneType in kinds and len(kinds) > 1:
        kinds.remove(NoneType)
        values = [value for value in values if value is not None]
    if len(kinds) != 1:
        return False
    kind = kinds.pop()
    if kind is str:
        return all(map(str.isascii, values)) or is_text("".join(values))
    if kind is int:
        return bool(min(values) >= -(2**63) and max(values) < 2**63)
    if kind is float:
        return not any(map(math.isnan, values))
    return kind in (bool, bytes, NoneType)


def _are_plain_keys(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(name) for row in rows]
    if not set(map(type, values)) <= {str} or not all(values):
        return False
    longest = max(map(len, values), default=0) * 4  # type: ignore[arg-type]
    return longest <= LONGEST_KEY and _is_plain_column(name, rows)


def _checked_one_by_one(
    rows: Sequence[Mapping[str, Any]], identity: tuple[str, ...], dimensions: dict[str, int], odd: set[str]
) -> list[dict[str, Any]]:
    problems: list[str] = []
    checked = []
    for number, row in enumerate(rows, start=1):
        try:
            checked.append(_checked_row(row, identity, dimensions, odd))
        except InputError as error:
            problems += [f"row {number}: {problem}" for problem in error.problems]
            if len(problems) >= PROBLEMS_SHOWN:
                problems.append("… and perhaps more")
                break
    if problems:
        raise InputError(problems)
    return checked


def _checked_row(
    row: Mapping[str, Any], identity: tuple[str, ...], dimensions: dict[str, int], odd: set[str]
) -> dict[str, Any]:
    problems: list[str] = []
    parted = _parted(row, identity)
    properties = parted["properties"]
    for name in [name for name in (*identity, *properties) if name in odd]:
        try:
            if name in identity:
                parted[name] = _checked_key(name, parted[name])
            else:
                properties[_checked_name(name)] = _checked_value(name, properties[name])
                if name in dimensions and properties[name] is not None:
                    _check_vector(name, properties[name], dimensions[name])
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return parted


def _checked_key(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{name!r} must be text that is not empty, got {_shown(value)}")
    text = _checked_text(name, value)
    size = len(text.encode())
    if size > LONGEST_KEY:
        raise InputError(f"{name!r} may have {LONGEST_KEY} bytes as UTF-8, got {size}: {_shown(text)}")
    return text


def _checked_text(name: str, value: str) -> str:
    text = str(value)  # an enumeration's member becomes plain
    if not is_text(text):
        raise InputError(f"{name!r} holds half of a surrogate pair, which is no character: {_shown(text)}")
    return text


def _shown(value: Any) -> str:
    """A value as a message shows it."""
    text = ascii(value) if isinstance(value, str) and not is_text(value) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name or "\x00" in name:
        raise InputError(f"a property's name must be text that is not empty, got {_shown(name)}")
    return _checked_text("a property's name", name)


def _checked_value(name: str, value: Any) -> Any:
    if value is None or type(value) is bool:
        return value
    if hasattr(value, "tolist"):  # numpy and torch
        value = value.tolist()
    if isinstance(value, tuple | list):
        return _checked_list(name, list(value))
    if isinstance(value, str):
        return _checked_text(name, value)
    if isinstance(value, float) and math.isnan(value):
        raise InputError(f"property {name!r} is NaN; leave it out, or send None to remove it")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"property {name!r} does not fit in 64 bits: {_shown(value)}")
    if isinstance(value, SCALARS) or type(value).__module__.startswith("neo4j."):
        return value
    raise InputError(
        f"property {name!r} is a {type(value).__name__}; Neo4j holds text, numbers, truth values, bytes, dates and "
        "lists of one kind of these: store the rest as JSON text"
    )


def _checked_list(name: str, values: list[Any]) -> list[Any]:
    kinds = set(map(type, values))
    if kinds == {float}:  # embeddings: thousands of numbers a row, so no Python loop unless something is wrong
        if math.isnan(sum(values)) and any(map(math.isnan, values)):
            raise InputError(f"property {name!r} holds NaN")
        return values
    if kinds == {int, float}:
        return [float(_checked_value(name, value)) for value in values]
    if kinds & {list, tuple, type(None)} or len({str if issubclass(kind, str) else kind for kind in kinds}) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"property {name!r} is a list of {names}; a list must hold one kind of plain value")
    return [_checked_value(name, value) for value in values]


def _check_vector(name: str, value: Any, dimension: int) -> None:
    length = len(value) if isinstance(value, list) else 1
    if length != dimension:
        raise InputError(f"the {name} has {length} numbers, the index needs {dimension}")
    if not set(map(type, value)) <= {int, float} or not all(map(math.isfinite, value)):
        raise InputError(f"the {name} must hold finite numbers only")
