"""The edges of a graph sorted for sampling, taken from any data that PyG's loaders take."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torch says about PyG's own imports
    from torch_geometric.data import Data, HeteroData

__all__ = ["ALONE", "Incoming", "Ints", "incoming"]

Ints = npt.NDArray[np.int64]
ALONE = "node"  # what the only node type of a homogeneous graph is called in here


@dataclass(frozen=True)
class Incoming:
    """The edges of a whole graph by the node that they reach. Nodes are numbered through all types.

    Args:
        node_types: Names of the node types.
        edge_types: Names of the edge types.
        first: Number of the first node of each type, and one past the last.
        segments: Where each node's segments begin, and one past the last.
        edges: Where each segment's edges begin, and one past the last.
        kind: Edge type of each segment.
        start: Number of the node that each edge leaves.
        place: Place of each edge in the edge index of its type.
    """

    node_types: list[Any]
    edge_types: list[Any]
    first: Ints
    segments: Ints
    edges: Ints
    kind: Ints
    start: Ints
    place: Ints


def incoming(data: Any) -> tuple[Incoming, bool]:
    """The edges of a graph, and whether it has types.

    Args:
        data: `Data`, `HeteroData`, or a feature store and a graph store.
    """
    if isinstance(data, Data):
        graph = {(ALONE, "to", ALONE): tuple(data.edge_index.cpu())}
        return _sorted(graph, {ALONE: data.num_nodes}), False
    if isinstance(data, HeteroData):
        graph = {kind: tuple(data[kind].edge_index.cpu()) for kind in data.edge_types}
        return _sorted(graph, {kind: data[kind].num_nodes for kind in data.node_types}), True
    features, edges = data
    attributes = edges.get_all_edge_attrs()
    if [attribute.edge_type for attribute in attributes] == [None]:
        row, col, _ = edges.coo()
        sizes = {ALONE: _size_alone(features, attributes[0], row, col)}
        return _sorted({(ALONE, "to", ALONE): (row, col)}, sizes), False
    rows, cols, _ = edges.coo()
    graph = {kind: (rows[kind], cols[kind]) for kind in rows}
    return _sorted(graph, _sizes(features, attributes, graph)), True


def _sizes(features: Any, attributes: list[Any], graph: dict[Any, tuple[Any, Any]]) -> dict[Any, int]:
    """How many nodes of each type there are: as the stores say, else as many as the edges need."""
    sizes: dict[Any, int] = {}
    for attribute in features.get_all_tensor_attrs():
        size = features.get_tensor_size(attribute)
        if isinstance(attribute.group_name, str) and size:
            sizes[attribute.group_name] = max(sizes.get(attribute.group_name, 0), size[0])
    for attribute in attributes:
        for side, kind in ((0, attribute.edge_type[0]), (1, attribute.edge_type[-1])):
            ends = graph[attribute.edge_type][side]
            needed = attribute.size[side] if attribute.size else int(ends.max()) + 1 if len(ends) else 0
            sizes[kind] = max(sizes.get(kind, 0), needed)
    return sizes


def _size_alone(features: Any, attribute: Any, row: Any, col: Any) -> int:
    if attribute.size:
        return int(max(attribute.size))
    known = [features.get_tensor_size(one)[0] for one in features.get_all_tensor_attrs()]
    return int(max([*known, *(int(side.max()) + 1 for side in (row, col) if len(side))], default=0))


def _sorted(graph: dict[Any, tuple[Any, Any]], sizes: dict[Any, int]) -> Incoming:
    """Number the nodes through, sort all edges by the node that they reach and by type, and find the segments."""
    node_types, edge_types = list(sizes), list(graph)
    first = np.concatenate([[0], np.cumsum(list(sizes.values()), dtype=np.int64)]).astype(np.int64)
    offset = dict(zip(node_types, first.tolist(), strict=False))
    columns: list[list[Ints]] = [[], [], [], []]
    for number, (kind, (row, col)) in enumerate(graph.items()):
        count = len(row)
        columns[0].append(row.numpy().astype(np.int64) + offset[kind[0]])
        columns[1].append(col.numpy().astype(np.int64) + offset[kind[-1]])
        columns[2].append(np.full(count, number))
        columns[3].append(np.arange(count))
    start, end, kinds, place = (np.concatenate([np.zeros(0, np.int64), *column]) for column in columns)
    order = np.lexsort((kinds, end))
    end, kinds = end[order], kinds[order]
    changes = np.flatnonzero((np.diff(end, prepend=-1) != 0) | (np.diff(kinds, prepend=-1) != 0))
    segments = np.searchsorted(end[changes], np.arange(first[-1] + 1))
    edges = np.append(changes, len(end))
    return Incoming(node_types, edge_types, first, segments, edges, kinds[changes], start[order], place[order])
