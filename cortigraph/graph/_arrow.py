"""Values of the store as Arrow columns: what fits a type gets it, what does not becomes JSON text that says so.

    text, numbers, truth values, bytes, and lists of one kind of these   the Arrow type of that name
    Date, LocalTime, LocalDateTime                                        date32, time64[ns], timestamp[ns]
    DateTime                                                              timestamp[ns, UTC]: the same instant
    Duration                                                              month_day_nano_interval
    nodes, relationships, paths, maps, points, kinds mixed in one column  text, JSON; the field's metadata says `json`

Integers beside floats are floats, as long as no digit is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cortigraph.graph.plain import plain

__all__ = ["as_table", "from_json", "is_json"]

JSON = {b"cortigraph": b"json"}
PLAIN = {str, int, float, bool}


def as_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """A `pyarrow.Table` of columns of values as the driver gives them.

    Args:
        columns: By name, all equally long.

    Returns:
        The table; each field that holds JSON text says so in its metadata.

    Example:
        >>> table = as_table({"x": [1, None], "y": [1, "a"]})
        >>> [(field.name, str(field.type), is_json(field)) for field in table.schema]
        [('x', 'int64', False), ('y', 'string', True)]
    """
    import pyarrow as pa

    arrays, fields = [], []
    for name, values in columns.items():
        array, as_text = _column(values)
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=JSON if as_text else None))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def is_json(field: Any) -> bool:
    """Whether a field of such a table holds JSON text.

    Args:
        field: A `pyarrow.Field`.
    """
    return bool((field.metadata or {}).get(b"cortigraph") == b"json")


def from_json(values: Sequence[str | None]) -> list[Any]:
    """The values of a column that holds JSON text.

    Args:
        values: The column as a list.

    Example:
        >>> from_json(['"a"', None, "[1]"])
        ['a', None, [1]]
    """
    return [None if value is None else json.loads(value) for value in values]


def _column(values: Sequence[Any]) -> tuple[Any, bool]:
    import pyarrow as pa

    kinds = _kinds(values)
    try:
        if kinds <= PLAIN or kinds <= {bytes, bytearray}:
            return pa.array(values), False
        if len(kinds) == 1:
            found = _temporal(next(iter(kinds)), values)
            if found is not None:
                return found, False
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass  # kinds that don't go together, or a year that nanoseconds do not reach
    texts = [None if value is None else json.dumps(plain(value), ensure_ascii=False) for value in values]
    return pa.array(texts, pa.string()), True


def _kinds(values: Sequence[Any]) -> set[type]:
    """The types that occur; a list counts as what it holds, but a list beside a plain value as a list."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {list}:
        inner: set[type] = set()
        for value in values:
            inner.update(map(type, value or ()))
        return inner if inner <= PLAIN or len(inner) == 1 else {list}
    return kinds


def _temporal(kind: type, values: Sequence[Any]) -> Any:
    """The array of dates, times or durations, or of lists of them; nothing where Arrow has no type for them."""
    import pyarrow as pa
    from neo4j import time

    one = next(value for value in values if value is not None and value != [])
    sample = one[0] if type(one) is list else one
    if kind is time.Date:
        arrow, convert = pa.date32(), _native
    elif kind is time.Duration:
        arrow, convert = pa.month_day_nano_interval(), _interval
    elif kind is time.Time and sample.tzinfo is None:
        arrow, convert = pa.time64("ns"), _nanoseconds_of_day
    elif kind is time.DateTime:
        arrow, convert = pa.timestamp("ns", "UTC" if sample.tzinfo else None), _nanoseconds
    else:
        return None
    zoned = {getattr(part, "tzinfo", None) is None for value in values for part in _parts(value)}
    if len(zoned) > 1:  # one is an instant and the other is not
        return None
    if type(one) is list:
        return pa.array([v if v is None else [convert(part) for part in v] for v in values], pa.list_(arrow))
    return pa.array([value if value is None else convert(value) for value in values], arrow)


def _parts(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if type(value) is list else (value,)


def _native(value: Any) -> Any:
    return value.to_native()


def _interval(value: Any) -> Any:
    import pyarrow as pa

    return pa.MonthDayNano((value.months, value.days, value.seconds * 10**9 + value.nanoseconds))


def _nanoseconds_of_day(value: Any) -> int:
    return int(((value.hour * 60 + value.minute) * 60 + value.second) * 10**9 + value.nanosecond)


def _nanoseconds(value: Any) -> int:
    """Since 1970; Python's own dates and times would lose the last three digits."""
    import datetime

    whole = value.replace(nanosecond=0).to_native()
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC if whole.tzinfo else None)
    return int((whole - start) // datetime.timedelta(seconds=1) * 10**9 + value.nanosecond)
