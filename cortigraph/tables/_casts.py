"""Arrow columns of single values as another type: only where nothing is lost, and the cells that would be are refused.

What Arrow itself casts is wider: it makes a time of a number, a date of a time of day, a truth value of any number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortigraph.tables.cells import COARSE, EXACT, TOO_LARGE, Reasons, blanked, failing, rows_of
from cortigraph.tables.types import Type, arrow_type
from cortigraph.tables.written import COARSE as UNWRITABLE

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["beyond", "cast", "castable", "name_of"]

# Beyond these Python has no dates, and the driver takes none: from the year 1 to 9999, in days and in microseconds.
_DAYS = (-719_162, 2_932_896)
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_FROM = {
    "bool": ("bool", "text"),
    "int": ("int", "float", "bool", "text"),
    "float": ("float", "int", "text"),
    "decimal": ("float", "int", "text"),
    "date": ("date", "datetime", "text"),
    "datetime": ("datetime", "date", "text"),
    "instant": ("instant", "datetime", "text"),
    "time": ("text",),
    "duration": ("text",),
    "binary": ("text",),
}
_NO_YEAR = "is not between the years 1 and 9999; give the column the type text"
_LOSS = {
    "date": "has a time of day, which a date does not hold; give the column the type datetime or text",
    "datetime": "can't be a time to the microsecond without loss; give the column the type text",
    "bool": "expected true or false, or 1 or 0; give the column the type int or text",
    "text": "is binary that is not UTF-8; leave the column out",
}


def name_of(arrow: pa.DataType) -> str:
    """What an Arrow type of single values holds, in our words and some of its own; empty for other types.

    Example:
        >>> import pyarrow as pa
        >>> name_of(pa.int8()), name_of(pa.time32("s")), name_of(pa.struct([]))
        ('int', 'time', '')
    """
    import pyarrow as pa

    of = pa.types
    if of.is_timestamp(arrow):
        return "datetime" if arrow.tz is None else "instant"
    names = (
        (of.is_string, "text"),
        (of.is_large_string, "text"),
        (of.is_string_view, "text"),
        (of.is_null, "text"),
        (of.is_boolean, "bool"),
        (of.is_integer, "int"),
        (of.is_floating, "float"),
        (of.is_decimal, "decimal"),
        (of.is_date, "date"),
        (of.is_time, "time"),
        (of.is_duration, "duration"),
        (of.is_binary, "binary"),
        (of.is_large_binary, "binary"),
        (of.is_fixed_size_binary, "binary"),
    )
    return next((name for matches, name in names if matches(arrow)), "")


def castable(arrow: pa.DataType, kind: Type) -> bool:
    """Whether values of an Arrow type may become others.

    Args:
        arrow: A type of single values; of others nothing is castable.
        kind: What they are to be.

    Example:
        >>> import pyarrow as pa
        >>> castable(pa.int8(), Type("float")), castable(pa.int8(), Type("date"))
        (True, False)
    """
    return kind.name in _FROM.get(name_of(arrow), ())


def cast(cells: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
    """A column as another type, null where a cell can't be that, and why.

    Args:
        cells: Of a type that is castable.
        kind: What they are to be.

    Example:
        >>> import pyarrow as pa
        >>> cast(pa.array([1.0, 1.5]), Type("int"))[1]
        {1: "can't be int without loss; give the column the type float or text"}
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name = name_of(cells.type)
    if name == "duration":
        return _durations(cells)
    if pa.types.is_float16(cells.type):  # for which Arrow has little
        cells = cells.cast(pa.float32())
    before = _before(cells, name, kind)
    cells = blanked(cells, before)
    target = arrow_type(Type("instant") if name == "instant" and kind.name == "datetime" else kind)
    wrong: list[int] = []
    try:
        column = cells.cast(target, safe=(name, kind.name) != ("int", "float"))  # looked at by now
    except pa.ArrowInvalid:
        wrong = failing(cells, target)
        column = blanked(cells, wrong).cast(target)
    if (name, kind.name) == ("datetime", "date"):
        wrong += rows_of(pc.not_equal(column.cast(cells.type), cells))
    reasons = {**dict.fromkeys(wrong, _loss(name, kind)), **beyond(column), **before}
    return blanked(column, reasons), reasons


def beyond(column: pa.Array) -> Reasons:
    """The dates and times that Python and the driver do not have, and why they are refused; none in other columns.

    Example:
        >>> import pyarrow as pa
        >>> list(beyond(pa.array([0, -800_000]).cast(pa.int32()).cast(pa.date32())))
        [1]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(column.type):
        numbers, (first, last) = column.cast(pa.int32()), _DAYS
    elif pa.types.is_timestamp(column.type):
        numbers, (first, last) = column.cast(pa.int64()), _MICROSECONDS
    else:
        return {}
    return dict.fromkeys(rows_of(pc.or_(pc.less(numbers, first), pc.greater(numbers, last))), _NO_YEAR)


def _before(cells: pa.Array, name: str, kind: Type) -> Reasons:
    """What Arrow would cast though something is lost."""
    import pyarrow.compute as pc

    if name == "float" and kind.name in ("int", "text"):
        return dict.fromkeys(rows_of(pc.and_(pc.greater_equal(pc.abs(cells), EXACT), pc.is_finite(cells))), UNWRITABLE)
    if (name, kind.name) == ("int", "bool"):
        return dict.fromkeys(rows_of(pc.invert(pc.is_in(cells, _bits(cells.type)))), _LOSS["bool"])
    if name in ("int", "decimal") and kind.name == "float":
        column = cells.cast("float64", safe=False)
        large = rows_of(pc.greater_equal(pc.abs(column), EXACT))
        return {row: COARSE for row in large if cells[row].as_py() != column[row].as_py()}
    return {}


def _bits(kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array([0, 1, None], kind)


def _loss(name: str, kind: Type) -> str:
    if name == "int" and kind.name == "int":
        return TOO_LARGE
    if kind.name == "int":
        return "can't be int without loss; give the column the type float or text"
    return _LOSS.get(kind.name, f"can't be {kind} without loss; give the column the type text")


def _durations(cells: pa.Array) -> tuple[pa.Array, Reasons]:
    """As ISO 8601 has them."""
    import pyarrow as pa

    from cortigraph.tables._value import written

    exact = pa.duration("us")
    try:
        wrong: list[int] = []
        column = cells.cast(exact)
    except pa.ArrowInvalid:
        wrong = failing(cells, exact)
        column = blanked(cells, wrong).cast(exact)
    texts = [None if value is None else written(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string()), dict.fromkeys(wrong, "is finer than a microsecond; leave the column out")
