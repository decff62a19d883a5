"""The samples a spec lists, before any file is decoded: one row each, from a table or from a folder of classes."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from pathlib import Path

from cortigraph.train.data.folder import list_folder
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.spec import DataSpec, SplitSpec

__all__ = ["Listing", "list_samples", "source_of"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PARQUET = {".parquet", ".pq"}
_SPLIT = "the folder's split"  # what the column is called that a folder of splits stands for


@dataclass(frozen=True)
class Listing:
    """What is listed, as text; every column is as long as there are samples.

    Args:
        root: Folder that paths in the columns are relative to.
        columns: Only those that the spec uses.
        source: The table or folder, as the user named it.
        split: The column that says each sample's split, where the source itself does: a folder with one for each.
    """

    root: Path
    columns: dict[str, list[str]]
    source: Path
    split: str | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def where(self, row: int) -> str:
        """How a message names a sample: rows count from 1, the header is none.

        Example:
            >>> Listing(Path("."), {"label": ["a"]}, Path("t.csv")).where(0)
            't.csv row 1'
        """
        return f"{self.source.name} row {row + 1}"


def source_of(spec: DataSpec, base: Path) -> Path:
    """The table or folder of a spec, relative paths taken from `base`."""
    named = spec.table if spec.table is not None else spec.folder
    assert named is not None  # the spec has checked it
    return base / named.expanduser()


def list_samples(spec: DataSpec, base: Path) -> Listing:
    """Reads the table, or lists the folder.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in the spec start from.

    Returns:
        The columns that the spec uses.

    Raises:
        DataError: It cannot be read, has no such column, or lists nothing.
    """
    source = source_of(spec, base)
    listing = _from_folder(spec, source) if spec.folder is not None else _from_table(spec, source)
    if not len(listing):
        raise DataError(f"{source} lists no samples; expected at least one row below the header")
    return listing


def _from_table(spec: DataSpec, source: Path) -> Listing:
    if not source.is_file():
        raise DataError(f"data.table: no file {source}")
    wanted = _wanted_columns(spec)
    suffix = source.suffix.lower()
    if suffix in _PARQUET:
        columns = _read_parquet(source, wanted)
    elif suffix in _DELIMITERS:
        columns = _read_delimited(source, _DELIMITERS[suffix], wanted)
    else:
        known = ", ".join([*_DELIMITERS, *sorted(_PARQUET)])
        raise DataError(f"data.table: {source.name} is none of {known}; the name's ending says how a table is read")
    return Listing(root=source.parent, columns=columns, source=source)


def _wanted_columns(spec: DataSpec) -> dict[str, str]:
    wanted = {
        column: f"data.inputs.{name}.{place}"
        for name, item in spec.inputs.items()
        for place, column in item.columns.items()
    }
    wanted[spec.target] = "data.target"
    for place in ("column", "group"):
        name = getattr(spec.split, place)
        if name is not None:
            wanted[name] = f"data.split.{place}"
    return wanted


def _require(wanted: dict[str, str], present: list[str], source: Path) -> None:
    problems = Problems()
    for column, place in wanted.items():
        if column not in present:
            near = difflib.get_close_matches(column, present, n=2)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(present[:20])}"
            problems.add(f"{place}: {source.name} has no column {column!r}; {hint}")
        elif present.count(column) > 1:
            problems.add(f"{place}: {source.name} has the column {column!r} {present.count(column)} times")
    problems.check()


def _read_delimited(source: Path, delimiter: str, wanted: dict[str, str]) -> dict[str, list[str]]:
    try:
        # -sig, because spreadsheets put a byte order mark before the first column's name
        with source.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, delimiter=delimiter, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data.table: {source} cannot be read as UTF-8 text with {delimiter!r}: {error}") from None
    if not rows:
        raise DataError(f"data.table: {source} is empty; expected a header and one row per sample")
    header, body = [cell.strip() for cell in rows[0]], rows[1:]
    _require(wanted, header, source)
    problems = Problems()
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            problems.add(f"{source.name} row {number}: {len(row)} cells, but the header has {len(header)}")
    problems.check()
    return {column: [row[header.index(column)].strip() for row in body] for column in wanted}


def _read_parquet(source: Path, wanted: dict[str, str]) -> dict[str, list[str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        present = pyarrow.parquet.read_schema(source).names
        _require(wanted, present, source)
        table = pyarrow.parquet.read_table(source, columns=list(wanted))
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"data.table: {source} cannot be read as Parquet: {error}") from None
    return {column: [_cell(value) for value in table.column(column).to_pylist()] for column in wanted}


def _cell(value: object) -> str:
    # NaN is how a data frame says "nothing here"; it is not the class "nan"
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _from_folder(spec: DataSpec, source: Path) -> Listing:
    samples = list_folder(source)
    column = next(iter(spec.inputs.values())).column
    columns = {column: [sample.path for sample in samples], spec.target: [sample.label for sample in samples]}
    if any(sample.split for sample in samples):
        if spec.split.fractions != SplitSpec().fractions:
            raise DataError(f"data.split.fractions: {source} says the split by its folders; leave them out")
        columns[_SPLIT] = [sample.split.lower() for sample in samples]
        return Listing(root=source, columns=columns, source=source, split=_SPLIT)
    if spec.split.share is not None:
        raise DataError(f"data.split.valid: {source} has no folder `train` to draw a share from; give fractions")
    return Listing(root=source, columns=columns, source=source)
