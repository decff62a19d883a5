"""The archive of a batch: what it asserts, beside the store, so that it can be finished, compared and reverted.

    <home>/batches/<name>/manifest.json    what the batch is, and which file holds what
                         /SHA256SUMS       of every file
                         /asserted-0.parquet …   every element that its sources spoke of, changed or not
                         /before-0.parquet …     what elements were like that no batch had brought
                         /withdrawn-0.parquet …  what it takes back, because its sources speak of it no more
                         /removed-0.parquet …    wires that went because the job declares other ones

A folder appears whole or not at all. The graph says which batches there are; the archive says what they hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cortigraph.graph.errors import StoreError
from cortigraph.graph.names import OWN_LABELS
from cortigraph.graph.sums import SUMS, Sums, write_sums
from cortigraph.ingest.elements import VECTORS, EdgeKind, Elements, Kind, NodeKind

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.graph.home import Home

__all__ = ["Archive", "folder_of", "save", "told"]

T = TypeVar("T")
Part = Literal["asserted", "before", "withdrawn", "removed"]
_PARTS: tuple[Part, ...] = ("asserted", "before", "withdrawn", "removed")
_FORMAT = 1
_REMEDY = "restore a backup of the home"


@dataclass(frozen=True)
class Archive:
    """One batch on disk.

    Args:
        folder: Where it lies.
        manifest: What `manifest.json` says.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, home: Home, key: str) -> Archive:
        """The archive of a batch.

        Raises:
            StoreError: It is not in this home, or damaged.
        """
        folder = folder_of(home, key)
        try:
            manifest = json.loads(Sums(folder, _REMEDY).check("manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(
                f"batch {key} has no archive in {folder.parent}; it was ingested from another home, or by an older "
                "version: use that home, or run its job again"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"the archive {folder} is damaged: {error}; restore a backup of the home") from error
        if not isinstance(manifest, dict) or not all(isinstance(manifest.get(part, []), list) for part in _PARTS):
            raise StoreError(f"the archive {folder} is damaged: its manifest is none; restore a backup of the home")
        if manifest.get("format") != _FORMAT:
            raise StoreError(f"the archive {folder} is of another version; upgrade with `pip install -U cortigraph`")
        return cls(folder, manifest)

    @property
    def key(self) -> str:
        """Of the batch."""
        return str(self.manifest["key"])

    def kinds(self, part: Part = "asserted") -> list[Kind]:
        """What kinds of element it holds."""
        return [_kind(entry["kind"]) for entry in self.manifest[part]]

    def table(self, kind: Kind, part: Part = "asserted") -> pa.Table | None:
        """The elements of a kind; None where it has none.

        Raises:
            StoreError: A file is missing or damaged.
        """
        import pyarrow.parquet as pq

        path = self._file(kind, part)
        return None if path is None else _taken(_read(path, pq.read_table))

    def columns(self, kind: Kind) -> dict[str, pa.DataType]:
        """The columns of the elements of a kind that it asserts.

        Raises:
            StoreError: A file is missing or damaged.
        """
        import pyarrow.parquet as pq

        path = self._file(kind, "asserted")
        return {} if path is None else {field.name: field.type for field in _read(path, pq.read_schema)}

    def _file(self, kind: Kind, part: Part) -> Path | None:
        for entry in self.manifest[part]:
            if _kind(entry["kind"]) == kind:
                return self._checked(Path(entry["file"]).name)
        return None

    def _checked(self, name: str) -> Path:
        return Sums(self.folder, _REMEDY).check(name)

    def elements(self, part: Part = "asserted") -> Elements:
        """All of a part."""
        found = {kind: self.table(kind, part) for kind in self.kinds(part)}
        return Elements({kind: table for kind, table in found.items() if table is not None})

    def rows(self) -> dict[Kind, int]:
        """How many elements of each kind it asserts."""
        return {_kind(entry["kind"]): int(entry["rows"]) for entry in self.manifest["asserted"]}

    def weak(self) -> dict[Kind, set[str]]:
        """The properties that only fill gaps."""
        return {_kind(kind): set(names) for kind, names in self.manifest.get("weak", [])}

    def note(self, version: str) -> None:
        """Notes the store's version at which all of the batch was known to be there; a full disk leaves it unnoted."""
        # The batch is whole without it: the next run only has to look again.
        with contextlib.suppress(OSError):
            _write_text(self.folder / "version", version)

    @property
    def version(self) -> str | None:
        """The store's version at which all of the batch was last known to be there."""
        path = self.folder / "version"
        return path.read_text(encoding="utf-8") if path.exists() else None


def _read(path: Path, read: Callable[[Path], T]) -> T:
    import pyarrow as pa

    try:
        return read(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} can't be read: {error}; restore a backup of the home") from error


def _taken(table: pa.Table) -> pa.Table:
    """Without labels that the store keeps for itself: there was a time when batches could bring them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if ":labels" not in table.column_names:
        return table
    own = pc.is_in(pc.list_flatten(table[":labels"]), pa.array(sorted(OWN_LABELS)))
    if not pc.any(own).as_py():
        return table
    labels = [each and [label for label in each if label not in OWN_LABELS] for each in table[":labels"].to_pylist()]
    at = table.column_names.index(":labels")
    return table.set_column(at, ":labels", pa.array(labels, pa.list_(pa.string())))


def folder_of(home: Home, key: str) -> Path:
    """Where the archive of a batch lies."""
    return home.batches / key.replace("/", "@")


def save(home: Home, manifest: Mapping[str, Any], parts: Mapping[Part, Elements]) -> Archive:
    """Writes an archive, whole or not at all.

    Args:
        home: Keeps it.
        manifest: What the batch is; `key` names it.
        parts: What it asserts, found before, and withdraws.

    Raises:
        StoreError: It can't be written, for instance because the disk is full.
    """
    target = folder_of(home, manifest["key"])
    try:
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=home.batches) as folder:
            partial = Path(folder) / "batch"
            partial.mkdir(mode=0o700)
            noted = {**manifest, "format": _FORMAT}
            for part in _PARTS:
                noted[part] = _save_part(partial, part, parts.get(part) or Elements())
            _write_text(partial / "manifest.json", json.dumps(noted, ensure_ascii=False, indent=1))
            write_sums(partial)
            _sync(partial / SUMS)
            shutil.rmtree(target, ignore_errors=True)
            partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreError(f"the batch can't be written to {home.batches}: {error.strerror or error}") from error
    return Archive.open(home, manifest["key"])


def _save_part(folder: Path, part: str, elements: Elements) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    listed = []
    for number, (kind, table) in enumerate(elements):
        path = folder / f"{part}-{number}.parquet"
        pq.write_table(_slim(kind, table), path, compression="zstd", compression_level=1)
        _sync(path)
        listed.append({"kind": told(kind), "file": path.name, "rows": len(table)})
    return listed


def _slim(kind: Kind, table: pa.Table) -> pa.Table:
    """Without what can be made again: the vector of an entity follows from its text."""
    if kind == NodeKind("Entity"):
        return table.drop_columns([name for name in VECTORS if name in table.column_names])
    return table


def told(kind: Kind) -> list[str]:
    """A kind of element in JSON."""
    return [kind.label] if isinstance(kind, NodeKind) else [kind.start, kind.end]


def _kind(told: Sequence[str]) -> Kind:
    return NodeKind(told[0]) if len(told) == 1 else EdgeKind(told[0], told[1])


def _write_text(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        _sync(partial)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
