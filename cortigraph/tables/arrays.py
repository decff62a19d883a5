"""Arrow columns, from Parquet or from tables in memory, become columns of the types that the store can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.tables._casts import cast, castable, name_of
from cortigraph.tables._columns import Columns, faults, too_long
from cortigraph.tables.base import Fault, batch_of
from cortigraph.tables.cells import Reasons, as_text, blanked
from cortigraph.tables.numbers import not_finite
from cortigraph.tables.types import Type, arrow_type, parse_type
from cortigraph.tables.values import from_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.table_spec import TableSpec

__all__ = ["Arrays", "check_kinds", "kind_of", "kinds_of"]

_HELD = ("text", "bool", "int", "float", "date", "datetime", "instant")  # what the store has types for


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
    name = name_of(arrow)
    return Type(name) if name in _HELD else None


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
    """Whether columns can become what they are to be.

    Args:
        names: Of columns that are to be read.
        schema: Of the file.
        kinds: As `kinds_of` gives them.
        label: How messages call the file.

    Raises:
        InputError: Those that can't.
    """
    problems = []
    for name in names:
        arrow, kind = schema.field(name).type, kinds[name]
        if kind is None:
            other = " or float" if name_of(arrow) == "decimal" else ""
            what = "which a property can't hold; give it the type text"
            problems.append(f"{label}: column {name!r} is {arrow}, {what}{other} under `types` of the source")
        elif not _possible(arrow, kind):
            problems.append(f"{label}: column {name!r} is {arrow}, which can't become {kind}; give it the type text")
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
        if found is not None and found.name == "list" and kind.name in ("list", "vector"):
            return self._nested(cells, kind)
        if not castable(cells.type, kind):
            return self._one_by_one(cells, kind)
        column, reasons = cast(self._without_nan(cells), kind)
        if kind.name == "float":
            reasons = {**reasons, **not_finite(column)}
        if kind.name == "text":
            reasons = {**reasons, **too_long(column, self._spec.longest)}
        return blanked(column, reasons), reasons

    def _text(self, name: str, cells: pa.Array) -> tuple[pa.Array, Reasons]:
        import pyarrow as pa

        texts, odd = _sound(cells.cast(pa.string()))
        long = too_long(texts, self._spec.longest)
        texts = blanked(texts, long)
        if self._missing:
            texts = self._columns.without_missing(texts)
        column, wrong = self._columns.from_texts(name, texts)
        return column, {**odd, **long, **wrong}

    def _without_nan(self, cells: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._nan or not pa.types.is_floating(cells.type):
            return cells
        return pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)

    def _nested(self, cells: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
        """A list or vector; what is not plainly one is looked at value by value."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted, given = kind.item or "float", kind_of(cells.type.value_type)
        if given is None or (given.name, wanted) not in (("int", "float"), (wanted, wanted)):
            return self._one_by_one(cells, kind)
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
        return self._one_by_one(cells, kind)

    def _one_by_one(self, cells: pa.Array, kind: Type) -> tuple[pa.Array, Reasons]:
        values: list[Any] = []
        odd: Reasons = {}
        for row, cell in enumerate(cells):
            try:
                values.append(cell.as_py())
            except (ValueError, OverflowError) as error:  # times that Python has not, text that is not UTF-8
                values.append(None)
                odd[row] = f"can't be read: {error}; leave the column out"
        column, reasons = from_values(values, kind, self._spec.notation, told=True)
        if kind.name == "text":
            reasons = {**reasons, **too_long(column, self._spec.longest)}
        return blanked(column, reasons), {**odd, **reasons}


def _possible(arrow: pa.DataType, kind: Type) -> bool:
    """Whether some value of one type can become one of the other."""
    import pyarrow as pa

    if pa.types.is_dictionary(arrow):
        return _possible(arrow.value_type, kind)
    found = kind_of(arrow)
    if kind.name == "text" or (found is not None and found.name == "text"):
        return True
    if kind.name in ("list", "vector"):
        return found is not None and found.name == "list"
    return castable(arrow, kind)


def _sound(texts: pa.Array) -> tuple[pa.Array, Reasons]:
    """Text whose bytes really are UTF-8: Arrow believes what a file says."""
    import pyarrow as pa

    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return as_text(texts.cast(pa.binary()))
    return texts, {}
