"""Sources from Python: pandas and Arrow tables, and the nodes and edges of NetworkX graphs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.tables._graph import is_graph, tables_of
from cortigraph.tables._objects import Objects, keys_of
from cortigraph.tables.arrays import Arrays, check_kinds, kind_of, kinds_of
from cortigraph.tables.base import Block, Fault, Part, Progress, Raw, batch_of, settle
from cortigraph.tables.names import called, named
from cortigraph.tables.parquet import as_json
from cortigraph.tables.spec import SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.tables.rejects import Rejects

__all__ = ["TableSource", "sources_of"]

_ROWS = 1 << 16
_VALUE_BYTES = 64  # about what a Python value takes, for estimates


def sources_of(name: str, table: object) -> list[TableSource]:
    """The sources that an object from Python gives: one, or two for a graph.

    Args:
        name: Of the source.
        table: A pandas DataFrame, an Arrow table, batch or reader, or a NetworkX graph.

    Raises:
        InputError: It is none of these, or has columns that the store can't hold.
    """
    import pyarrow as pa

    if isinstance(table, pa.RecordBatchReader):
        table = table.read_all()  # it can be read only once, and a source is read more often
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        return [TableSource(name, {column: table[column] for column in _names(table.column_names)})]
    if is_graph(table):
        return [TableSource(f"{name}.{part}", _columns(values)) for part, values in tables_of(table).items()]
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        return [TableSource(name, _from_pandas(table))]
    raise InputError(
        f"expected a pandas DataFrame, an Arrow table or reader, or a NetworkX graph, got {type(table).__name__}"
    )


class TableSource:
    """A source that lies in memory. Its rows have no lines.

    Args:
        name: In the job; messages call the file so too.
        table: Column → Arrow data, or Python values where those are of several kinds.
        spec: What the job says of it.
    """

    def __init__(
        self, name: str, table: Mapping[str, pa.ChunkedArray | list[Any]], spec: SourceSpec | None = None
    ) -> None:
        import pyarrow as pa

        self.name = name
        self.spec = spec if spec is not None else SourceSpec()
        self._table = dict(table)
        self._rows = len(next(iter(self._table.values()), []))
        arrow = {column: cells for column, cells in table.items() if not isinstance(cells, list)}
        self._schema = pa.schema([(column, cells.type) for column, cells in arrow.items()])
        self._kinds = kinds_of(self._schema, self.spec.types)
        self._kinds |= keys_of(
            {column: value} for column, cells in table.items() if isinstance(cells, list) for value in cells
        )

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._table)

    def told(self, spec: SourceSpec) -> TableSource:
        """The same table, of which a job says more."""
        return TableSource(self.name, self._table, spec)

    def blocks(
        self, rejects: Rejects, progress: Progress | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Gives all rows."""
        wanted = named(self.columns() if columns is None else columns, self)
        names = list(dict.fromkeys(wanted.values()))
        check_kinds([name for name in names if name in self._schema.names], self._schema, self._kinds, self.name)
        arrays, objects = Arrays(self.spec, self._kinds), Objects(self.spec, self._kinds)
        for first in range(0, self._rows, _ROWS):
            part = self._part(first, names, arrays, objects)
            block = settle(self, self.name, called(part, wanted), rejects)
            if len(block.records):
                yield block
            if progress is not None:
                progress(self.name, part.done, self._rows)

    def locate(self, file: str, records: Collection[int]) -> dict[int, tuple[int | None, Raw]]:
        """The rows as JSON."""
        found: dict[int, tuple[int | None, Raw]] = {}
        for record in sorted(records):
            row = {column: _value(cells[record]) for column, cells in self._table.items()}
            found[record] = None, as_json(row)
        return found

    def fingerprint(self) -> str:
        """SHA-256 of names, types and values, and of what the job says about them."""
        import pyarrow as pa

        said = self.spec.model_dump_json(exclude_defaults=True)
        whole = hashlib.sha256((json.dumps(self.columns()) + (said if said != "{}" else "")).encode())
        for column, cells in self._table.items():
            for first in range(0, self._rows, _ROWS):
                if isinstance(cells, list):
                    whole.update(json.dumps(cells[first : first + _ROWS], default=str).encode())
                    continue
                sink = pa.BufferOutputStream()
                piece = pa.table({column: cells.slice(first, _ROWS)}).combine_chunks()
                with pa.ipc.new_stream(sink, piece.schema.remove_metadata()) as stream:
                    stream.write_table(piece.replace_schema_metadata(None))
                whole.update(sink.getvalue())
        return whole.hexdigest()

    def bytes(self) -> int:
        """What it takes in memory, about."""
        return sum(
            len(cells) * _VALUE_BYTES if isinstance(cells, list) else int(cells.nbytes)
            for cells in self._table.values()
        )

    def remains(self) -> SourceSpec:
        """Some of its rows are JSON lines, whose types are those of the columns."""
        kinds = {name: str(kind) for name, kind in self._kinds.items() if kind is not None and kind.name != "text"}
        return self.spec.model_copy(update={"path": [], "format": "jsonl", "header": self.columns(), "types": kinds})

    def assemble(self, records: Sequence[Raw]) -> Raw:
        """A file that holds just these rows."""
        return b"".join(record + b"\n" for record in records)

    def _part(self, first: int, names: Sequence[str], arrays: Arrays, objects: Objects) -> Part:
        import numpy as np
        import pyarrow as pa

        stop = min(first + _ROWS, self._rows)
        records = np.arange(first, stop, dtype=np.int64)
        made: dict[str, pa.Array] = {}
        found: list[Fault] = []
        for column in names:
            cells = self._table[column]
            if isinstance(cells, list):
                made[column], faults = objects.column(column, cells[first:stop], records)
            else:
                whole = pa.concat_arrays(cells.slice(first, stop - first).chunks)
                batch, faults = arrays.batch(pa.RecordBatch.from_arrays([whole], [column]), records)
                made[column] = batch.column(0)
            found += faults
        return Part(records, batch_of(made, len(records)), found, stop)


def _from_pandas(frame: Any) -> dict[str, pa.ChunkedArray | list[Any]]:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = _names([str(name) for name in frame.columns])
    return _columns({name: frame.iloc[:, place] for place, name in enumerate(names)})


def _columns(values: Mapping[str, Any]) -> dict[str, pa.ChunkedArray | list[Any]]:
    return {name: _column(column) for name, column in values.items()}


def _column(values: Any) -> pa.ChunkedArray | list[Any]:
    """Arrow data where the store can hold it; Python values where single ones have to be refused."""
    import pyarrow as pa

    try:
        made = pa.array(values, from_pandas=True)
        if kind_of(made.type) is not None:
            return made if isinstance(made, pa.ChunkedArray) else pa.chunked_array([made])
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        pass
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """A plain Python value; what pandas has for a missing one is `None`."""
    plain = value.as_py() if hasattr(value, "as_py") else value
    plain = plain.tolist() if hasattr(plain, "tolist") else plain
    if isinstance(plain, tuple | set | frozenset):
        plain = list(plain) if isinstance(plain, tuple) else _sorted(plain)
    lost = plain is None or (not isinstance(plain, list | dict | str) and plain != plain)
    return None if lost or type(plain).__name__ in ("NAType", "NaTType") else plain


def _sorted(values: Collection[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # of several kinds, which have no order of their own
        return sorted(values, key=repr)


def _names(names: list[str]) -> list[str]:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(f"several columns have the name {', '.join(map(repr, double))}; rename them")
    return names
