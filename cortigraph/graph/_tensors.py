"""What of a snapshot becomes a tensor, and under which name; shared by `HeteroData` and the feature store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cortigraph.graph.schema import Label

if TYPE_CHECKING:
    from cortigraph.graph.snapshot import EdgeColumns, NodeColumns

__all__ = ["further_labels", "of_edges", "of_nodes"]

Sources = dict[str, Callable[[], Any]]
TAKEN = {
    "x",
    "x_mask",
    "row",
    "key",
    "labels",
    "label_names",
    "n_id",
    "e_id",
    "edge_index",
    "num_nodes",
    "batch",
    "batch_size",
    "input_id",
}


def of_nodes(nodes: NodeColumns, properties: bool | Sequence[str]) -> Sources:
    """The tensors of a label, each made when it is called.

    Args:
        nodes: Whose.
        properties: Names of numeric properties, or whether all of them become tensors; one that some node lacks is
            NaN there, so it is of floats.

    Returns:
        `x` from `embedding`, and `x_mask` where not every node has one; `labels`, which of the further labels each node
        has, where there are any; `row`, the nodes' own rows, where there would be nothing: PyG learns from tensors how
        many nodes there are.
    """
    import torch

    found: Sources = {}
    if "embedding" in nodes.vector_names:
        found["x"] = lambda: torch.from_numpy(nodes.vectors["embedding"])
        if not nodes.has_vector["embedding"].all():
            found["x_mask"] = lambda: torch.from_numpy(nodes.has_vector["embedding"])
    if names := further_labels(nodes):
        found["labels"] = partial(_which_labels, nodes, names)
    if properties:
        found |= _numeric(nodes.properties, properties)
    return found or {"row": lambda: torch.arange(nodes.count)}


def further_labels(nodes: NodeColumns) -> list[str]:
    """The labels that users gave to some of the nodes, besides the one under which these are kept.

    Args:
        nodes: Whose.
    """
    return sorted(set().union(*nodes.label_sets[0]) - set(Label) - {nodes.label})


def of_edges(edges: EdgeColumns, properties: bool | Sequence[str]) -> Sources:
    """The tensors of an edge type, each made when it is called.

    Args:
        edges: Whose.
        properties: As for nodes.
    """
    return _numeric(edges.properties, properties) if properties and edges.properties is not None else {}


def _which_labels(nodes: NodeColumns, names: Sequence[str]) -> Any:
    import torch

    occurring, which = nodes.label_sets
    there = torch.tensor([[name in labels for name in names] for labels in occurring])
    return there[torch.from_numpy(which.copy()).long()]


def _numeric(table: Any, properties: bool | Iterable[str]) -> Sources:
    import pyarrow as pa

    found: Sources = {}
    for field in table.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type)
        asked = properties is True or (not isinstance(properties, bool) and field.name in properties)
        if number and asked and field.name not in TAKEN:
            found[field.name] = partial(_tensor, table.column(field.name))
    return found


def _tensor(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import torch

    if column.null_count:
        column = pc.fill_null(column.cast(pa.float64()), float("nan"))
    return torch.from_numpy(column.to_numpy().copy())
