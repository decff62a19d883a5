"""What a property can be: the server refuses every other value, and would take none of the rows beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["unstorable"]

_MICROSECONDS = {"s": 10**6, "ms": 10**3, "us": 1}
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # seconds: the years 1 to 9999


def unstorable(column: pa.Array) -> Iterator[tuple[int, str]]:
    """The rows whose values the store has no type for.

    Args:
        column: Values of a property.

    Yields:
        Row, and why its value can't be stored.

    Example:
        >>> import pyarrow as pa
        >>> [row for row, _ in unstorable(pa.array([[1, None], [2], None]))]
        [0]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    given = column.is_valid()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        each, of = pc.list_flatten(column), pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        if not _is_plain(kind.value_type) and not pa.types.is_null(kind.value_type):
            yield from _told(given, f"a list of {_called(kind.value_type)} is no property; write it as text")
            return
        nulls = np.unique(of[each.is_null().to_numpy(zero_copy_only=False)])
        for row in nulls.tolist():
            yield row, "has an empty place in a list, which no property can have; leave it out"
        for place, reason in unstorable(each):
            yield int(of[place]), reason
    elif not _is_plain(kind) and not pa.types.is_null(kind):
        yield from _told(given, f"{_called(kind)} is no property; name what is in it as columns, or write it as text")
    elif kind == pa.uint64():
        yield from _told(pc.greater(column, 2**63 - 1), "does not fit in 64 bits with a sign; give it the type text")
    elif pa.types.is_timestamp(kind):
        yield from _told(_out_of_time(column), "is no time that the store has: years 1 to 9999, microseconds")


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_boolean, pa.types.is_integer,
        pa.types.is_floating, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_date, pa.types.is_time,
        pa.types.is_timestamp, pa.types.is_duration,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _called(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return "a map"
    return "a list of lists" if pa.types.is_nested(kind) else f"a value of type {kind}"


def _out_of_time(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = column.cast(pa.int64())
    if column.type.unit == "ns":  # whatever it is, its year can be told
        return pc.not_equal(numbers, pc.multiply(pc.divide(numbers, 1000), 1000))
    unit = 10**6 // _MICROSECONDS[column.type.unit]
    return pc.or_(pc.less(numbers, _FIRST * unit), pc.greater(numbers, _LAST * unit))


def _told(mask: pa.Array, reason: str) -> Iterator[tuple[int, str]]:
    for row in np.flatnonzero(np.asarray(mask.fill_null(False).to_numpy(zero_copy_only=False))).tolist():
        yield row, reason
