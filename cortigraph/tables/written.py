"""Columns as text: what keys, types of relationships, classes of samples and templates are made of.

A value is written the same way wherever it stands. A float that is whole has no decimal point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cortigraph.tables.cells import Reasons
from cortigraph.tables.rejects import Rejects

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.tables.base import Source

__all__ = ["read_texts", "unwritable", "written"]

EXACT = 2.0**53  # from here on, whole numbers that differ become the same float
_LIST = "is a list where one value is expected; give the column another type, or use a column that holds one value"
_COARSE = (
    "is a float of 2^53 or more, where different whole numbers become the same; keep it as text or as a whole number "
    "where it comes from, and give the column the type text"
)


def written(column: pa.Array) -> pa.Array:
    """A column as text; null where it has no value, or a list.

    Example:
        >>> import pyarrow as pa
        >>> written(pa.array([7.0, 0.5])).to_pylist()
        ['7', '0.5']
    """
    import pyarrow as pa

    if pa.types.is_string(column.type):
        return column
    if _is_list(column.type):
        return pa.nulls(len(column), pa.string())
    return column.cast(pa.string())


def unwritable(column: pa.Array) -> Reasons:
    """Row → why its value can't name anything: two that differ might be written alike.

    Example:
        >>> import pyarrow as pa
        >>> list(unwritable(pa.array([1.0, 2.0**53])))
        [1]
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_list(column.type):
        rows, reason = column.is_valid(), _LIST
    elif pa.types.is_floating(column.type):
        rows, reason = pc.greater_equal(pc.abs(column), EXACT).fill_null(False), _COARSE
    else:
        return {}
    return dict.fromkeys(np.flatnonzero(rows.to_numpy(zero_copy_only=False)).tolist(), reason)


def read_texts(source: Source, columns: Sequence[str], rejects: Rejects | None = None) -> dict[str, list[str]]:
    """Some columns of a source as text, whole; empty where there is no value.

    Args:
        source: Opened.
        columns: Their names, as somebody writes them.
        rejects: Takes the records that can't be read; where it is not given, the first is an error.

    Raises:
        InputError: There is no such column, or something in it can't be read.
    """
    import pyarrow as pa

    wanted = list(dict.fromkeys(columns))
    pieces: dict[str, list[pa.Array]] = {name: [] for name in wanted}
    for block in source.blocks(rejects if rejects is not None else Rejects(advice="mend it"), columns=wanted):
        for name in wanted:
            pieces[name].append(written(block.table.column(name)))
    return {name: pa.chunked_array(found, pa.string()).fill_null("").to_pylist() for name, found in pieces.items()}


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))
