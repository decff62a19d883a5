"""CSV, TSV and triples: cells between delimiters, read by Arrow a block of whole records at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables._bytes import Content
from cortigraph.tables._columns import Columns
from cortigraph.tables._files import LineSource, Place
from cortigraph.tables._records import Chunk, Cut, chunks_of
from cortigraph.tables.base import Fault, Part, batch_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.spec import SourceSpec

__all__ = ["TRIPLE", "DelimitedSource"]

TRIPLE = ["head", "relation", "tail"]
_UNCLOSED = "a quote that opens in this record is never closed; close it, or double it if it is part of the text"
_SLACK = 64 << 20


class DelimitedSource(LineSource):
    """A source of CSV, TSV or triples.

    Args:
        name: In the job.
        spec: What the job says of it.
        places: Its files; all have the same columns.

    Raises:
        InputError: A file has no header, or another than the first one.
    """

    def __init__(self, name: str, spec: SourceSpec, places: Sequence[Place]) -> None:
        super().__init__(name, spec, places)
        told = TRIPLE if spec.format == "triples" else spec.header
        self._named = told is None
        self._first = b""
        self._columns = list(told) if told is not None else self._header()

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def cut(self) -> Cut:
        """How records are told apart."""
        return Cut(self._quote(), self._delimiter(), header=self._named, largest=self.spec.longest + _SLACK)

    def parts(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        """Reads a file."""
        columns = Columns(self.spec)
        wanted = [self._columns.index(name) for name in (self._columns if names is None else names)]
        for chunk in self.chunks(place):
            yield self._part(chunk, columns, wanted)

    def remains(self) -> SourceSpec:
        """How a file that holds some of its records is to be read."""
        return self.spec.model_copy(update={"types": {}})

    def assemble(self, records: Sequence[bytes]) -> bytes:
        """A file that holds just these records, with the first file's header."""
        lines = [self._first, *records] if self._named else list(records)
        return b"".join(line + b"\n" for line in lines)

    def _quote(self) -> bytes | None:
        told = self.spec.quote if self.spec.quote is not None else ('"' if self.spec.format == "csv" else "")
        return told.encode() or None

    def _delimiter(self) -> bytes:
        return (self.spec.delimiter or ("," if self.spec.format == "csv" else "\t")).encode()

    def _header(self) -> list[str]:
        found: list[str] = []
        for place in self.places:
            cut = Cut(self._quote(), self._delimiter(), largest=_SLACK)
            chunk = next(chunks_of(Content(place.path, place.label), cut, block=1 << 12), None)
            if chunk is None:
                raise InputError(f"{place.label} is empty; it needs a first line that names the columns, or a `header`")
            raw = chunk.raw(0)
            names = self._names(raw, place.label)
            if found and names != found:
                raise InputError(
                    f"{place.label} has the columns {', '.join(names)}; {self.places[0].label} has {', '.join(found)}"
                )
            self._first = self._first or raw
            found = names
        return found

    def _names(self, raw: bytes, label: str) -> list[str]:
        table = _cells(memoryview(raw + b"\n"), None, None, self._delimiter(), self._quote())
        try:
            cells = [column[0].as_py().decode() for column in table.columns]
        except UnicodeDecodeError as error:
            raise InputError(f"{label}: the header is not UTF-8 ({error}); save the file as UTF-8") from error
        return [cell or f"column{place}" for place, cell in enumerate(cells, start=1)]

    def _part(self, chunk: Chunk, columns: Columns, wanted: Sequence[int]) -> Part:
        import numpy as np

        table, wrong = self._table(chunk, wanted)
        rows = np.arange(len(chunk), dtype=np.int64)
        records = chunk.first + (np.delete(rows, list(wrong)) if wrong else rows)
        faults = [Fault(chunk.first + row, None, chunk.raw(row), reason) for row, reason in wrong.items()]
        made: dict[str, pa.Array] = {}
        for place, column in zip(wanted, table.columns, strict=False):  # a column more where none is wanted
            name = self._columns[place]
            made[name], found = columns.from_bytes(name, _whole(column), records)
            faults += found
        return Part(records, batch_of(made, len(records)), faults, chunk.done)

    def _table(self, chunk: Chunk, wanted: Sequence[int]) -> tuple[pa.Table, dict[int, str]]:
        """The cells of some columns, and row → reason for records that have too many or too few."""
        import pyarrow as pa

        delimiter, quote = self._delimiter(), self._quote()
        if not chunk.unclosed:
            try:
                return _cells(chunk.dense(), len(self._columns), wanted, delimiter, quote), {}
            except pa.ArrowInvalid:
                pass  # Arrow tells of one record; all are wanted
        expected = len(self._columns)
        wrong = {
            row: f"expected {expected} columns, got {count}"
            for row, count in enumerate(_counts(chunk, delimiter, quote))
            if count != expected
        }
        if chunk.unclosed:
            wrong[len(chunk) - 1] = _UNCLOSED
        good = b"".join(chunk.raw(row) + b"\n" for row in range(len(chunk)) if row not in wrong)
        return _cells(memoryview(good), expected, wanted, delimiter, quote), wrong


def _cells(
    data: memoryview, width: int | None, wanted: Sequence[int] | None, delimiter: bytes, quote: bytes | None
) -> pa.Table:
    """The cells of some columns of whole records, as bytes; of all, where nobody knows how many there are."""
    import pyarrow as pa
    import pyarrow.csv

    names = [f"f{place}" for place in wanted or ()]
    if not len(data):
        return pa.table({name: pa.array([], pa.binary()) for name in names})
    csv = pyarrow.csv
    return csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        read_options=csv.ReadOptions(
            column_names=None if width is None else [f"f{place}" for place in range(width)],
            autogenerate_column_names=width is None,
            block_size=max(len(data) + 1, 1 << 16),
        ),
        parse_options=csv.ParseOptions(
            delimiter=delimiter.decode(),
            quote_char=quote.decode() if quote else False,
            newlines_in_values=quote is not None,
            ignore_empty_lines=False,
        ),
        convert_options=csv.ConvertOptions(
            column_types={name: pa.binary() for name in names} if width is not None else _all_bytes(data, delimiter),
            include_columns=(names or ["f0"]) if width is not None else None,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _all_bytes(data: memoryview, delimiter: bytes) -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {f"f{place}": pa.binary() for place in range(bytes(data).count(delimiter) + 1)}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _counts(chunk: Chunk, delimiter: bytes, quote: bytes | None) -> Sequence[int] | NDArray[np.int64]:
    """How many cells each record has."""
    import numpy as np

    if quote is None or quote not in chunk.data:
        places = np.flatnonzero(np.frombuffer(chunk.data, np.uint8) == delimiter[0])
        return np.searchsorted(places, chunk.ends) - np.searchsorted(places, chunk.starts) + 1
    mark, edge = re.escape(quote), re.escape(delimiter)
    cell = re.compile(
        rb"(?:\A|%b)(?:%b(?:[^%b]++|%b%b)*+%b[^%b]*+|[^%b%b][^%b]*+|)"
        % (edge, mark, mark, mark, mark, mark, edge, mark, edge, edge)
    )
    return [sum(1 for _ in cell.finditer(chunk.raw(row))) for row in range(len(chunk))]
