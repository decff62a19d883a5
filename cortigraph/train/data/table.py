"""The samples a spec lists, before any file is decoded: one row each, from a table or from a folder of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cortigraph.train.data.contents import Contents
from cortigraph.train.data.folder import list_folder
from cortigraph.train.data.labels import normal_cells, notes_on_classes
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.reading import columns_of, read_columns
from cortigraph.train.data.spec import DataSpec
from cortigraph.train.data.split_spec import SplitSpec

__all__ = ["Listing", "check_cells", "list_samples", "source_of"]

_SPLIT = "the folder's split"  # what the column is called that a folder of splits stands for


@dataclass(frozen=True)
class Listing:
    """What is listed, as text; every column is as long as there are samples.

    Args:
        root: Folder that paths in the columns are relative to.
        columns: Only those that the spec uses.
        source: The table or folder, as the user named it.
        split: The column that says each sample's split, where the source itself does: a folder with one for each.
        contents: Column → the pictures or sounds that its cells hold themselves.
        notes: What a user should know of its classes.
    """

    root: Path
    columns: dict[str, Sequence[str]]
    source: Path
    split: str | None = None
    contents: dict[str, Contents] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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


def list_samples(spec: DataSpec, base: Path, folder: Path | None = None) -> Listing:
    """Reads the table, or lists the folder.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in the spec start from.
        folder: For pictures and sounds that a table holds itself; left out, they are just listed.

    Returns:
        The columns that the spec uses.

    Raises:
        DataError: It cannot be read, has no such column, or lists nothing.
    """
    source = source_of(spec, base)
    listing = _from_folder(spec, source) if spec.folder is not None else _from_table(spec, source, folder)
    if not len(listing):
        raise DataError(f"{source} lists no samples; expected at least one row below the header")
    return listing


def _from_table(spec: DataSpec, source: Path, folder: Path | None) -> Listing:
    if not source.is_file():
        raise DataError(f"data.table: no file {source}")
    wanted = _wanted_columns(spec)
    holding = [item.column for item in spec.inputs.values() if item.modality != "text" and not item.clips]
    read = read_columns(columns_of(source, spec), source, wanted, holding, folder)
    fed = {column for item in spec.inputs.values() for column in item.columns.values()}
    names = [column for column in (spec.target, spec.split.column, spec.split.group) if column and column not in fed]
    columns = {**read.texts, **{column: normal_cells(read.texts[column]) for column in names}}
    notes = notes_on_classes(spec.target, columns[spec.target], read.texts[spec.target])
    return Listing(source.parent, columns, source, contents=read.contents, notes=notes)


def check_cells(listing: Listing, problems: Problems) -> None:
    """Whether every cell that is used has something in it.

    Args:
        listing: The samples.
        problems: Takes each that has not.
    """
    for column, cells in listing.columns.items():
        for row, cell in enumerate(cells):
            if not cell:
                problems.add(f"{listing.where(row)}: {column!r} is empty")


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


def _from_folder(spec: DataSpec, source: Path) -> Listing:
    samples = list_folder(source)
    column = next(iter(spec.inputs.values())).column
    labels = [sample.label for sample in samples]
    columns: dict[str, Sequence[str]] = {column: [sample.path for sample in samples], spec.target: normal_cells(labels)}
    notes = notes_on_classes("the folder's classes", columns[spec.target], labels)
    if any(sample.split for sample in samples):
        if spec.split.fractions != SplitSpec().fractions:
            raise DataError(f"data.split.fractions: {source} says the split by its folders; leave them out")
        columns[_SPLIT] = [sample.split.lower() for sample in samples]
        return Listing(root=source, columns=columns, source=source, split=_SPLIT, notes=notes)
    if spec.split.share is not None:
        raise DataError(f"data.split.valid: {source} has no folder `train` to draw a share from; give fractions")
    return Listing(root=source, columns=columns, source=source, notes=notes)
