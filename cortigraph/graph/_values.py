"""What may become a property: checked here, because the server's answer to a bad value names no row.

Neo4j holds text, numbers, truth values, bytes, dates and times, and lists of one kind of these. Anything nested is
stored as JSON text by whoever owns it.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import EMBEDDING_DIMENSIONS

__all__ = ["checked_rows", "checked_vector", "same"]

SCALARS = (str, bool, int, float, bytes, datetime.date, datetime.time, datetime.timedelta)
PROBLEMS_SHOWN = 20


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
    problems: list[str] = []
    checked = []
    dimension = EMBEDDING_DIMENSIONS.get(label)
    for number, row in enumerate(rows, start=1):
        try:
            checked.append(_checked_row(row, identity, dimension))
        except InputError as error:
            problems += [f"row {number}: {problem}" for problem in error.problems]
            if len(problems) >= PROBLEMS_SHOWN:
                problems.append("… and perhaps more")
                break
    if problems:
        raise InputError(problems)
    return checked


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
    """Equal, where 1, 1.0 and True are three different values, as they are in the store.

    Example:
        >>> same({"a": 1}, {"a": 1}), same({"a": 1}, {"a": True})
        (True, False)
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[name]) for name, value in first.items())
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def _checked_row(row: Mapping[str, Any], identity: tuple[str, ...], dimension: int | None) -> dict[str, Any]:
    problems = []
    checked: dict[str, Any] = {}
    for name in identity:
        value = row.get(name)
        if isinstance(value, str) and value:
            checked[name] = str(value)
        else:
            problems.append(f"{name!r} must be text that is not empty, got {value!r}")
    properties: dict[str, Any] = {}
    for name, value in row.items():
        if name in identity:
            continue
        try:
            properties[_checked_name(name)] = _checked_value(name, value)
            if name == "embedding" and dimension and value is not None:
                _check_dimension(properties[name], dimension)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return checked | {"properties": properties}


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name or "\x00" in name:
        raise InputError(f"a property's name must be text that is not empty, got {name!r}")
    return name


def _checked_value(name: str, value: Any) -> Any:
    if value is None or type(value) is bool:
        return value
    if hasattr(value, "tolist"):  # numpy and torch
        value = value.tolist()
    if isinstance(value, tuple | list):
        return _checked_list(name, list(value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        raise InputError(f"property {name!r} is NaN; leave it out, or send None to remove it")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"property {name!r} does not fit in 64 bits: {value}")
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


def _check_dimension(value: Any, dimension: int) -> None:
    length = len(value) if isinstance(value, list) else 1
    if length != dimension:
        raise InputError(f"the embedding has {length} numbers, the index needs {dimension}")
