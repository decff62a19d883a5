"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.tables._bytes import Content
from cortigraph.tables._files import LineSource, Place
from cortigraph.tables._objects import DoubledKeyError, Objects, decoder, keys_of
from cortigraph.tables._records import Chunk, Cut, chunks_of
from cortigraph.tables.base import Fault, Part
from cortigraph.tables.cells import as_text

if TYPE_CHECKING:
    from cortigraph.tables.spec import SourceSpec

__all__ = ["JsonLinesSource"]

_SLACK = 64 << 20
_PROBE = 1 << 18


class JsonLinesSource(LineSource):
    """A source of JSON lines. Its columns are the keys in the first records of each file.

    Args:
        name: In the job.
        spec: What the job says of it.
        places: Its files.
    """

    def __init__(self, name: str, spec: SourceSpec, places: Sequence[Place]) -> None:
        super().__init__(name, spec, places)
        self._decode = decoder().decode
        self._kinds = keys_of(self._first(), spec.header or ())

    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._kinds)

    def cut(self) -> Cut:
        """Newlines can't stand within JSON's text, so each ends a record."""
        return Cut(largest=self.spec.longest + _SLACK)

    def parts(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        """Reads a file."""
        objects = Objects(self.spec, self._kinds, names)
        for chunk in self.chunks(place):
            yield self._part(chunk, objects)

    def remains(self) -> SourceSpec:
        """How a file that holds some of its records is to be read."""
        kinds = {name: str(kind) for name, kind in self._kinds.items() if kind and kind.name != "text"}
        return self.spec.model_copy(update={"header": self.columns(), "types": kinds})

    def assemble(self, records: Sequence[bytes]) -> bytes:
        """A file that holds just these records."""
        return b"".join(record + b"\n" for record in records)

    def _first(self) -> Iterator[Any]:
        for place in self.places:
            chunk = next(chunks_of(Content(place.path, place.label), self.cut(), block=_PROBE), None)
            for row in range(len(chunk) if chunk is not None else 0):
                assert chunk is not None
                try:
                    yield self._decode(chunk.raw(row).decode())
                except (ValueError, RecursionError):  # told of when the file is read
                    continue

    def _part(self, chunk: Chunk, objects: Objects) -> Part:
        import numpy as np

        values: list[Any] = []
        rows: list[int] = []
        faults: list[Fault] = []
        for row in range(len(chunk)):
            raw = chunk.raw(row)
            try:
                if raw.isspace():
                    continue
                values.append(self._decode(raw.decode()))
                rows.append(chunk.first + row)
            except (ValueError, RecursionError) as error:
                faults.append(Fault(chunk.first + row, None, raw, _reason(raw, error)))
        return objects.part(values, np.array(rows, np.int64), faults, chunk.done)


def _reason(raw: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        import pyarrow as pa

        return as_text(pa.array([raw]))[1][0]
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at character {error.colno}"
    return str(error) if isinstance(error, DoubledKeyError) else f"is not JSON that can be read: {error}"
