"""Results as plain values: what JSON can hold and a table can show."""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ["json_text", "plain"]

# Inside a JSON text these can only stand in strings. A terminal would obey them, and JavaScript ends a line at some.
_TELLING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]")
_LISTS = (list, tuple, set, frozenset)


def plain(value: Any) -> Any:
    """Turn what the driver gives into dicts, lists, text and numbers.

    Args:
        value: Of a result: also nodes, relationships, paths, points, dates and times; numpy's numbers and arrays.

    Returns:
        The same as JSON holds it. A node is `{"labels": […], "properties": {…}}`, a relationship
        `{"type": …, "start": …, "end": …, "properties": {…}}`, where start and end are keys. Dates, times and durations
        are ISO 8601, with their offset; bytes are base 64. The numbers that JSON has no words for are text: `"NaN"`,
        `"Infinity"`, `"-Infinity"`.

    Example:
        >>> import datetime
        >>> plain({"on": datetime.date(2026, 9, 1), "x": [1, None, True, float("nan")]})
        {'on': '2026-09-01', 'x': [1, None, True, 'NaN']}
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _unsayable(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str | int):
        return str(value) if isinstance(value, str) else int(value)
    if kind in _LISTS:
        return [plain(part) for part in value]
    if kind is not dict and any(base.__module__.partition(".")[0] == "neo4j" for base in kind.__mro__):
        return _of_driver(value)  # a node is a mapping, too, and a duration a tuple
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    return _of_python(value)


def json_text(value: Any) -> str:
    """A value as strict JSON, in one line: what any reader takes, and what a terminal shows and does not obey.

    Args:
        value: Made `plain` first.

    Example:
        >>> json_text({"loss": float("inf"), "name": "ä\x9b"})
        '{"loss": "Infinity", "name": "ä\\\\u009b"}'
    """
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else _TELLING.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def _unsayable(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


def _of_driver(value: Any) -> Any:
    from neo4j import graph, spatial
    from neo4j.vector import Vector

    if isinstance(value, graph.Node):
        return {"labels": sorted(value.labels), "properties": plain(dict(value))}
    if isinstance(value, graph.Relationship):
        ends = {"start": _name(value.start_node), "end": _name(value.end_node)}
        return {"type": value.type, **ends, "properties": plain(dict(value))}
    if isinstance(value, graph.Path):
        return {"nodes": [plain(n) for n in value.nodes], "relationships": [plain(r) for r in value.relationships]}
    if isinstance(value, spatial.Point):
        return {"srid": value.srid, "coordinates": plain(list(value))}
    if isinstance(value, Vector):
        return plain(list(value.to_native()))
    return value.iso_format() if hasattr(value, "iso_format") else str(value)


def _of_python(value: Any) -> Any:
    """What comes from elsewhere: Python's times, numbers of numpy, pandas and torch; text, if all else fails."""
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return [plain(part) for part in value] if isinstance(value, _LISTS) else str(value)


def _duration(value: datetime.timedelta) -> str:
    """ISO 8601 as the driver writes it: days apart from seconds."""
    sign, whole = ("-", -value) if value < datetime.timedelta() else ("", value)
    seconds = f"{whole.seconds}.{whole.microseconds:06}".rstrip("0").rstrip(".")
    days = f"{sign}{whole.days}D" if whole.days else ""
    return f"P{days}T{sign}{seconds}S" if seconds != "0" or not days else f"P{days}"


def _name(node: Any) -> Any:
    """A relationship that comes without its nodes knows only the server's identifiers of them."""
    if node is None:
        return None
    return plain(node.get("key")) or node.element_id
