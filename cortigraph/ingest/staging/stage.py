"""Staging: everything that a job asserts, read, checked and folded, before anything is written.

What the sources say comes through the job's mappings; areas, regions and data sets that it declares come beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph import cypher
from cortigraph.ingest.elements import KEYS, EdgeKind, Elements, Kind, NodeKind
from cortigraph.ingest.staging.compile import ORIGIN, Compiled, Compiler
from cortigraph.ingest.staging.folding import folded
from cortigraph.ingest.staging.origin import place_of
from cortigraph.tables.written import written

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.graph.store import Store
    from cortigraph.ingest.spec.mapping import EdgeMapping, NodeMapping
    from cortigraph.tables.base import Progress, Source
    from cortigraph.tables.rejects import Rejects

__all__ = ["Staged", "known_keys", "normal", "stage"]

_BATCH = 50_000
_LOCATED = 20
_APART = (
    "; to have both, tell them apart: `key: COLUMN` in the mapping, or `key: {row: true}` for one relationship a row"
)


@dataclass
class Staged:
    """What a job asserts.

    Args:
        elements: Each once.
        weak: Kind → properties that only fill gaps.
        folded: Kind → how many rows only say again what others say.
        whole: Label → keys of nodes whose wiring the job declares in full: other wires of theirs go.
        origins: Kind → where each of its elements is from, by the numbers of source, file and record.
        files: What the numbers of files stand for: source and file.
    """

    elements: Elements = field(default_factory=Elements)
    weak: dict[Kind, set[str]] = field(default_factory=dict)
    folded: dict[Kind, int] = field(default_factory=dict)
    whole: dict[str, list[str]] = field(default_factory=dict)
    origins: dict[Kind, pa.Table] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)


def stage(
    store: Store,
    mappings: tuple[Sequence[NodeMapping], Sequence[EdgeMapping]],
    sources: Mapping[str, Source],
    rejects: Rejects,
    progress: Progress | None = None,
    *,
    job: str,
) -> Staged:
    """Reads a job's sources and checks what they say against each other and against the graph.

    Args:
        store: Only read.
        mappings: To nodes, and to relationships.
        sources: By name.
        rejects: Takes the rows that are wrong.
        progress: Told how far reading is.
        job: Its name.

    Returns:
        What they assert.

    Raises:
        RejectedError: More rows are wrong than may be.
    """
    nodes, edges = mappings
    used: dict[str, dict[str, None]] = {}
    for mapping in (*nodes, *edges):
        columns = used.setdefault(mapping.source, {})
        columns |= dict.fromkeys(column for _, cell in mapping.cells() for column in cell.columns())
    compiler = Compiler(nodes, edges, sources, rejects, job)
    for name, source in sources.items():
        if name in used:
            compiler.take(source.blocks(rejects, progress, list(used[name])))
    staged = Staged()
    for node in nodes:
        staged.weak.setdefault(NodeKind(node.label), set()).update(node.weak)
    _Stage(store, sources, rejects, compiler.finished(), staged).fold()
    for label in dict.fromkeys(node.label for node in nodes):
        names = dict.fromkeys(name for node in nodes if node.label == label for name in node.embed)
        _text(staged.elements, NodeKind(label), tuple(names))
    return staged


class _Stage:
    """From compiled rows to elements."""

    def __init__(
        self, store: Store, sources: Mapping[str, Source], rejects: Rejects, compiled: Compiled, staged: Staged
    ) -> None:
        self._store, self._sources, self._rejects = store, sources, rejects
        self._compiled, self._staged = compiled, staged

    def fold(self) -> None:
        """Nodes, then what only adds to them, then relationships, whose ends must be there."""
        into = self._staged.elements
        for kind, table in self._compiled.elements.nodes():
            into.tables[kind] = self._each_once(kind, table)
        for kind, pieces in self._compiled.created.items():
            self._create(kind, pieces)
        for kind, table in self._compiled.existing.nodes():
            self._add_existing(kind, table)
        for edge_kind, table in self._compiled.elements.edges():
            checked = self._with_ends(edge_kind, self._each_once(edge_kind, table))
            if len(checked):
                into.tables[edge_kind] = checked
        self._staged.files = self._compiled.files
        for kind_, table in into:
            if ORIGIN[0] in table.column_names:
                self._staged.origins[kind_] = table.select([*KEYS[type(kind_)], *ORIGIN])
            into.tables[kind_] = normal(table.drop_columns([name for name in ORIGIN if name in table.column_names]))

    def _each_once(self, kind: Kind, table: pa.Table) -> pa.Table:
        """Folded, and counted what that leaves out."""
        before = len(self._rejects)
        found = self._folded(kind, table)
        self._staged.folded[kind] = len(table) - len(found) - (len(self._rejects) - before)
        return found

    def _folded(self, kind: Kind, table: pa.Table) -> pa.Table:
        def clash(row: int, first: int, name: str, value: Any) -> None:
            told, remedy = str(kind), ""
            if isinstance(kind, EdgeKind):
                start, end = table[":start"][row].as_py(), table[":end"][row].as_py()
                told, remedy = f"{table[':type'][row]} from {start!r} to {end!r}", _APART
            was = table[name][first].as_py()
            reason = f"says another thing than {self._place(table, first)} about the same {told}: {was!r}{remedy}"
            self._reject(table, row, name, value, reason)

        return folded(kind, table, clash, self._staged.weak.get(kind, ()))

    def _place(self, table: pa.Table, row: int) -> str:
        """Where a row is from; its line as long as there are few to tell of, as the file is read again for it."""
        source, file, record = self._origin(table, row)
        found = self._sources[source].locate(file, [record]) if len(self._rejects) < _LOCATED else {}
        line = found[record][0] if record in found else None
        return f"{file}, record {record + 1}" if line is None else f"{file}:{line}"

    def _create(self, kind: NodeKind, pieces: list[pa.Array]) -> None:
        """Nodes that relationships name, and nothing else does."""
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = pa.chunked_array(pieces, pa.string()).unique()
        known = self._staged.elements.tables.get(kind)
        if known is not None:
            keys = keys.filter(pc.invert(pc.is_in(keys, known[":key"].combine_chunks())))
        self._staged.elements.add(kind, pa.table({":key": keys}))

    def _add_existing(self, kind: NodeKind, table: pa.Table) -> None:
        import pyarrow as pa

        known = self._known(kind, table[":key"].combine_chunks())
        rows = table.filter(pa.array(known))
        if not len(rows):
            return
        declared = self._staged.elements.tables.get(kind)
        both = Elements({kind: rows} if declared is None else {kind: declared})
        if declared is not None:
            both.add(kind, rows)
        self._staged.elements.tables[kind] = self._folded(kind, both.tables[kind])

    def _with_ends(self, kind: EdgeKind, table: pa.Table) -> pa.Table:
        """Without the rows whose ends nothing brings; those are rejected."""
        import pyarrow as pa

        keep = np.ones(len(table), dtype=bool)
        for label, column in ((kind.start, ":start"), (kind.end, ":end")):
            there = self._known(NodeKind(label), table[column].combine_chunks())
            for row in np.flatnonzero(keep & ~there):
                key = table[column][int(row)].as_py()
                reason = f"names {label} {key!r}, which neither the job nor the graph has; bring it, or `create: true`"
                self._reject(table, int(row), column.removeprefix(":"), key, reason)
            keep &= there
        return table if keep.all() else table.filter(pa.array(keep))

    def _known(self, kind: NodeKind, keys: pa.Array) -> NDArray[np.bool_]:
        """Which keys the job or the graph has."""
        import pyarrow.compute as pc

        table = self._staged.elements.tables.get(kind)
        found = np.zeros(len(keys), dtype=bool)
        if table is not None:
            found = pc.is_in(keys, table[":key"].combine_chunks()).to_numpy(zero_copy_only=False).copy()
        missing = np.flatnonzero(~found)
        if len(missing):
            asked = keys.take(missing)
            there = known_keys(self._store, kind, asked.unique().to_pylist())
            found[missing] = [key in there for key in asked.to_pylist()]
        return found

    def _origin(self, table: pa.Table, row: int) -> tuple[str, str, int]:
        source = list(self._sources)[table[":source"][row].as_py()]
        file, record = self._compiled.files[table[":file"][row].as_py()][1], int(table[":record"][row].as_py())
        return source, *place_of(self._sources[source], file, record)

    def _reject(self, table: pa.Table, row: int, column: str, value: Any, reason: str) -> None:
        if table[":source"][row].as_py() is None:  # made by a relationship, whose own row is looked at too
            return
        source, file, record = self._origin(table, row)
        self._rejects.add(self._sources[source], file, record, column, value, reason)


def known_keys(store: Store, kind: NodeKind, keys: list[str]) -> set[str]:
    """Which of some keys the graph has.

    Args:
        store: Only read.
        kind: Label of the nodes.
        keys: Any number.
    """
    query = f"UNWIND $keys AS key MATCH (n:{cypher.own(kind.label)} {{key: key}}) RETURN key"
    found: set[str] = set()
    for start in range(0, len(keys), _BATCH):
        found.update(store.columns(query, keys=keys[start : start + _BATCH])["key"])
    return found


def normal(table: pa.Table) -> pa.Table:
    """Columns in the types that the store has: 64-bit numbers, microseconds, plain text.

    Args:
        table: Elements of a kind.
    """
    import pyarrow as pa

    for number, column in enumerate(table.schema):
        wanted = _store_type(column.type)
        if wanted != column.type:
            table = table.set_column(number, column.name, table[column.name].cast(wanted))
    return table.select([column.name for column in table.schema if not pa.types.is_null(column.type)])


def _store_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _store_type(kind.value_type)
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_store_type(kind.value_type))
    return kind


def _text(elements: Elements, kind: NodeKind, names: tuple[str, ...]) -> None:
    """The text by which a node is found, and what tells whether it has changed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from cortigraph.regions.texts import text_hash

    table = elements.tables.get(kind)
    if table is None or ":text" in table.column_names:
        return
    there = [written(table[name].combine_chunks()) for name in names if name in table.column_names]
    if not there:
        return
    text = _joined(there)
    given = pc.greater(pc.binary_length(text), 0)
    text = pc.if_else(given, text, pa.scalar(None, pa.string()))
    marks = [None if each is None else text_hash(each) for each in text.to_pylist()]
    elements.tables[kind] = table.append_column(":text", text).append_column("embedded", pa.array(marks, pa.string()))


def _joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Texts one after the other; Arrow's own function drops the rows in which all are null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.fill_null(columns[0], "")
    nothing = pa.scalar("", pa.string())
    for column in columns[1:]:
        more = pc.fill_null(column, "")
        both = pc.and_(pc.greater(pc.binary_length(text), 0), pc.greater(pc.binary_length(more), 0))
        text = pc.binary_join_element_wise(text, pc.if_else(both, ". ", ""), more, nothing)
    return text
