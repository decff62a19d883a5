"""Columns of a table as text, and what its cells hold themselves: read alike for scenes, jobs and predictions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cortigraph.graph.errors import InputError
from cortigraph.tables.names import lacking, named
from cortigraph.tables.rejects import RejectedError, Rejects
from cortigraph.tables.spec import open_table
from cortigraph.tables.written import unwritable, written
from cortigraph.train.data.contents import Contents, holds_contents, read_contents
from cortigraph.train.data.problems import SHOWN, DataError, Problems

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.tables.base import Source
    from cortigraph.tables.table_spec import TableSpec

__all__ = ["Column", "Columns", "columns_of", "read_columns"]

_ROWS = 1 << 14  # made to Python objects at once


class Column(Sequence[str]):
    """The cells of a column as text, without an object for each.

    Args:
        cells: Without nulls.

    Example:
        >>> import pyarrow as pa
        >>> column = Column(pa.array(["a", "b", "c"]))
        >>> column[1], column[1:], len(column)
        ('b', ['b', 'c'], 3)
    """

    def __init__(self, cells: pa.Array) -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> Any:
        return self._cells[at].to_pylist() if isinstance(at, slice) else self._cells[int(at)].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _ROWS):
            yield from self[start : start + _ROWS]


@dataclass(frozen=True)
class Columns:
    """What was read of a table.

    Args:
        texts: Column → its cells, stripped; empty where there is no value. Of one that holds contents, their names.
        contents: Column → what its cells hold themselves.
    """

    texts: dict[str, Sequence[str]]
    contents: dict[str, Contents] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.texts.values()), []))


def columns_of(path: Path, spec: TableSpec) -> Source:
    """A table, looked into as far as its columns.

    Raises:
        DataError: It is no table that can be read.
    """
    try:
        return open_table(path, spec, name=path.name)
    except InputError as error:
        raise DataError(error.problems) from None


def read_columns(
    source: Source, path: Path, wanted: Mapping[str, str], holding: Collection[str] = (), folder: Path | None = None
) -> Columns:
    """Some columns of a table.

    Args:
        source: As `columns_of` gives it.
        path: Where it lies.
        wanted: Column, as the user writes it → where it is written, for messages.
        holding: Those whose cells may be pictures or sounds.
        folder: For what they hold; left out, just its names are read.

    Raises:
        DataError: Everything that is wrong: columns that are not there, cells that can't be read, by line.
    """
    problems = Problems()
    for column, place in wanted.items():
        problem = lacking(column, source)
        if problem is not None:
            problems.add(f"{place}: {path.name} has {problem}")
    problems.check()
    schema = _schema(source, path)
    own = named(wanted, source)
    held = [name for name in holding if schema is not None and holds_contents(schema.field(own[name]).type)]
    for name in set(holding) - set(held):
        _check_paths(schema, own[name], f"{wanted[name]}: {path.name}")
    texts = _texts(source, [name for name in wanted if name not in held])
    contents = {name: read_contents(path, own[name], folder) for name in held}
    texts |= {name: found.names for name, found in contents.items()}
    for name in wanted:
        names = _class_names(schema, own[name])
        for row, cell in enumerate(texts[name] if names else ()):
            if cell and cell not in names:
                problems.add(
                    f"{path.name} row {row + 1}: {name!r} is {cell}, and the file names classes 0 to {len(names) - 2}; "
                    "mend the row, or the names"
                )
        if names:
            texts[name] = [names.get(cell, "") for cell in texts[name]]
    problems.check()
    return Columns({name: texts[name] for name in wanted}, contents)


def _texts(source: Source, columns: Sequence[str]) -> dict[str, Sequence[str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    pieces: dict[str, list[pa.Array]] = {name: [] for name in columns}
    rejects = Rejects(advice="mend it")
    try:
        for block in source.blocks(rejects, columns=columns):
            for name in columns:
                cells = block.table.column(name)
                for row, reason in unwritable(cells).items():
                    rejects.add(source, block.file, int(block.records[row]), name, cells[row].as_py(), reason)
                pieces[name].append(pc.utf8_trim_whitespace(written(cells).fill_null("")).cast(pa.large_string()))
    except RejectedError as error:
        told = [str(reject) for reject in error.rejects]
        raise DataError(told[:SHOWN], more=max(0, len(told) - SHOWN)) from None
    except InputError as error:
        raise DataError(error.problems) from None
    whole = {name: pa.chunked_array(found, pa.large_string()).combine_chunks() for name, found in pieces.items()}
    return {name: Column(cells) for name, cells in whole.items()}


def _schema(source: Source, path: Path) -> pa.Schema | None:
    import pyarrow.parquet as pq

    from cortigraph.tables.parquet import ParquetSource

    if not isinstance(source, ParquetSource):
        return None

    return pq.read_schema(path)


def _check_paths(schema: pa.Schema | None, column: str, place: str) -> None:
    """Whether a column that holds no contents holds paths."""
    import pyarrow as pa

    kind = pa.string() if schema is None else schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        raise DataError(
            f"{place}: column {column!r} holds {kind}; expected paths, or contents: bytes, {{bytes, path}}, or of "
            "sounds {array, sampling_rate}"
        )


def _class_names(schema: pa.Schema | None, column: str) -> dict[str, str]:
    """Number of a class → its name, where Hugging Face's `datasets` wrote them into the file; -1 is none."""
    import pyarrow as pa

    told = (schema.metadata or {}).get(b"huggingface") if schema is not None else None
    if schema is None or told is None or not pa.types.is_primitive(schema.field(column).type):
        return {}
    try:
        feature = json.loads(told)["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
        return {**{str(number): str(name) for number, name in enumerate(names)}, **({"-1": ""} if names else {})}
    except (ValueError, LookupError, TypeError):
        return {}
