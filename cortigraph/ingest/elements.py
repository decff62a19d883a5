"""Elements: nodes and relationships as columns, the one form in which everything that a job brings reaches the graph.

    nodes   label → a table: `:key`, perhaps `:labels` and `:text`, and one column a property
    edges   (labels of start and end) → a table: `:type`, `:start`, `:end`, `:key`, and one column a property

Columns that begin with a colon are ours. A property that is null is not asserted. Two relationships are the same if
type, start, end and key are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = [
    "KEYS", "VECTORS", "EdgeKind", "Elements", "Kind", "NodeKind", "codes", "identity", "numbered", "properties",
    "unified",
]  # fmt: skip

# Vectors follow from a text or a module, and are written whenever what they follow from has changed.
VECTORS = ("embedding", "text_embedding")
_LARGEST = 2**62


@dataclass(frozen=True, order=True)
class NodeKind:
    """The nodes of a label; their keys are unique."""

    label: str

    def __str__(self) -> str:
        return str(self.label)


@dataclass(frozen=True, order=True)
class EdgeKind:
    """The relationships from nodes of one label to nodes of another."""

    start: str
    end: str

    def __str__(self) -> str:
        return f"{self.start}→{self.end}"


Kind = NodeKind | EdgeKind
KEYS: dict[type, tuple[str, ...]] = {NodeKind: (":key",), EdgeKind: (":type", ":start", ":end", ":key")}


@dataclass
class Elements:
    """What is asserted, by kind.

    Args:
        tables: Kind → its rows, each element once.
    """

    tables: dict[Kind, pa.Table] = field(default_factory=dict)

    def nodes(self) -> Iterator[tuple[NodeKind, pa.Table]]:
        """The nodes, by label."""
        for kind in sorted(k for k in self.tables if isinstance(k, NodeKind)):
            yield kind, self.tables[kind]

    def edges(self) -> Iterator[tuple[EdgeKind, pa.Table]]:
        """The relationships, by the labels of their ends."""
        for kind in sorted(k for k in self.tables if isinstance(k, EdgeKind)):
            yield kind, self.tables[kind]

    def __iter__(self) -> Iterator[tuple[Kind, pa.Table]]:
        """Nodes first: relationships need them."""
        yield from self.nodes()
        yield from self.edges()

    def counts(self) -> tuple[int, int]:
        """How many nodes and relationships."""
        return sum(len(table) for _, table in self.nodes()), sum(len(table) for _, table in self.edges())

    def add(self, kind: Kind, table: pa.Table) -> None:
        """Appends rows; a column that either side lacks is null there."""
        if len(table):
            known = self.tables.get(kind)
            self.tables[kind] = table if known is None else unified([known, table], str(kind))


def properties(table: pa.Table) -> list[str]:
    """The names of its columns that are properties.

    Example:
        >>> import pyarrow as pa
        >>> properties(pa.table({":key": ["a"], "name": ["A"]}))
        ['name']
    """
    return [name for name in table.column_names if not name.startswith(":")]


def identity(kind: Kind, table: pa.Table) -> pa.Array:
    """What tells the rows apart, as one column of text.

    Example:
        >>> import pyarrow as pa
        >>> row = {":type": ["T"], ":start": ["a"], ":end": ["b"], ":key": pa.array([None], pa.string())}
        >>> identity(EdgeKind("A", "B"), pa.table(row))[0].as_py()
        '1:1:1:Tab'
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(kind, NodeKind):
        return _plain(table[":key"])
    parts = [_plain(table[name]) for name in KEYS[EdgeKind]]
    # Lengths go first, so that no two relationships can look alike whatever their keys hold.
    lengths = [pc.cast(pc.binary_length(part), pa.string()) for part in parts[:3]]
    colon = pa.scalar(":", pa.string())
    told = pc.binary_join_element_wise(*lengths, "", colon)
    rest = pc.binary_join_element_wise(*parts[:3], pa.scalar("", pa.string()))
    # No key and an empty key are two things.
    last = pc.if_else(pc.is_valid(parts[3]), pc.binary_join_element_wise("#", pc.fill_null(parts[3], ""), ""), "")
    return pc.binary_join_element_wise(told, rest, last, pa.scalar("", pa.string()))


def codes(kind: Kind, table: pa.Table) -> pa.Array:
    """What tells the rows of one table apart, as numbers: quicker than `identity`, and of no meaning elsewhere.

    Example:
        >>> import pyarrow as pa
        >>> row = {":type": ["T", "T"], ":start": ["a", "a"], ":end": ["b", "a"], ":key": [None, None]}
        >>> len(codes(EdgeKind("A", "B"), pa.table(row)).unique())
        2
    """
    import pyarrow as pa

    combined, size = np.zeros(len(table), dtype=np.int64), 1
    for name in KEYS[type(kind)]:
        numbers, count = numbered(table[name])
        if size * count > _LARGEST:
            combined, size = numbered(pa.array(combined))
        combined, size = combined * count + numbers, size * count
    return pa.array(combined)


def numbered(column: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """Values numbered from 0, in the order in which they first come; null is a value too.

    Returns:
        (rows), and how many numbers there are.

    Example:
        >>> import pyarrow as pa
        >>> numbers, count = numbered(pa.array(["b", "a", "b"]))
        >>> numbers.tolist(), count
        ([0, 1, 0], 2)
    """
    if len(column) and column.null_count == len(column):
        return np.zeros(len(column), dtype=np.int64), 1
    encoded = column.dictionary_encode(null_encoding="encode")
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)


def unified(tables: Sequence[pa.Table], what: str) -> pa.Table:
    """Tables one under the other.

    Args:
        tables: With any columns; whole numbers and floats are joined as floats.
        what: They hold, for the message.

    Raises:
        InputError: A property has one type here and another there.
    """
    import pyarrow as pa

    clashes = _clashes(tables)
    if clashes:
        raise InputError(
            [
                f"property {name!r} of {what} is {' here and '.join(sorted(kinds))} there; give it one type everywhere"
                for name, kinds in sorted(clashes.items())
            ]
        )
    return pa.concat_tables(tables, promote_options="permissive")


def _clashes(tables: Sequence[pa.Table]) -> Mapping[str, set[str]]:
    import pyarrow as pa

    found: dict[str, set[str]] = {}
    for table in tables:
        for column in table.schema:
            if not pa.types.is_null(column.type):
                found.setdefault(column.name, set()).add(_family(column.type))
    return {name: families for name, families in found.items() if len(families) > 1}


def _family(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"a list of {_family(kind.value_type)}"
    return str(kind)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One array of text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    joined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(joined, pa.ChunkedArray):  # more than one array can hold
        joined = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in joined.chunks])
    if pa.types.is_dictionary(joined.type):
        joined = joined.dictionary_decode()
    return joined if pa.types.is_string(joined.type) else pc.cast(joined, pa.string())
