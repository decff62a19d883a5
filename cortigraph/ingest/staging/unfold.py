"""Unfolding: a cell that holds a list where one value is expected stands for a row with each of its items."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.tables.base import Block
from cortigraph.tables.written import written

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["any_in", "is_list", "taken", "unfolded"]


def is_list(kind: pa.DataType) -> bool:
    """Whether the cells of a column are lists of any length; a vector is one value."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def unfolded(block: Block, columns: Iterable[str]) -> tuple[Block, NDArray[np.int64]]:
    """A block in which some columns hold one item a row; of several lists in a row, each item goes with each.

    Args:
        block: As it was read.
        columns: Of it; those that hold no lists stay as they are.

    Returns:
        The block, in which a row whose list is empty is left out and one without a list stays, and for each of its rows
        the row that it was.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.record_batch({"id": ["a", "b"], "types": [["x", "y"], None]})
        >>> block, rows = unfolded(Block("s", "f", np.arange(2), table), ["types"])
        >>> block.table.to_pydict(), rows.tolist()
        ({'id': ['a', 'a', 'b'], 'types': ['x', 'y', None]}, [0, 0, 1])
    """
    rows = np.arange(block.table.num_rows, dtype=np.int64)
    for name in dict.fromkeys(columns):
        cells = block.table.column(name)
        if is_list(cells.type):
            items, parents = _items(cells)
            block, rows = taken(block, parents), rows[parents]
            at = block.table.schema.get_field_index(name)
            block = replace(block, table=block.table.set_column(at, name, items))
    return block, rows


def taken(block: Block, rows: NDArray[np.int64]) -> Block:
    """Some rows of a block, each as often as it is named."""
    import pyarrow as pa

    return replace(block, records=block.records[rows], table=block.table.take(pa.array(rows)))


def any_in(cells: pa.Array, wanted: Collection[str]) -> NDArray[np.bool_]:
    """In which rows a value, or an item of a list, is one of those that are wanted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    items, parents = _items(cells) if is_list(cells.type) else (cells, None)
    found: NDArray[np.bool_] = pc.is_in(written(items), pa.array(list(wanted), pa.string())).to_numpy(
        zero_copy_only=False
    )
    return found if parents is None else np.bincount(parents[found], minlength=len(cells)) > 0


def _items(cells: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """The items of lists, null where there is no list, and for each the row that it is from."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = pc.fill_null(pc.list_value_length(cells), 1).to_numpy(zero_copy_only=False)
    parents = np.repeat(np.arange(len(cells), dtype=np.int64), counts)
    absent = cells.is_null().to_numpy(zero_copy_only=False)[parents]
    at = np.cumsum(~absent) - 1
    return cells.flatten().take(pa.array(at, mask=absent)), parents
