"""PyG over the store: the same graph as in memory, sampled in the ordinary way."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torch says about PyG's own imports
    import torch_geometric  # noqa: F401
from torch_geometric.data import EdgeAttr, TensorAttr
from torch_geometric.loader import NeighborLoader
from torch_geometric.nn import SAGEConv, to_hetero

from cortigraph.graph.pyg import neighbor_sampler, pyg_stores, to_pyg
from cortigraph.graph.snapshot import snapshot
from cortigraph.graph.write import merge_edges, merge_nodes

KNOWS = ("Entity", "KNOWS", "Entity")


@pytest.fixture
def taken(clean_store, home):
    """Two labels, three kinds of edge, parallel edges, a loop, and a label without vectors."""
    draw = np.random.default_rng(0)
    people = [{"key": f"p{i}", "embedding": draw.normal(size=384).tolist(), "n": i, "batches": [1]} for i in range(40)]
    merge_nodes(clean_store, "Entity", people)
    merge_nodes(clean_store, "Area", [{"key": f"a{i}", "name": f"A{i}"} for i in range(5)])
    pairs = {(int(a), int(b)) for a, b in draw.integers(0, 40, (160, 2))} | {(3, 3)}
    merge_edges(
        clean_store, "KNOWS", "Entity", "Entity", [{"start": f"p{a}", "end": f"p{b}"} for a, b in sorted(pairs)]
    )
    twice = [{"start": "p0", "end": "p1", "key": key} for key in ("x", "y")]
    merge_edges(clean_store, "MET", "Entity", "Entity", twice)
    merge_edges(clean_store, "IN", "Entity", "Area", [{"start": f"p{i}", "end": f"a{i % 5}"} for i in range(40)])
    return snapshot(clean_store, home), pairs


def test_a_hetero_data_with_the_keys_of_its_nodes(taken):
    data = to_pyg(taken[0])
    assert data["Entity"].x.shape == (40, 384)
    assert data["Entity"].num_nodes == 40
    assert data["Area"].num_nodes == 5
    assert data[KNOWS].edge_index.shape == (2, len(taken[1]))
    assert data["Entity", "MET", "Entity"].edge_index.shape == (2, 2)
    keys = data["Entity"].key
    told = {(keys[a], keys[b]) for a, b in data[KNOWS].edge_index.t().tolist()}
    assert told == {(f"p{a}", f"p{b}") for a, b in taken[1]}


def test_the_stores_give_what_the_data_gives(taken):
    data = to_pyg(taken[0])
    features, graph = pyg_stores(taken[0])
    assert torch.equal(features.get_tensor(TensorAttr("Entity", "x", index=None)), data["Entity"].x)
    rows = torch.tensor([3, 1, 3])
    assert torch.equal(features.get_tensor(TensorAttr("Entity", "x", index=rows)), data["Entity"].x[rows])
    assert {attr.edge_type for attr in graph.get_all_edge_attrs()} == set(data.edge_types)
    row, col = graph.get_edge_index(EdgeAttr(KNOWS, "coo"))
    assert {*zip(row.tolist(), col.tolist(), strict=True)} == {*map(tuple, data[KNOWS].edge_index.t().tolist())}


def test_a_loader_samples_from_the_store(taken):
    snapshot_, pairs = taken
    stores = pyg_stores(snapshot_)
    sampler = neighbor_sampler(stores, [3, 2], seed=0)
    loader = NeighborLoader(stores, [3, 2], input_nodes="Entity", batch_size=8, neighbor_sampler=sampler)
    data, seen = to_pyg(snapshot_), set()
    keys = data["Entity"].key
    for batch in loader:
        local = batch["Entity"].n_id
        seen |= {int(each) for each in local[: batch["Entity"].batch_size]}
        assert torch.equal(batch["Entity"].x, data["Entity"].x[local])
        edges = batch[KNOWS].edge_index
        for a, b in edges.t().tolist():
            assert (int(keys[local[a]][1:]), int(keys[local[b]][1:])) in pairs
        fan = torch.bincount(edges[1], minlength=len(local)) if edges.numel() else torch.zeros(1)
        assert int(fan.max()) <= 3
    assert seen == set(range(40))


def test_the_same_seed_gives_the_same_samples(taken):
    stores = pyg_stores(taken[0])

    def sampled(seed):
        sampler = neighbor_sampler(stores, [2, 2], seed=seed)
        loader = NeighborLoader(stores, [2, 2], input_nodes="Entity", batch_size=16, neighbor_sampler=sampler)
        return [batch["Entity"].n_id.tolist() for batch in loader]

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)


def test_a_small_network_learns_from_it(taken):
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = SAGEConv((-1, -1), 2)

        def forward(self, x, edge_index):
            return self.conv(x, edge_index)

    wanted = [("Entity", "KNOWS", "Entity"), ("Entity", "MET", "Entity")]
    data = to_pyg(taken[0]).edge_type_subgraph(wanted)
    net = to_hetero(Net(), data.metadata())
    labels = torch.arange(40) % 2
    sampler = neighbor_sampler(data, [5], seed=0)
    loader = NeighborLoader(data, [5], input_nodes="Entity", batch_size=20, neighbor_sampler=sampler)
    losses = []
    optimizer = None
    for _ in range(30):
        total = 0.0
        for batch in loader:
            out = net(batch.x_dict, batch.edge_index_dict)["Entity"]
            optimizer = optimizer or torch.optim.Adam(net.parameters(), lr=0.01)
            loss = torch.nn.functional.cross_entropy(out, labels[batch["Entity"].n_id])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        losses.append(total)
    assert losses[-1] < losses[0] / 2
