"""Folding: rows that speak of one element become one row; what they contradict each other in is a reject.

Two sources may each say a part (one has the names, another the descriptions). A property that is given two different
values for one element is a contradiction: which would win depends on the order, so neither does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.ingest.elements import Kind, codes, numbered

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Clash", "differing", "folded", "groups"]

# Told of a contradiction: the row at fault, the row that was first, the property, and its value.
Clash = Callable[[int, int, str, Any], None]


def folded(kind: Kind, table: pa.Table, clash: Clash, weak: Collection[str] = ()) -> pa.Table:
    """Each element once, in the order in which they first come.

    Args:
        kind: Of the elements.
        table: Rows; an element may have several.
        clash: Called for every contradiction; the row at fault counts no more.
        weak: Properties of which the first value counts, and others are no contradiction.

    Returns:
        One row an element: for each property the first value that is given.

    Example:
        >>> import pyarrow as pa
        >>> from cortigraph.ingest.elements import NodeKind
        >>> rows = pa.table({":key": ["a", "a"], "name": ["A", None], "year": [None, 1]})
        >>> folded(NodeKind("Entity"), rows, print).to_pylist()
        [{':key': 'a', 'name': 'A', 'year': 1}]
    """
    import pyarrow as pa

    ids = codes(kind, table)
    if _all_differ(ids):
        return table
    group, first = groups(ids)
    names = [name for name in table.column_names if name == ":labels" or not name.startswith(":")]
    wrong = np.zeros(len(group), dtype=bool)
    for name in names:
        if name in weak:
            continue
        column = table[name].combine_chunks()
        given = _first_given(column, group, len(first))
        for row in np.flatnonzero(differing(column, column.take(_indices(given[group])))):
            if column[int(row)].is_valid and not wrong[row]:
                wrong[row] = True
                clash(int(row), int(given[group[row]]), name, column[int(row)].as_py())
    fine = table if not wrong.any() else table.filter(pa.array(~wrong))
    if wrong.any():
        group, first = groups(codes(kind, fine))
    return _taken(fine, group, first, set(names))


def _all_differ(ids: pa.Array) -> bool:
    """Whether no number is there twice; to sort them is quicker than to look each up."""
    ordered = np.sort(ids.to_numpy())
    return bool((ordered[1:] != ordered[:-1]).all())


def groups(ids: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers equal values alike, in the order in which they first come.

    Returns:
        For each row the number of its group, and for each group its first row.

    Example:
        >>> import pyarrow as pa
        >>> [part.tolist() for part in groups(pa.array(["b", "a", "b"]))]
        [[0, 1, 0], [0, 1]]
    """
    group, count = numbered(ids)
    first = np.full(count, len(group), dtype=np.int64)
    np.minimum.at(first, group, np.arange(len(group)))
    return group, first


def differing(left: pa.Array, right: pa.Array) -> NDArray[np.bool_]:
    """Where two columns differ; null is a value like any other, and so is each kind of number.

    Example:
        >>> import pyarrow as pa
        >>> differing(pa.array(["a", None, None]), pa.array(["b", None, "c"])).tolist()
        [True, False, True]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(left.type) or pa.types.is_nested(right.type):
        return np.array([a != b for a, b in zip(left.to_pylist(), right.to_pylist(), strict=True)], dtype=bool)
    if left.type != right.type:
        if not _comparable(left.type, right.type):
            return np.array(left.is_valid().to_numpy(zero_copy_only=False) | right.is_valid(), dtype=bool)
        right = right.cast(left.type, safe=False)
    unequal = pc.fill_null(pc.not_equal(left, right), False).to_numpy(zero_copy_only=False)
    here, there = (side.is_valid().to_numpy(zero_copy_only=False) for side in (left, right))
    return np.asarray(unequal | (here != there), dtype=bool)


def _comparable(left: pa.DataType, right: pa.DataType) -> bool:
    import pyarrow as pa

    texts = all(pa.types.is_string(each) or pa.types.is_large_string(each) for each in (left, right))
    times = all(pa.types.is_temporal(each) for each in (left, right))
    return texts or times or pa.types.is_null(left) or pa.types.is_null(right)


def _first_given(column: pa.Array, group: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """For each group the first row with a value; any of its rows where there is none."""
    first = np.full(count, len(group), dtype=np.int64)
    given = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    np.minimum.at(first, group[given], given)
    none = first == len(group)
    if none.any():
        fallback = np.full(count, len(group), dtype=np.int64)
        np.minimum.at(fallback, group, np.arange(len(group)))
        first[none] = fallback[none]
    return first


def _taken(table: pa.Table, group: NDArray[np.int64], first: NDArray[np.int64], given: set[str]) -> pa.Table:
    import pyarrow as pa

    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        rows = _first_given(column, group, len(first)) if name in given else first
        columns[name] = column.take(_indices(rows))
    return pa.table(columns)


def _indices(rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows, pa.int64())
