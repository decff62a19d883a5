"""Snapshots: the graph of one version of the store as columns, memory-mapped, read from the server once.

    graph = snapshot(store, home)
    entities = graph.nodes["Entity"]
    entities.keys[7], entities.keys.row("umls:virus"), entities.vectors["embedding"].shape
    graph.edges["Entity", "part_of", "Entity"].index        # (2, n): rows of starts, rows of ends

A snapshot never changes. `snapshot` gives a new one when the store has changed, else the one that lies on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cortigraph.graph import _arrow, _files, _names, _reading
from cortigraph.graph.errors import StoreError
from cortigraph.graph.home import Home, private_folder
from cortigraph.graph.jars import Progress
from cortigraph.graph.keys import Key, Keys, Row
from cortigraph.graph.sums import DamagedError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from cortigraph.graph.store import Store

__all__ = ["EdgeColumns", "EdgeType", "Key", "Keys", "NodeColumns", "Row", "Snapshot", "snapshot"]

EdgeType: TypeAlias = tuple[str, str, str]
TRIES = 5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeColumns:
    """The nodes of one label, a row each, sorted by key.

    Args:
        label: Theirs. Where a node has several: of those asked for, the first that users gave; else its kind.
        count: How many.
    """

    label: str
    count: int
    _folder: Path = field(repr=False)
    _file: str = field(repr=False)
    _vectors: Mapping[str, str] = field(repr=False)

    @cached_property
    def keys(self) -> Keys:
        """Row to key, and back."""
        column = _files.load_table(self._folder / self._file).column("key")
        return Keys(column.combine_chunks(), self.label)

    @cached_property
    def properties(self) -> pa.Table:
        """A column per property, null where a node has none; without `key` and the vectors."""
        return _files.load_table(self._folder / self._file).remove_column(1).remove_column(0)

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """All labels of each node, sorted."""
        occurring, which = self.label_sets
        return [occurring[place] for place in which.tolist()]

    @cached_property
    def label_sets(self) -> tuple[list[tuple[str, ...]], npt.NDArray[np.int32]]:
        """The sets of labels that occur, and the place of each node's among them."""
        column = _files.load_table(self._folder / self._file).column(1).combine_chunks()
        return [tuple(json.loads(text)) for text in column.dictionary.to_pylist()], column.indices.to_numpy()

    @property
    def vector_names(self) -> tuple[str, ...]:
        """The properties that hold a vector: `embedding`, and what ends in `_embedding`, all equally long."""
        return tuple(self._vectors)

    @cached_property
    def vectors(self) -> dict[str, npt.NDArray[np.float32]]:
        """Per such property an array `(count, length)`; zeros for a node that has none."""
        return {name: _files.load_array(self._folder / f"{file}.npy") for name, file in self._vectors.items()}

    @cached_property
    def has_vector(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Per such property which nodes have one."""
        return {name: _files.load_array(self._folder / f"{file}-has.npy") for name, file in self._vectors.items()}

    def rows(self) -> Iterator[dict[str, Any]]:
        """All nodes one by one: their key, properties and vectors, without what they lack."""
        parts = zip(self.keys, _dicts(self.properties, self.count), strict=True)
        for row, (key, properties) in enumerate(parts):
            vectors = {name: array[row] for name, array in self.vectors.items() if self.has_vector[name][row]}
            yield {"key": key, **properties, **vectors}


@dataclass(frozen=True)
class EdgeColumns:
    """The relationships of one type from one label to another, sorted by end, then start; parallel ones are kept.

    Args:
        edge_type: Start label, type, end label.
        count: How many.
        index: Rows of starts and of ends, int64 `(2, count)`, contiguous.
    """

    edge_type: EdgeType
    count: int
    index: npt.NDArray[np.int64] = field(repr=False)
    _folder: Path = field(repr=False)
    _file: str | None = field(repr=False)

    @cached_property
    def properties(self) -> pa.Table | None:
        """A column per property, null where a relationship has none; nothing where none has any."""
        return None if self._file is None else _files.load_table(self._folder / self._file)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The properties of each, without those that it lacks."""
        return _dicts(self.properties, self.count)


@dataclass(frozen=True)
class Snapshot:
    """The graph of one version of the store.

    Args:
        version: Of the store, as `Store.version` says it.
        folder: Where it lies.
        nodes: By label.
        edges: By start label, type and end label.
    """

    version: str
    folder: Path
    nodes: Mapping[str, NodeColumns] = field(repr=False)
    edges: Mapping[EdgeType, EdgeColumns] = field(repr=False)

    @property
    def node_count(self) -> int:
        """Of all labels."""
        return sum(nodes.count for nodes in self.nodes.values())

    @property
    def edge_count(self) -> int:
        """Of all types."""
        return sum(edges.count for edges in self.edges.values())


def snapshot(
    store: Store,
    home_or_folder: Home | str | Path,
    *,
    labels: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    each: bool | None = None,
    lenient: bool = False,
    progress: Progress | None = None,
) -> Snapshot:
    """The graph as it is now, from disk if it was read before and has not changed since.

    Args:
        store: What to read.
        home_or_folder: In whose cache it is kept, or the folder itself. The few that were used last stay there.
        labels: Only nodes that have one of these: kinds, such as `Entity`, or labels that users gave. A node that has
            several is kept under the first of them that users gave. When left out, all but `Migration` and `Lease`.
        types: Only relationships of these types; when left out, all but `PREDICTED`, which nobody should learn from
            unawares. Both ends must be among the nodes.
        each: Whether each label that users gave is one of its own, the first by alphabet where an entity has several;
            else nodes are kept by kind, all entities under `Entity`. When left out, only where labels are chosen.
        lenient: Whether a label that no node has is passed over.
        progress: Told how much is read, of how much, and of what.

    Returns:
        All of one version of the store.

    Raises:
        InputError: Labels or types are not lists of names.
        UnknownKeyError: No node has such a label; names those near.
        StoreError: The store can't be reached, is changed all the time, or two nodes of one label share a key.

    Example:
        >>> snapshot(store, home).edge_count  # doctest: +SKIP
        310116
    """
    wanted, kinds = _names.listed("labels", labels), _names.listed("types", types)
    if wanted is not None and not lenient:
        _names.check_labels(store, wanted)
    each = wanted is not None if each is None else each
    chosen = {"labels": wanted, "types": kinds and sorted(kinds), "each": each}
    cache = home_or_folder.cache / "snapshots" if isinstance(home_or_folder, Home) else Path(home_or_folder)
    private_folder(cache)
    for _ in range(TRIES):
        version = store.version()
        folder = cache / hashlib.sha256(json.dumps([version, _files.FORMAT, chosen]).encode()).hexdigest()[:32]
        found = _opened(folder, version)
        if found is not None:
            return found
        nodes = _reading.read_nodes(store, wanted, each, progress)
        edges = _reading.read_edges(store, nodes, kinds, progress)
        if store.version() == version:  # else what was read may be of two versions
            try:
                _files.write(folder, version, nodes, edges)
                _files.forget_old(cache)
            except OSError as error:
                raise StoreError(f"the snapshot can't be written to {cache}: {error.strerror or error}") from error
            found = _opened(folder, version)
            if found is not None:
                return found
    raise StoreError(
        f"the store was changed during each of {TRIES} tries to read it whole: take the snapshot when nobody writes"
    )


def _opened(folder: Path, version: str) -> Snapshot | None:
    manifest = _files.read_manifest(folder, version)
    if manifest is None:
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)  # used just now, so among the last to be forgotten
    try:
        _files.check_small(folder)
        flat = _files.load_array(folder / "edges.npy")
    except DamagedError as error:
        _LOG.warning("%s", error)
        shutil.rmtree(folder, ignore_errors=True)  # else what is written in its place would give way to it
        return None
    except (OSError, ValueError):
        return None
    nodes = {own["label"]: _nodes(folder, own) for own in manifest["nodes"]}
    edges: dict[EdgeType, EdgeColumns] = {}
    first = 0
    for own in manifest["edges"]:
        edge_type, count = tuple(own["type"]), own["count"]
        index = flat[first : first + 2 * count].reshape(2, count)
        edges[edge_type] = EdgeColumns(edge_type, count, index, folder, own["file"])
        first += 2 * count
    return Snapshot(version, folder, nodes, edges)


def _nodes(folder: Path, own: dict[str, Any]) -> NodeColumns:
    return NodeColumns(own["label"], own["count"], folder, own["file"], own["vectors"])


def _dicts(table: pa.Table | None, count: int) -> Iterator[dict[str, Any]]:
    """The rows of a table without nulls; JSON text as the values that it stands for."""
    if table is None or not table.num_columns:
        yield from ({} for _ in range(count))
        return
    columns = [
        _arrow.from_json(column.to_pylist()) if _arrow.is_json(field) else column.to_pylist()
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    for values in zip(*columns, strict=True):
        yield {name: value for name, value in zip(table.column_names, values, strict=True) if value is not None}
