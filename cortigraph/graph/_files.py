"""A snapshot on disk: written to a folder of its own and renamed whole, read back memory-mapped.

<folder>/<hash>/SHA256SUMS      of every file
<folder>/<hash>/manifest.json   version, labels, edge types, and the size of every file
<folder>/<hash>/edges.npy       all edge indexes, one after the other: the starts of a type, then its ends
<folder>/<hash>/n0.arrow …      keys, labels and properties of a label  n0-0.npy, n0-0-has.npy: its vectors
<folder>/<hash>/e0.arrow …      properties of an edge type that has some
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cortigraph.graph import _arrow
from cortigraph.graph._reading import EdgesRead, NodesRead
from cortigraph.graph.errors import StoreError
from cortigraph.graph.sums import SUMS, DamagedError, Sums, write_sums

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["MANIFEST", "check_small", "forget_old", "load_array", "load_table", "read_manifest", "write"]

_LOG = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FORMAT = 2
KEPT = 3
_SMALL = 16 << 20  # bytes up to which a file is checked when the snapshot is opened; others when they are first read
_REMEDY = "it is forgotten, and read from the server again when the snapshot is next taken"
NPY_HEADER = 128


def write(folder: Path, version: str, nodes: Iterable[NodesRead], edges: list[EdgesRead]) -> None:
    """Write a snapshot; where another process has just written the same one, that one stays.

    Args:
        folder: Its own, which does not exist, or is damaged.
        version: Of the store that was read.
        nodes: By label.
        edges: By type.
    """
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        manifest = {
            "format": FORMAT,
            "version": version,
            "nodes": [_write_nodes(temporary, f"n{number}", own) for number, own in enumerate(nodes)],
            "edges": [_write_edges(temporary, f"e{number}", own) for number, own in enumerate(edges)],
        }
        _write_indexes(temporary / "edges.npy", edges)
        manifest["files"] = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        write_sums(temporary)
        if read_manifest(folder, version) is None:
            shutil.rmtree(folder, ignore_errors=True)
            try:
                temporary.rename(folder)
            except OSError:
                if read_manifest(folder, version) is None:
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_manifest(folder: Path, version: str) -> dict[str, Any] | None:
    """What a snapshot holds; nothing where there is none, or a file lacks or is not as long as it was.

    Args:
        folder: Its own.
        version: That it must be of.
    """
    try:
        place = Sums(folder, _REMEDY).check(MANIFEST)
        manifest: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        own = (MANIFEST, SUMS)
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name not in own}
        whole = manifest["format"] == FORMAT and manifest["version"] == version and manifest["files"] == sizes
    except DamagedError as error:
        _LOG.warning("%s", error)
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def check_small(folder: Path) -> None:
    """Checks what is small enough to be checked at once.

    Args:
        folder: Of a snapshot.

    Raises:
        DamagedError: A file holds something else than what was written.
    """
    sums = Sums(folder, _REMEDY)
    for name, _ in sums.items():
        if (folder / name).stat().st_size <= _SMALL:
            sums.check(name)


def forget_old(folder: Path) -> None:
    """Keep the snapshots that were used last, and nothing that a killed process left behind.

    Args:
        folder: In which all of them lie.
    """
    import time

    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process does the same
            found.append((path.stat().st_mtime, path))
    whole = sorted((pair for pair in found if not pair[1].name.startswith(".new-")), reverse=True)
    left = [pair for pair in found if pair[1].name.startswith(".new-") and pair[0] < time.time() - 3600]
    for _, path in [*whole[KEPT:], *left]:
        shutil.rmtree(path, ignore_errors=True)


def load_array(path: Path) -> npt.NDArray[Any]:
    """A memory-mapped array; writing to it changes this process's copy alone.

    Args:
        path: An npy file.

    Raises:
        StoreError: It is gone, or damaged.
    """
    import numpy as np

    with _there(path):
        # An empty file can't be mapped, so an empty array is read.
        mode: Literal["c"] | None = "c" if path.stat().st_size > NPY_HEADER else None
        return np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))


def load_table(path: Path) -> Any:
    """A memory-mapped Arrow table.

    Args:
        path: An IPC file.

    Raises:
        StoreError: It is gone, or damaged.
    """
    import pyarrow as pa

    with _there(path):
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


@contextlib.contextmanager
def _there(path: Path) -> Iterator[None]:
    """A snapshot that is held for long may be forgotten on disk before all of it was looked at."""
    try:
        Sums(path.parent, _REMEDY).check(path.name)
        yield
    except DamagedError:
        shutil.rmtree(path.parent, ignore_errors=True)  # so that the next one is read anew
        raise
    except FileNotFoundError as error:
        raise StoreError(f"the snapshot in {path.parent} is no longer there: take a new one") from error


def _write_nodes(folder: Path, name: str, nodes: NodesRead) -> dict[str, Any]:
    import numpy as np

    vectors: dict[str, str] = {}
    columns: dict[str, list[Any]] = {}
    for prop in sorted({prop for properties in nodes.properties for prop in properties}):
        values = [properties.get(prop) for properties in nodes.properties]
        found = _as_vectors(prop, values)
        if found is None:
            columns[prop] = values
            continue
        vectors[prop] = f"{name}-{len(vectors)}"
        np.save(folder / f"{vectors[prop]}.npy", found[0])
        np.save(folder / f"{vectors[prop]}-has.npy", found[1])
    table = _arrow.as_table({"key": nodes.keys, **columns}).add_column(1, "labels", _label_sets(nodes))
    _write_table(folder / f"{name}.arrow", table)
    return {"label": nodes.label, "count": len(nodes.keys), "file": f"{name}.arrow", "vectors": vectors}


def _label_sets(nodes: NodesRead) -> Any:
    """All labels of each node as JSON text; few sets of labels occur, so each is kept once."""
    import pyarrow as pa

    texts = pa.array([json.dumps(labels) for labels in nodes.occurring], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(nodes.which, pa.int32()), texts)


def _write_edges(folder: Path, name: str, edges: EdgesRead) -> dict[str, Any]:
    names = sorted({prop for properties in edges.distinct for prop in properties})
    if names:
        columns = {prop: [properties.get(prop) for properties in edges.distinct] for prop in names}
        _write_table(folder / f"{name}.arrow", _arrow.as_table(columns).take(edges.which))
    return {"type": edges.edge_type, "count": edges.index.shape[1], "file": f"{name}.arrow" if names else None}


def _write_indexes(path: Path, edges: list[EdgesRead]) -> None:
    import numpy as np

    flat = [own.index.reshape(-1) for own in edges]
    np.save(path, np.concatenate(flat) if flat else np.zeros(0, np.int64))


def _write_table(path: Path, table: Any) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _as_vectors(name: str, values: list[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]] | None:
    """Values of a property that holds one vector per node; zeros, and a mark, for the nodes that have none."""
    import numpy as np

    if name != "embedding" and not name.endswith("_embedding"):
        return None
    given = [value for value in values if value is not None]
    if not given or set(map(type, given)) != {list} or len(set(map(len, given))) != 1 or not given[0]:
        return None
    if not set(map(type, given[0])) <= {int, float}:
        return None
    has = np.fromiter((value is not None for value in values), np.bool_, len(values))
    vectors = np.zeros((len(values), len(given[0])), np.float32)
    vectors[has] = np.array(given, np.float32)
    return vectors, has
