"""A snapshot behind PyG's two interfaces for graphs that lie elsewhere: `GraphStore` and `FeatureStore`.

Edge indexes and vectors are memory-mapped, and become tensors when they are first asked for; nothing is copied. What a
user puts (targets, masks, reverse edges) is kept in this object and shadows the snapshot; the store is never written.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph import _tensors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torch says about PyG's own imports
    import torch
    from torch_geometric.data import EdgeAttr, FeatureStore, GraphStore, TensorAttr
    from torch_geometric.data.graph_store import EdgeLayout

if TYPE_CHECKING:
    from cortigraph.graph.snapshot import Snapshot

__all__ = ["SnapshotFeatures", "SnapshotGraph"]


class SnapshotGraph(GraphStore):  # type: ignore[misc]
    """The edge indexes of a snapshot, in any layout.

    Args:
        snapshot: What to serve.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
        self._edges: dict[Any, tuple[Any, Any]] = {}
        self._attributes: dict[Any, Any] = {}
        for edge_type in snapshot.edges:
            size = (snapshot.nodes[edge_type[0]].count, snapshot.nodes[edge_type[2]].count)
            # A snapshot's relationships are sorted by their ends, so nobody needs to sort them for sampling.
            attribute = EdgeAttr(edge_type, EdgeLayout.COO, is_sorted=True, size=size)
            self._attributes[edge_type, EdgeLayout.COO] = attribute

    def get_all_edge_attrs(self) -> list[Any]:
        """What there is: each edge type once, and the layouts that were put."""
        return list(self._attributes.values())

    def _put_edge_index(self, edge_index: Any, edge_attr: Any) -> bool:
        name = (edge_attr.edge_type, edge_attr.layout)
        for layout in EdgeLayout:  # the other layouts of what was there are of another graph now
            self._edges.pop((edge_attr.edge_type, layout), None)
            self._attributes.pop((edge_attr.edge_type, layout), None)
        self._edges[name] = tuple(edge_index)
        self._attributes[name] = copy.copy(edge_attr)
        return True

    def _get_edge_index(self, edge_attr: Any) -> tuple[Any, Any] | None:
        edge_type, layout = edge_attr.edge_type, edge_attr.layout
        held = next((one for (kind, _), one in self._attributes.items() if kind == edge_type), None)
        if held is None:
            return None
        if (edge_type, layout) not in self._edges:
            if held.layout == layout:
                index = torch.from_numpy(self.snapshot.edges[edge_type].index)
                self._edges[edge_type, layout] = (index[0], index[1])
            else:
                self._edges[edge_type, layout] = _as_layout(self.get_edge_index(held), held, layout)
        return self._edges[edge_type, layout]

    def _remove_edge_index(self, edge_attr: Any) -> bool:
        found = self._attributes.pop((edge_attr.edge_type, edge_attr.layout), None)
        for layout in EdgeLayout if found else ():
            self._edges.pop((edge_attr.edge_type, layout), None)
        return found is not None


def _as_layout(index: tuple[Any, Any], held: Any, layout: Any) -> tuple[Any, Any]:
    """An edge index in another layout; edges that share the node by which they are sorted keep their order."""
    row, col = index
    if held.layout == EdgeLayout.CSR:
        row = torch.repeat_interleave(torch.arange(len(row) - 1), row.diff())
    if held.layout == EdgeLayout.CSC:
        col = torch.repeat_interleave(torch.arange(len(col) - 1), col.diff())
    if layout == EdgeLayout.COO:
        return row, col
    side, by = (0, row) if layout == EdgeLayout.CSR else (1, col)
    order = torch.argsort(by, stable=True)
    size = held.size[side] if held.size else int(by.max()) + 1 if len(by) else 0
    pointer = torch.cat([by.new_zeros(1), torch.bincount(by, minlength=size).cumsum(0)])
    return (pointer, col[order]) if layout == EdgeLayout.CSR else (row[order], pointer)


class SnapshotFeatures(FeatureStore):  # type: ignore[misc]
    """The tensors of a snapshot's nodes: `x` and `x_mask`, numeric properties, and `row` where a label has neither.

    Args:
        snapshot: What to serve.
        properties: Names of numeric properties, or whether all of them are served.
    """

    def __init__(self, snapshot: Snapshot, properties: Any = False) -> None:
        super().__init__()
        self.snapshot = snapshot
        self._sources = {
            (label, name): source
            for label, nodes in snapshot.nodes.items()
            for name, source in _tensors.of_nodes(nodes, properties).items()
        }
        self._tensors: dict[Any, Any] = {}

    def get_all_tensor_attrs(self) -> list[Any]:
        """What there is, by label and name."""
        return [TensorAttr(label, name) for label, name in dict.fromkeys([*self._sources, *self._tensors])]

    def _tensor(self, name: tuple[Any, Any]) -> Any:
        if name not in self._tensors and name in self._sources:
            self._tensors[name] = self._sources[name]()
        return self._tensors.get(name)

    def _put_tensor(self, tensor: Any, attr: Any) -> bool:
        name = (attr.group_name, attr.attr_name)
        given = torch.from_numpy(tensor) if isinstance(tensor, np.ndarray) else tensor
        if attr.index is None:
            self._tensors[name] = given
            return True
        held = self._tensor(name)
        if held is None:
            return False
        self._tensors[name] = held.clone()  # others may look at the one that is there
        self._tensors[name][attr.index] = given
        return True

    def _get_tensor(self, attr: Any) -> Any:
        tensor = self._tensor((attr.group_name, attr.attr_name))
        return tensor if tensor is None or attr.index is None else tensor[attr.index]

    def _get_tensor_size(self, attr: Any) -> tuple[int, ...] | None:
        tensor = self._get_tensor(attr)
        return None if tensor is None else tuple(tensor.size())

    def _remove_tensor(self, attr: Any) -> bool:
        name = (attr.group_name, attr.attr_name)
        source, tensor = self._sources.pop(name, None), self._tensors.pop(name, None)
        return source is not None or tensor is not None
