"""What the sources that lie in files have in common: their names, sizes, fingerprint, and reading one after another."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables._ahead import ahead
from cortigraph.tables._bytes import Content, is_gzip
from cortigraph.tables._records import Chunk, Cut, chunks_of
from cortigraph.tables.base import Block, Part, Progress, settle
from cortigraph.tables.names import called, named

if TYPE_CHECKING:
    from cortigraph.tables.rejects import Rejects
    from cortigraph.tables.spec import SourceSpec

__all__ = ["FileSource", "LineSource", "Place"]


@dataclass(frozen=True)
class Place:
    """A file of a source.

    Args:
        path: Where it lies.
        label: How messages call it.
    """

    path: Path
    label: str


class FileSource(ABC):
    """A source that lies in files, which are read in order.

    Args:
        name: In the job.
        spec: What the job says of it.
        places: Its files.
    """

    def __init__(self, name: str, spec: SourceSpec, places: Sequence[Place]) -> None:
        self.name = name
        self.spec = spec
        self.places = tuple(places)

    @abstractmethod
    def columns(self) -> list[str]:
        """The names of the columns."""

    @abstractmethod
    def parts(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        """Reads some of the columns of a file, or all, strictly: then what is odd beside them is wrong too."""

    @abstractmethod
    def find(self, place: Place, records: Collection[int]) -> dict[int, tuple[int | None, bytes]]:
        """Finds records of a file again."""

    @abstractmethod
    def remains(self) -> SourceSpec:
        """How a file that holds some of its records is to be read."""

    @abstractmethod
    def assemble(self, records: Sequence[bytes]) -> bytes:
        """A file that holds just these records."""

    def blocks(
        self, rejects: Rejects, progress: Progress | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Reads all files; the next part is read while the last one is used."""
        wanted = named(self.columns() if columns is None else columns, self)
        names = list(dict.fromkeys(wanted.values()))
        self.check(names)
        whole = self.bytes()
        before = 0
        for place in self.places:
            for part in ahead(self._guarded(place, None if columns is None else names)):
                if progress is not None:
                    progress(self.name, before + part.done, whole)
                block = settle(self, place.label, called(part, wanted), rejects)
                if len(block.records):
                    yield block
            before += place.path.stat().st_size
            if progress is not None:
                progress(self.name, before, whole)

    def check(self, names: Sequence[str]) -> None:  # noqa: B027 - most formats know nothing before they are read
        """Whether these columns can be read, as far as it is known before.

        Raises:
            InputError: Those that can't.
        """

    def locate(self, file: str, records: Collection[int]) -> dict[int, tuple[int | None, bytes]]:
        """Finds records again: number → line and bytes."""
        place = next(place for place in self.places if place.label == file)
        return self.find(place, records) if records else {}

    def fingerprint(self) -> str:
        """SHA-256 of the files' bytes and of what the job says about them."""
        whole = hashlib.sha256(self.spec.model_dump_json(exclude={"path"}).encode())
        for place in self.places:
            with place.path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()

    def bytes(self) -> int:
        """The size of the files as they lie there."""
        return sum(place.path.stat().st_size for place in self.places)

    def _guarded(self, place: Place, names: Sequence[str] | None) -> Iterator[Part]:
        try:
            yield from self.parts(place, names)
        except OSError as error:
            raise InputError(f"{place.label} can't be read: {error.strerror or error}") from error


class LineSource(FileSource):
    """A source whose records are found by the newlines between them."""

    @abstractmethod
    def cut(self) -> Cut:
        """How records are told apart."""

    def chunks(self, place: Place) -> Iterator[Chunk]:
        """The records of a file; where it is packed, another thread unpacks it."""
        content = Content(place.path, place.label)
        if not is_gzip(place.path):
            return chunks_of(content, self.cut())
        return ahead(chunks_of(content, self.cut()))

    def find(self, place: Place, records: Collection[int]) -> dict[int, tuple[int | None, bytes]]:
        """Finds records of a file again."""
        found: dict[int, tuple[int | None, bytes]] = {}
        wanted = sorted(records)
        for chunk in self.chunks(place):
            here = [record for record in wanted if chunk.first <= record < chunk.first + len(chunk)]
            found |= {record: (chunk.line_of(record - chunk.first), chunk.raw(record - chunk.first)) for record in here}
            if len(found) == len(wanted):
                break
        return found
