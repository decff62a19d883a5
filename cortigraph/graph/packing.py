"""Properties as JSON and back, with nothing lost: what `plain` only shows, this keeps."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

__all__ = ["packed", "unpacked"]

_KIND = "~"  # no property of the store's is a map, so a map in JSON is a value that JSON has no form for


def packed(value: Any) -> Any:
    """A property, or a map of them, in a form that JSON holds.

    Args:
        value: As the driver gives it.

    Example:
        >>> packed({"n": 1, "raw": b"x"})
        {'n': 1, 'raw': {'~': 'bytes', 'of': 'eA=='}}
    """
    if isinstance(value, dict):
        return {name: packed(each) for name, each in value.items()}
    if isinstance(value, bytes | bytearray):
        return {_KIND: "bytes", "of": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {_KIND: "float", "of": repr(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return _packed_special(value)


def unpacked(value: Any) -> Any:
    """The other way round.

    Example:
        >>> unpacked(packed({"raw": [b"x"], "far": float("inf")}))
        {'raw': [b'x'], 'far': inf}
    """
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_KIND, "of"}:
        return _MAKERS[value[_KIND]](value["of"])
    return {name: unpacked(each) for name, each in value.items()}


def _packed_special(value: Any) -> Any:
    from neo4j import spatial, time

    if isinstance(value, spatial.Point):
        return {_KIND: "point", "of": [value.srid, *value]}
    if isinstance(value, time.Duration):
        return {_KIND: "duration", "of": [value.months, value.days, value.seconds, value.nanoseconds]}
    if isinstance(value, time.Date):
        return {_KIND: "date", "of": value.iso_format()}
    if isinstance(value, time.Time):
        return {_KIND: "time", "of": value.iso_format()}
    if isinstance(value, time.DateTime):
        zone = getattr(value.tzinfo, "zone", None) or getattr(value.tzinfo, "key", None)
        return {_KIND: "datetime", "of": [value.iso_format(), zone]}
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    raise TypeError(f"no property is a {type(value).__name__}")


def _date(text: str) -> Any:
    from neo4j import time

    return time.Date.from_iso_format(text)


def _time(text: str) -> Any:
    from neo4j import time

    return time.Time.from_iso_format(text)


def _datetime(told: list[Any]) -> Any:
    import pytz  # type: ignore[import-untyped]  # the driver's own zones
    from neo4j import time

    moment = time.DateTime.from_iso_format(told[0])
    return moment if told[1] is None else moment.astimezone(pytz.timezone(told[1]))


def _duration(parts: list[int]) -> Any:
    from neo4j import time

    months, days, seconds, nanoseconds = parts
    return time.Duration(months=months, days=days, seconds=seconds, nanoseconds=nanoseconds)


def _point(parts: list[Any]) -> Any:
    from neo4j import spatial

    srid, *coordinates = parts
    kind = spatial.WGS84Point if srid in (4326, 4979) else spatial.CartesianPoint
    return kind(coordinates)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "float": float,
    "point": _point,
    "duration": _duration,
    "date": _date,
    "time": _time,
    "datetime": _datetime,
}
