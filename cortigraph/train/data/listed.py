"""New samples that a table lists, read by the rules of the tables that are learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cortigraph.tables.names import lacking
from cortigraph.tables.spec import format_of
from cortigraph.tables.table_spec import TableSpec
from cortigraph.train.data.contents import Content
from cortigraph.train.data.decode import Transform
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.reading import columns_of, read_columns
from cortigraph.train.data.sources import find_column
from cortigraph.train.data.spec import FILE
from cortigraph.train.data.table import Listing, check_cells

if TYPE_CHECKING:
    from cortigraph.tables.base import Source

__all__ = ["ListedSamples", "Sample", "list_new"]

Sample = Mapping[str, "str | Path | Content"]  # input → its file, its content, or the text itself


@dataclass(frozen=True)
class ListedSamples(Sequence[Sample]):
    """The rows of a table as samples.

    Args:
        listing: The table.
        sources: Input → its source in each row.
    """

    listing: Listing
    sources: Mapping[str, Sequence[Any]]

    def where(self, row: int) -> str:
        """How a message names a sample."""
        return self.listing.where(row)

    def __len__(self) -> int:
        return len(self.listing)

    @overload
    def __getitem__(self, at: int) -> Sample: ...

    @overload
    def __getitem__(self, at: slice) -> list[Sample]: ...

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[row] for row in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        return {name: sources[at] for name, sources in self.sources.items()}


def list_new(
    path: Path,
    transforms: Mapping[str, Transform],
    reading: TableSpec | None = None,
    folder: Path | None = None,
    delimiter: str | None = None,
) -> ListedSamples:
    """New samples that a table lists, under the columns that were learned from, or else the inputs' names.

    Args:
        path: Of the table; paths in it are relative to its own folder.
        transforms: Input → what turns its files or texts into values.
        reading: How the table that was learned from is read; this one too, unless it is of another format.
        folder: For pictures and sounds that the table holds itself.
        delimiter: Between its cells, where that is another than in the table that was learned from.

    Raises:
        DataError: Everything that is wrong: columns that are not there, cells that are empty, files that are missing.
    """
    if not path.is_file():
        raise DataError(f"no file {path}")
    spec = reading if reading is not None and reading.format == format_of(path) else TableSpec()
    if delimiter is not None:
        spec = spec.model_copy(update={"delimiter": delimiter, "format": format_of(path)})
        if wrong := list(spec.problems()):
            raise DataError(wrong)
    # What types are told of the target and the like concerns nobody here; the table may well lack those columns.
    source = columns_of(path, spec.model_copy(update={"types": {}}))
    columns = {name: _column(name, told.column, source) for name, told in transforms.items()}
    types = {columns[name]: spec.types[told.column] for name, told in transforms.items() if told.column in spec.types}
    if types:
        source = columns_of(path, spec.model_copy(update={"types": types}))
    wanted = {column: f"input {name!r}" for name, column in columns.items()}
    held = [columns[name] for name, told in transforms.items() if told.decoder.from_file]
    read = read_columns(source, path, wanted, held, folder)
    listing = Listing(path.parent, read.texts, path, contents=read.contents)
    if not len(listing):
        raise DataError(f"{path} lists no samples; expected at least one row below the header")
    return ListedSamples(listing, _sources(listing, columns, held))


def _column(name: str, learned: str, source: Source) -> str:
    known = (name, learned) if learned == FILE else (learned, name)
    return next((column for column in known if lacking(column, source) is None), learned)


def _sources(listing: Listing, columns: Mapping[str, str], held: Sequence[str]) -> dict[str, Sequence[Any]]:
    problems = Problems()
    check_cells(listing, problems)
    # A path in a row is the user's own; one that came with a content is of wherever that was made.
    found = {
        name: find_column(listing, column, column not in listing.contents, problems)
        if column in held
        else listing.columns[column]
        for name, column in columns.items()
    }
    problems.check()
    return found
