"""Arrow columns, from Parquet or from tables in memory, become columns of the types that the store can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables._columns import Columns, faults, too_long
from cortigraph.tables.base import Fault, batch_of
from cortigraph.tables.cells import NOT_FINITE, TOO_LARGE, Reasons, as_text, blanked, failing
from cortigraph.tables.types import Type, arrow_type, parse_type
from cortigraph.tables.values import from_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.table_spec import TableSpec

__all__ = ["Arrays", "check_kinds", "kind_of", "kinds_of"]


def kind_of(arrow: pa.DataType) -> Type | None:
    """What a column of this Arrow type holds; `None` where the store has nothing like it.

    Example:
        >>> import pyarrow as pa
        >>> str(kind_of(pa.list_(pa.int8()))), kind_of(pa.struct([]))
        ('list[int]', None)
    """
    import pyarrow as pa

    of = pa.types
    if of.is_dictionary(arrow):
        return kind_of(arrow.value_type)
    if of.is_list(arrow) or of.is_large_list(arrow) or of.is_fixed_size_list(arrow):
        item = kind_of(arrow.value_type)
        return Type("list", item=item.name) if item and item.name in ("text", "int", "float") else None
    if of.is_timestamp(arrow):
        return Type("datetime" if arrow.tz is None else "instant")
    names = (
        (of.is_string, "text"),
        (of.is_large_string, "text"),
        (of.is_string_view, "text"),
        (of.is_null, "text"),
        (of.is_boolean, "bool"),
        (of.is_integer, "int"),
        (of.is_floating, "float"),
        (of.is_date, "date"),
    )
    return next((Type(name) for matches, name in names if matches(arrow)), None)


def kinds_of(schema: pa.Schema, told: Mapping[str, str]) -> dict[str, Type | None]:
    """Column → what it is to hold; `None` where the store has nothing like it and the user gives it no type.

    Args:
        schema: Of the file.
        told: Column → type, as the user says.
    """
    return {
        column.name: parse_type(told[column.name]) if column.name in told else kind_of(column.type) for column in schema
    }


def check_kinds(names: Sequence[str], schema: pa.Schema, kinds: Mapping[str, Type | None], label: str) -> None:
    """Whether the store can hold what these columns hold.

    Args:
        names: Of columns that are to be read.
        schema: Of the file.
        kinds: As `kinds_of` gives them.
        label: How messages call the file.

    Raises:
        InputError: Those that it can't.
    """
    problems = [
        f"{label}: column {name!r} is {schema.field(name).type}, which a property can't hold; give it the type text"
        for name in names
        if kinds[name] is None
    ]
    if problems:
        raise InputError(problems)


class Arrays:
    """Makes the columns of a source of Arrow data, in one reading of it.

    Args:
        spec: What the user says of it.
        kinds: Column → what it is to hold.
    """

    def __init__(self, spec: TableSpec, kinds: Mapping[str, Type | None]) -> None:
        self._spec = spec
        self._kinds = kinds
        self._columns = Columns(spec)
        self._missing = "missing" in spec.model_fields_set
        self._nan = self._missing and any(word.lower() == "nan" for word in spec.missing)

    def batch(self, batch: pa.RecordBatch, records: NDArray[np.int64]) -> tuple[pa.RecordBatch, list[Fault]]:
        """A batch as it is to be, and what is wrong with it."""
        made, found = {}, []
        for name, cells in zip(batch.schema.names, batch.columns, strict=True):
            made[name], reasons = self._column(name, cells)
            found += faults(name, reasons, cells, records) if reasons else []
        return batch_of(made, len(records)), found

    def _column(self, name: str, cells: pa.Array) -> tuple[pa.Array, Reasons]:
        import pyarrow as pa

        kind = self._kinds[name]
        assert kind is not None  # else the column is refused before it is read
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        found = kind_of(cells.type)
        if found is not None and found.name == "text":
            return self._text(name, cells)
        if found is None or (kind.name == "text" and found.name == "list"):
            if pa.types.is_binary(cells.type) or pa.types.is_decimal(cells.type):
                return self._cast(cells, kind)
            return from_values(cells.to_pylist(), kind, self._spec.separator, told=True)
        if kind.name in ("list", "vector"):
            return self._nested(cells, kind)
        return self._cast(cells, kind)

    def _text(self, name: str, cells: pa.Array) -> tuple[pa.Array, Reasons]:
        import pyarrow as pa

        texts, odd = _sound(cells.cast(pa.string()))
        long = too_long(texts, self._spec.longest)
        texts = blanked(texts, long)
        if self._missing:
            texts = self._columns.without_missing(texts)
        column, wrong = self._columns.from_texts(name, texts)
        return column, {**odd, **long, **wrong}

    def _cast(self, cells: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
        import pyarrow as pa

        target = arrow_type(kind if kind.name != "datetime" or not getattr(cells.type, "tz", None) else Type("instant"))
        wrong: list[int] = []
        try:
            column = cells.cast(target)
        except pa.ArrowNotImplementedError as error:
            raise InputError(f"a column of {cells.type} can't become {kind}; give it another type") from error
        except pa.ArrowInvalid:
            wrong = failing(cells, target)
            column = blanked(cells, wrong).cast(target)
        reason = TOO_LARGE if pa.types.is_unsigned_integer(cells.type) else f"can't be {kind} without loss"
        reasons = dict.fromkeys(wrong, reason)
        return self._finite(column, reasons) if kind.name == "float" else (column, reasons)

    def _finite(self, column: pa.Array, reasons: Reasons) -> tuple[pa.Array, Reasons]:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._nan:
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        finite = pc.is_finite(column)
        if pc.all(finite).as_py() in (True, None):
            return column, reasons
        odd = np.flatnonzero(~finite.fill_null(True).to_numpy(zero_copy_only=False))
        reasons = reasons | dict.fromkeys(odd.tolist(), NOT_FINITE)
        return blanked(column, reasons), reasons

    def _nested(self, cells: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
        """A list or vector; what is not plainly one is looked at value by value."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            column = cells.cast(arrow_type(kind))
            items = column.flatten()
            sound = items.null_count == 0
            if pa.types.is_floating(items.type):
                sound = sound and pc.all(pc.is_finite(items)).as_py() in (True, None)
            if pa.types.is_string(items.type):
                sound = sound and not _sound(items)[1]
            if sound:
                return column, {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
        return from_values(cells.to_pylist(), kind, self._spec.separator, told=True)


def _sound(texts: pa.Array) -> tuple[pa.Array, Reasons]:
    """Text whose bytes really are UTF-8: Arrow believes what a file says."""
    import pyarrow as pa

    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return as_text(texts.cast(pa.binary()))
    return texts, {}
