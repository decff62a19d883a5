"""Parquet files: read by Arrow a batch of rows at a time, several columns at once."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError
from cortigraph.tables._columns import plain
from cortigraph.tables._files import FileSource, Place
from cortigraph.tables.arrays import Arrays, check_kinds, kinds_of
from cortigraph.tables.base import Part

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet

    from cortigraph.tables.spec import SourceSpec

__all__ = ["ParquetSource", "as_json"]

_ROWS = 1 << 17


class ParquetSource(FileSource):
    """A source of Parquet files.

    Args:
        name: In the job.
        spec: What the job says of it.
        places: Its files; all have the same columns.

    Raises:
        InputError: A file is damaged, has columns that the store can't hold, or others than the first one.
    """

    def __init__(self, name: str, spec: SourceSpec, places: Sequence[Place]) -> None:
        super().__init__(name, spec, places)
        self._schemas = [_opened(place).schema_arrow for place in places]
        for place, schema in zip(places, self._schemas, strict=True):
            if schema.names != self._schemas[0].names:
                raise InputError(
                    f"{place.label} has the columns {', '.join(schema.names)}; "
                    f"{places[0].label} has {', '.join(self._schemas[0].names)}"
                )
        self._kinds = kinds_of(self._schemas[0], spec.types) if places else {}

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._schemas[0].names if self._schemas else self.spec.header or ())

    def check(self, names: Sequence[str]) -> None:
        """Whether these columns can be read, and hold the same in all files."""
        for place, schema in zip(self.places, self._schemas, strict=True):
            kinds = kinds_of(schema, self.spec.types)
            check_kinds(names, schema, kinds, place.label)
            if odd := [name for name in names if kinds[name] != self._kinds[name]]:
                told = ", ".join(map(repr, odd))
                raise InputError(
                    f"{place.label} has other types than {self.places[0].label} in {told}; give them a type"
                )

    def parts(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        """Reads a file."""
        import numpy as np

        arrays = Arrays(self.spec, self._kinds)
        file = _opened(place)
        size, rows, first = place.path.stat().st_size, file.metadata.num_rows, 0
        for batch in _batches(file, place, names):
            records = np.arange(first, first + len(batch), dtype=np.int64)
            first += len(batch)
            table, faults = arrays.batch(batch, records)
            yield Part(records, table, faults, size * first // max(rows, 1))

    def find(self, place: Place, records: Collection[int]) -> dict[int, tuple[int | None, bytes]]:
        """Finds records of a file again, as JSON."""
        found: dict[int, tuple[int | None, bytes]] = {}
        first = 0
        for batch in _batches(_opened(place), place, None):
            for record in sorted(record for record in records if first <= record < first + len(batch)):
                found[record] = None, as_json(_row(batch, record - first))
            first += len(batch)
        return found

    def remains(self) -> SourceSpec:
        """Some of its records are JSON lines, whose types are those of the columns."""
        kinds = {name: str(kind) for name, kind in self._kinds.items() if kind and kind.name != "text"}
        update = {"format": "jsonl", "header": self.columns(), "types": kinds}
        return self.spec.model_copy(update=update)

    def assemble(self, records: Sequence[bytes]) -> bytes:
        """A file that holds just these records."""
        return b"".join(record + b"\n" for record in records)


def as_json(values: dict[str, Any]) -> bytes:
    """A row as a line of JSON; missing values are left out.

    Example:
        >>> as_json({"a": 1, "b": None})
        b'{"a": 1}'
    """
    told = {name: value for name, value in values.items() if value is not None}
    return json.dumps(told, ensure_ascii=False, default=_plain).encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _row(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    return {name: plain(column[row]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _opened(place: Place) -> pyarrow.parquet.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(place.path, memory_map=True, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{place.label} is no Parquet file that can be read ({error}); write it again") from error


def _batches(file: pyarrow.parquet.ParquetFile, place: Place, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    told = 0
    try:
        for batch in file.iter_batches(_ROWS, columns=names):
            yield batch if names is None else batch.select(names)
            told += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{place.label} is damaged after row {told:,} ({error}); write it again") from error
    if told != file.metadata.num_rows:
        raise InputError(
            f"{place.label} has {told:,} rows, and its end says {file.metadata.num_rows:,}; write it again"
        )
