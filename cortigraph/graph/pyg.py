"""The store for PyG: as one `HeteroData`, or as the pair of stores and the sampler that `NeighborLoader` takes.

    from torch_geometric.loader import NeighborLoader

    data = pyg_stores(snapshot(store, home))
    loader = NeighborLoader(
        data, num_neighbors=[10, 5], input_nodes="Entity", batch_size=512,
        neighbor_sampler=neighbor_sampler(data, [10, 5]),
    )

The sampler works on any data that PyG's own takes, and needs neither pyg-lib nor torch-sparse.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph import _tensors
from cortigraph.graph.errors import SetupError
from cortigraph.graph.keys import Keys

if TYPE_CHECKING:
    from torch_geometric.data import FeatureStore, GraphStore, HeteroData
    from torch_geometric.sampler import BaseSampler

    from cortigraph.graph.snapshot import Snapshot

__all__ = ["neighbor_sampler", "pyg_stores", "to_pyg"]


def to_pyg(snapshot: Snapshot, *, properties: bool | Sequence[str] = False) -> HeteroData:
    """A snapshot as one `HeteroData`, without copying it.

    Args:
        snapshot: What to convert.
        properties: Names of numeric properties, or whether all of them become tensors of their own; one that some
            node or relationship lacks is NaN there.

    Returns:
        Node types are the labels under which the snapshot keeps nodes (`snapshot(each=True)`: each that users gave is
        one), edge types `(start label, type, end label)`. `data[label].key` is both id maps: `key[row]` is a node's
        key, `key.row(key)` its row. Where nodes have further labels that users gave, `data[label].labels` is a truth
        value for each node and each of `data[label].label_names`. `data[label].x` are the embeddings, with `x_mask`
        where not every node has one (the others are zeros). A label without any tensor has `row`, its nodes' own rows.

    Raises:
        SetupError: PyG is not installed.

    Example:
        >>> data = to_pyg(snapshot(store, home))  # doctest: +SKIP
        >>> data["Entity"].key.row("umls:virus"), data["Entity"].x.shape  # doctest: +SKIP
        (131, torch.Size([135, 384]))
    """
    _need_pyg()
    import pyarrow as pa
    import torch
    from torch_geometric.data import HeteroData

    data = HeteroData()
    for label, nodes in snapshot.nodes.items():
        data[label].num_nodes = nodes.count
        data[label].key = nodes.keys
        if names := _tensors.further_labels(nodes):
            data[label].label_names = Keys(pa.array(names, pa.string()), "label")
        for name, source in _tensors.of_nodes(nodes, properties).items():
            data[label][name] = source()
    for edge_type, edges in snapshot.edges.items():
        data[edge_type].edge_index = torch.from_numpy(edges.index)
        for name, source in _tensors.of_edges(edges, properties).items():
            data[edge_type][name] = source()
    return data


def pyg_stores(snapshot: Snapshot, *, properties: bool | Sequence[str] = False) -> tuple[FeatureStore, GraphStore]:
    """A snapshot as PyG's feature store and graph store, which loaders take in place of data.

    Args:
        snapshot: What to serve: tensors come into being when they are first asked for.
        properties: As for `to_pyg`; those of relationships are not served, because PyG's stores have no place for them.

    Returns:
        Both stores. What is put into them shadows the snapshot in this process; the store is not written.

    Raises:
        SetupError: PyG is not installed.

    Example:
        >>> features, graph = pyg_stores(snapshot(store, home))  # doctest: +SKIP
        >>> features["Entity", "x", None].shape  # doctest: +SKIP
        torch.Size([135, 384])
    """
    _need_pyg()
    from cortigraph.graph._pyg_stores import SnapshotFeatures, SnapshotGraph

    return SnapshotFeatures(snapshot, properties), SnapshotGraph(snapshot)


def neighbor_sampler(
    data: Any, num_neighbors: Any, *, replace: bool = False, disjoint: bool = False, seed: int | None = None
) -> BaseSampler:
    """A sampler for `NeighborLoader(…, neighbor_sampler=…)` and `LinkNeighborLoader`, without compiled extras.

    Args:
        data: What the loader gets: `Data`, `HeteroData`, or a feature store and a graph store.
        num_neighbors: Edges taken per node and hop, `[10, 5]`, or such a list per edge type; -1 takes all.
        replace: Whether an edge may be taken twice.
        disjoint: Whether every seed gets a subgraph of its own.
        seed: The same seed gives the same samples in the same order of batches; when left out, `torch.manual_seed`
            decides.

    Returns:
        The sampler. It holds the graph's structure, sorted; data that changes afterwards needs a new one.

    Raises:
        SetupError: PyG is not installed.

    Example:
        >>> neighbor_sampler(data, {("Entity", "part_of", "Entity"): [10, 5]}, seed=0)  # doctest: +SKIP
    """
    _need_pyg()
    from cortigraph.graph._sampling import NeighborhoodSampler

    return NeighborhoodSampler(data, num_neighbors, replace=replace, disjoint=disjoint, seed=seed)


def _need_pyg() -> None:
    """Import PyG, without what torch has to say about how it does so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_geometric.data
            import torch_geometric.sampler  # noqa: F401
    except ImportError as error:
        raise SetupError("PyG is not installed: run `pip install torch-geometric`") from error
