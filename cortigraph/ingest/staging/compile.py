"""Compiling: the blocks of a job's sources become elements, checked row by row in one sweep over columns.

What is wrong with a row (no key, a type that is not allowed) is a reject; the rest of the block goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.names import flaw, instead, label_problem, type_problem
from cortigraph.ingest.elements import EdgeKind, Elements, NodeKind
from cortigraph.ingest.spec.cells import Cell
from cortigraph.ingest.spec.mapping import EdgeMapping, End, NodeMapping
from cortigraph.ingest.spec.metrics import metrics
from cortigraph.ingest.staging.origin import place_of
from cortigraph.ingest.staging.rows import COUNTED, counted
from cortigraph.ingest.staging.unfold import any_in, is_list, taken, unfolded
from cortigraph.tables.written import unwritable, written

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.base import Block, Source
    from cortigraph.tables.rejects import Rejects

__all__ = ["ORIGIN", "Compiled", "Compiler"]

# Where a row is from, until all rows are known to be right: number of the source, of the file, and the record in it.
ORIGIN = (":source", ":file", ":record")
LONGEST_KEY = 7_000  # Neo4j's indexes take keys of up to about 8 kB
_SHAPED = "is a list, and template, before, after, map and scale take one value; give the column another type"


@dataclass
class Compiled:
    """What the sources say, not yet folded: an element may be there several times.

    Args:
        elements: Rows with their origin.
        created: Label → keys of nodes that relationships make by naming them.
        existing: Rows that only say more about nodes that are there.
        files: What the numbers in `:file` stand for: source and file.
    """

    elements: Elements = field(default_factory=Elements)
    created: dict[NodeKind, list[pa.Array]] = field(default_factory=dict)
    existing: Elements = field(default_factory=Elements)
    files: list[tuple[str, str]] = field(default_factory=list)


class Compiler:
    """Turns blocks into elements.

    Args:
        nodes: The job's mappings to nodes.
        edges: The job's mappings to relationships.
        sources: By name.
        rejects: Takes what is wrong.
        job: Its name, part of the keys of rows that are relationships of their own.
    """

    def __init__(
        self,
        nodes: Sequence[NodeMapping],
        edges: Sequence[EdgeMapping],
        sources: Mapping[str, Source],
        rejects: Rejects,
        job: str,
    ) -> None:
        self._nodes = _by_source(nodes)
        self._edges = _by_source(edges)
        self._sources = sources
        self._rejects = rejects
        self._job = job
        self._compiled = Compiled()
        self._pieces: dict[tuple[bool, NodeKind | EdgeKind], list[pa.Table]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def take(self, blocks: Iterable[Block]) -> None:
        """Adds what blocks say.

        Raises:
            RejectedError: More rows are wrong than may be.
        """
        for block in blocks:
            for node in self._nodes.get(block.source, ()):
                self._node(node, block)
            for edge in self._edges.get(block.source, ()):
                self._edge(edge, block)

    def finished(self) -> Compiled:
        """All of it."""
        from cortigraph.ingest.elements import unified

        for (existing, kind), pieces in self._pieces.items():
            elements = self._compiled.existing if existing else self._compiled.elements
            table = unified(pieces, str(kind))
            elements.tables[kind] = counted(kind, table) if isinstance(kind, EdgeKind) else table
        self._pieces.clear()
        return self._compiled

    def _node(self, mapping: NodeMapping, whole: Block) -> None:
        block, repeated = _unfolded(whole, mapping.key.columns())
        key = self._key(mapping.key, block, mapping.area)
        keep = _wanted(mapping, block)
        keep &= self._usable(mapping.key, key, block, keep)
        named = [name for name, cell in mapping.properties.items() if cell == mapping.key]  # an item, as the key is
        columns = {":key": key, **self._properties(mapping, repeated, keep, named)}
        columns |= {name: mapping.key.of(block) for name in named}
        if mapping.labels:
            columns[":labels"] = _labels(mapping, repeated)
            if isinstance(mapping.labels, Cell):
                keep &= self._labelled(mapping.labels, columns[":labels"], block, keep)
        self._keep(NodeKind(mapping.label), columns, block, keep, existing=mapping.existing)

    def _edge(self, mapping: EdgeMapping, whole: Block) -> None:
        import pyarrow as pa

        block, repeated = _unfolded(whole, _naming(mapping))
        rows = block.table.num_rows
        keep = _wanted(mapping, block)
        kind = written(mapping.type.of(block)) if isinstance(mapping.type, Cell) else pa.repeat(mapping.type, rows)
        if isinstance(mapping.type, Cell):
            keep &= self._allowed(mapping, mapping.type, kind, block, keep)
        start, end = (self._end(each, block) for each in (mapping.start, mapping.end))
        keep &= self._usable(mapping.start.key, start, block, keep)
        keep &= self._usable(mapping.end.key, end, block, keep)
        columns = {":type": kind.cast(pa.string()), ":start": start, ":end": end}
        columns |= self._own_key(mapping, block, keep)
        columns |= self._properties(mapping, repeated, keep)
        self._keep(EdgeKind(mapping.start.label, mapping.end.label), columns, block, keep)
        if mapping.create:
            mask = pa.array(keep)
            for each, keys in ((mapping.start, start), (mapping.end, end)):
                self._compiled.created.setdefault(NodeKind(each.label), []).append(keys.filter(mask).unique())

    def _own_key(self, mapping: EdgeMapping, block: Block, keep: NDArray[np.bool_]) -> dict[str, pa.Array]:
        """What tells relationships of one type between the same nodes apart."""
        import pyarrow as pa

        rows = block.table.num_rows
        if mapping.key is None:
            return {":key": pa.nulls(rows, pa.string())}
        if mapping.key.row:
            return {":key": pa.repeat(f"{self._job}/{block.file}", rows), COUNTED: pa.repeat(True, rows)}
        key = written(mapping.key.of(block))
        keep &= self._usable(mapping.key, key, block, keep)
        return {":key": key}

    def _keep(
        self,
        kind: NodeKind | EdgeKind,
        columns: dict[str, pa.Array],
        block: Block,
        keep: NDArray[np.bool_],
        *,
        existing: bool = False,
    ) -> None:
        import pyarrow as pa

        rows = block.table.num_rows
        source = list(self._sources).index(block.source)
        file = self._numbers.setdefault((block.source, block.file), len(self._numbers))
        if file == len(self._compiled.files):
            self._compiled.files.append((block.source, block.file))
        columns |= {
            ":source": pa.repeat(pa.scalar(source, pa.int16()), rows),
            ":file": pa.repeat(pa.scalar(file, pa.int32()), rows),
            ":record": pa.array(block.records, pa.int64()),
        }
        table = pa.table(columns)
        kept = table if keep.all() else table.filter(pa.array(keep))
        if len(kept):
            self._pieces.setdefault((existing, kind), []).append(kept)

    def _key(self, cell: Cell, block: Block, area: str | None) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        key = written(cell.of(block))
        if area is None:
            return key
        return pc.binary_join_element_wise(pa.scalar(area), key, pa.scalar("/"))

    def _end(self, end: End, block: Block) -> pa.Array:
        return self._key(end.key, block, end.area)

    def _properties(
        self, mapping: NodeMapping | EdgeMapping, block: Block, keep: NDArray[np.bool_], but: Collection[str] = ()
    ) -> dict[str, pa.Array]:
        import pyarrow as pa

        found = {}
        for name, cell in mapping.properties.items():
            if name in but:
                continue
            lists = [column for column in cell.columns() if cell.shaped and is_list(block.table.column(column).type)]
            for column in lists:
                cells = block.table.column(column)
                given = cells.is_valid().to_numpy(zero_copy_only=False)
                for row in np.flatnonzero(keep & given):
                    self._reject(block, int(row), column, cells[int(row)].as_py(), _SHAPED)
                keep &= ~given
            if name in mapping.numbers():
                found[name] = self._metric(cell, block, keep)
            else:
                found[name] = pa.nulls(block.table.num_rows) if lists else cell.of(block)
        return found

    def _metric(self, cell: Cell, block: Block, keep: NDArray[np.bool_]) -> pa.Array:
        """A column of numbers; rows in which there is something else are rejected."""
        told = cell.model_copy(update={"scale": None}).of(block)
        found, wrong = metrics(told, cell.scale)
        for row, reason in wrong.items():
            if keep[row]:
                self._reject(block, row, str(cell), told[row].as_py(), reason)
        keep[list(wrong)] = False
        return found

    def _usable(self, cell: Cell, key: pa.Array, block: Block, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which keys can be keys; the others are rejected."""
        import pyarrow.compute as pc

        asked = asked & self._writable(cell, block, asked)
        size = pc.fill_null(pc.binary_length(key), 0).to_numpy(zero_copy_only=False)
        fine: NDArray[np.bool_] = asked & (size > 0) & (size <= LONGEST_KEY)
        for row in np.flatnonzero(asked & ~fine):
            reason = "is empty; a key must name something" if not size[row] else _too_long(int(size[row]))
            self._reject(block, int(row), str(cell), key[int(row)].as_py(), reason)
        return fine

    def _writable(self, cell: Cell, block: Block, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows' values can be written so that different ones stay different; the others are rejected."""
        fine: NDArray[np.bool_] = np.ones(block.table.num_rows, dtype=bool)
        for column in cell.columns():
            for row, reason in unwritable(block.table.column(column)).items():
                fine[row] = False
                if asked[row]:
                    self._reject(block, row, column, block.table.column(column)[row].as_py(), reason)
        return fine

    def _allowed(
        self, mapping: EdgeMapping, cell: Cell, kind: pa.Array, block: Block, asked: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        import pyarrow as pa
        import pyarrow.compute as pc

        asked = asked & self._writable(cell, block, asked)
        fine = asked & self._named(cell, kind, type_problem, "type", block, asked)
        if mapping.types is None:
            return fine
        known: NDArray[np.bool_] = pc.is_in(kind, pa.array(mapping.types, pa.string())).to_numpy(zero_copy_only=False)
        told = f"is no type of relationship that the job knows; it lists {_some(mapping.types)}"
        for row in np.flatnonzero(asked & fine & ~known):
            self._reject(block, int(row), str(cell), kind[int(row)].as_py(), told)
        fine &= known
        return fine

    def _labelled(self, cell: Cell, labels: pa.Array, block: Block, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows have labels that an entity can have."""
        import pyarrow.compute as pc

        each, of = pc.list_flatten(labels), pc.list_parent_indices(labels).to_numpy(zero_copy_only=False)
        fine: NDArray[np.bool_] = np.ones(len(labels), dtype=bool)
        good = self._named(cell, each, label_problem, "labels", block, asked[of], of)
        fine[of[~good]] = False
        return fine

    def _named(
        self,
        cell: Cell,
        names: pa.Array,
        problem: Callable[[object], str | None],
        key: str,
        block: Block,
        asked: NDArray[np.bool_],
        of: NDArray[np.int64] | None = None,
    ) -> NDArray[np.bool_]:
        """Which names can be taken; the rows of the others are rejected, with what to write instead."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wrong = {name: told for name in names.unique().to_pylist() if (told := problem(name)) is not None}
        if not wrong:
            return np.ones(len(names), dtype=bool)
        bad = pc.is_in(names, pa.array(list(wrong), names.type)).to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(asked & bad).tolist():
            name = names[place].as_py()
            row = place if of is None else int(of[place])
            remedy = f"; write `{key}: {cell.mapped(name, instead(name))}` in the job" if flaw(name) is None else ""
            self._reject(block, row, str(cell), name, wrong[name] + remedy)
        return np.asarray(~bad, dtype=bool)

    def _reject(self, block: Block, row: int, column: str, value: Any, reason: str) -> None:
        source = self._sources[block.source]
        self._rejects.add(source, *place_of(source, block.file, int(block.records[row])), column, value, reason)


def _too_long(size: int) -> str:
    return f"is a key of {size} bytes; the store's indexes take up to {LONGEST_KEY}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _by_source(mappings: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for mapping in mappings:
        found.setdefault(mapping.source, []).append(mapping)
    return found


def _wanted(mapping: NodeMapping | EdgeMapping, block: Block) -> NDArray[np.bool_]:
    """The rows that a mapping is about."""
    keep: NDArray[np.bool_] = np.ones(block.table.num_rows, dtype=bool)
    for column in mapping.having:
        keep &= block.table.column(column).is_valid().to_numpy(zero_copy_only=False)
    for column, wanted in mapping.where.items():
        keep &= any_in(block.table.column(column), [wanted] if isinstance(wanted, str) else wanted)
    return keep


def _unfolded(whole: Block, columns: Sequence[str]) -> tuple[Block, Block]:
    """A block with one item a row in some columns, and the same rows as they were."""
    block, rows = unfolded(whole, columns)
    return block, whole if block is whole else taken(whole, rows)


def _naming(mapping: EdgeMapping) -> list[str]:
    """The columns that say which relationship a row is."""
    cells = [mapping.start.key, mapping.end.key, mapping.key, mapping.type]
    return [column for cell in cells if isinstance(cell, Cell) for column in cell.columns()]


def _labels(mapping: NodeMapping, whole: Block) -> pa.Array:
    import pyarrow as pa

    if not isinstance(mapping.labels, Cell):
        return pa.array([list(mapping.labels)] * whole.table.num_rows, pa.list_(pa.string()))
    block, rows = unfolded(whole, mapping.labels.columns())
    labels = written(mapping.labels.of(block))
    given = labels.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.r_[0, np.cumsum(np.bincount(rows[given], minlength=whole.table.num_rows))]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), labels.drop_null())
