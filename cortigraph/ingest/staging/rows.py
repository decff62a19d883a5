"""Rows as keys: one relationship a row, and the same ones again when the same file is read again.

The key is the job, the file, and the place of the row among the file's rows of that type between those two nodes: with
`key: {row: true}` the second payment from a to b in pay.csv is `job/pay.csv#2`, wherever in the file it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortigraph.ingest.elements import EdgeKind, codes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COUNTED", "counted"]

COUNTED = ":counted"  # whether a row's key is only the beginning of it


def counted(kind: EdgeKind, table: pa.Table) -> pa.Table:
    """Completes the keys of rows that are relationships of their own.

    Args:
        kind: Of the relationships.
        table: Compiled rows, in the order in which they were read.

    Example:
        >>> import pyarrow as pa
        >>> told = {":type": ["T"] * 2, ":start": ["a"] * 2, ":end": ["b"] * 2, ":key": ["j/f"] * 2, ":record": [0, 1]}
        >>> counted(EdgeKind("A", "B"), pa.table({**told, COUNTED: [True, True]}))[":key"].to_pylist()
        ['j/f#1', 'j/f#2']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if COUNTED not in table.column_names:
        return table
    asked = pc.fill_null(table[COUNTED].combine_chunks(), False).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(asked)
    own = table.take(pa.array(rows))
    groups = codes(kind, own).to_numpy()
    order = np.lexsort((own[":record"].to_numpy(), groups))  # of one record, in the order of the job
    ordered = groups[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    numbers = np.empty(len(table), dtype=np.int64)
    numbers[rows[order]] = np.arange(len(rows)) - np.repeat(first, np.diff(np.r_[first, len(rows)])) + 1
    number = pc.cast(pa.array(numbers, mask=~asked), pa.string())
    key = table[":key"].combine_chunks()
    key = pc.if_else(pa.array(asked), pc.binary_join_element_wise(key, number, pa.scalar("#", pa.string())), key)
    return table.set_column(table.column_names.index(":key"), ":key", key).drop_columns([COUNTED])
