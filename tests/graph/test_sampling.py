"""The sampler, and PyG's two stores against its own data in memory, on a graph with a hub, doubles and loops."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torch says about PyG's own imports
    import torch_geometric  # noqa: F401

from cortigraph.graph import schema
from cortigraph.graph.errors import InputError, SetupError
from cortigraph.graph.pyg import neighbor_sampler, pyg_stores, to_pyg
from cortigraph.graph.snapshot import snapshot
from cortigraph.graph.write import merge_edges, merge_nodes

KNOWS = ("Entity", "KNOWS", "Entity")
FAN = ("Area", "HOLDS", "Entity")


@pytest.fixture(scope="module")
def graph(store, tmp_path_factory):
    """60 entities with vectors, 5 areas without: a hub, parallel relationships, self-loops, one entity alone."""
    from cortigraph.graph import cypher

    while store.write(cypher.DELETE_SOME).rows[0]["deleted"]:
        pass
    random = np.random.default_rng(0)
    names = [f"é{i:02}" for i in range(60)]
    vectors = random.normal(size=(60, schema.TEXT_DIMENSION))
    merge_nodes(
        store,
        "Entity",
        [{"key": k, "embedding": v, "n": i} for i, (k, v) in enumerate(zip(names, vectors, strict=True))],
    )
    merge_nodes(store, "Area", [{"key": f"a{i}", "size": i} for i in range(4)] + [{"key": "a4"}])
    pairs = random.integers(0, 59, (300, 2)).tolist() + [[i, 0] for i in range(40)] + [[1, 1], [2, 1], [2, 1]]
    rows = [{"start": names[a], "end": names[b], "key": str(i), "w": i / 8} for i, (a, b) in enumerate(pairs)]
    merge_edges(store, "KNOWS", "Entity", "Entity", rows)
    holds = [{"start": f"a{i % 5}", "end": name} for i, name in enumerate(names[:-1])]
    merge_edges(store, "HOLDS", "Area", "Entity", holds)
    merge_edges(store, "HELD_BY", "Entity", "Area", [{"start": row["end"], "end": row["start"]} for row in holds])
    return snapshot(store, tmp_path_factory.mktemp("snapshots"))


def triples(graph, edge_type=KNOWS):
    return sorted(map(tuple, graph.edges[edge_type].index.T.tolist()))


# ---- data ---------------------------------------------------------------------------------------------------------


def test_hetero_data_has_id_maps_and_tensors(graph):
    import torch

    data = to_pyg(graph)
    assert data.node_types == ["Area", "Entity"]
    assert set(data.edge_types) == set(graph.edges)
    assert data["Entity"].x.shape == (60, schema.TEXT_DIMENSION)
    assert data["Entity"].key[data["Entity"].key.row("é07")] == "é07"
    assert "x" not in data["Area"]
    assert data["Area"].row.tolist() == list(range(5))
    assert torch.equal(data[KNOWS].edge_index, torch.from_numpy(graph.edges[KNOWS].index))
    assert (data["Area"].num_nodes, data.num_edges) == (5, graph.edge_count)
    assert data.validate()


def test_the_id_maps_survive_cloning_moving_and_sampling(graph):
    for data in (to_pyg(graph).clone(), to_pyg(graph).to("cpu")):
        assert data["Entity"].key.row("é07") == 7
        batch = next(iter(loaded(data, neighbor_sampler(data, [4, 2]))))
        names = [batch["Entity"].key[row] for row in batch["Entity"].n_id]
        assert names[:2] == ["é00", "é01"]
        assert len(names) == batch["Entity"].num_nodes


def test_numeric_properties_when_asked_for(graph):
    data = to_pyg(graph, properties=True)
    assert data["Entity"].n.tolist() == list(range(60))
    assert data["Area"]["size"].tolist()[:4] == [0, 1, 2, 3]
    assert data["Area"]["size"][4].isnan()
    assert data[KNOWS].w.shape == (343,)
    assert sorted(data[KNOWS].w.tolist()) == [i / 8 for i in range(343)]
    assert "n" not in to_pyg(graph, properties=["w"])["Entity"]


def test_a_mask_where_not_every_node_has_a_vector(clean_store, tmp_path):
    merge_nodes(clean_store, "Entity", [{"key": "a"}, {"key": "b", "embedding": [1.0] * schema.TEXT_DIMENSION}])
    merge_edges(clean_store, "R", "Entity", "Entity", [{"start": "a", "end": "a"}])
    one = snapshot(clean_store, tmp_path)
    data = to_pyg(one)
    assert data["Entity"].x_mask.tolist() == [False, True]
    assert data["Entity"].x.sum(1).tolist() == [0, schema.TEXT_DIMENSION]
    assert data["Entity", "R", "Entity"].edge_index.tolist() == [[0], [0]]
    features, edges = pyg_stores(one)
    assert features["Entity", "x_mask", None].tolist() == [False, True]
    assert edges.get_edge_index(("Entity", "R", "Entity"), "csr")[0].tolist() == [0, 1, 1]


def test_an_empty_store(clean_store, tmp_path):
    empty = snapshot(clean_store, tmp_path)
    assert to_pyg(empty).node_types == []
    features, edges = pyg_stores(empty)
    assert (features.get_all_tensor_attrs(), edges.get_all_edge_attrs()) == ([], [])


def test_without_pyg_the_command_that_installs_it_is_named(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    for call in (lambda: to_pyg(graph), lambda: pyg_stores(graph), lambda: neighbor_sampler(None, [1])):
        with pytest.raises(SetupError, match="pip install torch-geometric"):
            call()


# ---- the two stores, against PyG's own in memory ------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
def test_edge_indexes_are_those_of_data_in_memory_in_every_layout(graph, layout):
    memory, (_, edges) = to_pyg(graph), pyg_stores(graph)
    theirs, ours = getattr(memory, layout)(), getattr(edges, layout)()
    for kind in graph.edges:
        # PyG sorts in any order within a node, so the edges are compared, and not their order.
        expected = written_out(layout, theirs[0][kind], theirs[1][kind])
        assert written_out(layout, *edges.get_edge_index(edge_type=kind, layout=layout)) == expected
        assert written_out(layout, ours[0][kind], ours[1][kind]) == expected
        assert len(expected) == graph.edges[kind].count


def written_out(layout, row, col):
    if layout == "csr":
        row = np.repeat(np.arange(len(row) - 1), np.diff(row))
    if layout == "csc":
        col = np.repeat(np.arange(len(col) - 1), np.diff(col))
    return sorted(zip(np.asarray(row).tolist(), np.asarray(col).tolist(), strict=True))


def test_edge_attributes(graph):
    _, edges = pyg_stores(graph)
    attributes = {attribute.edge_type: attribute for attribute in edges.get_all_edge_attrs()}
    assert attributes.keys() == graph.edges.keys()
    assert attributes[FAN].size == (5, 60)
    _, col = edges.get_edge_index(attributes[FAN])
    assert attributes[FAN].is_sorted
    assert (col.diff() >= 0).all()
    with pytest.raises(KeyError):
        edges.get_edge_index(("Area", "NONE", "Area"), "coo")


@pytest.mark.parametrize("index", [None, 3, slice(2, 9), slice(None), "tensor", "mask"])
def test_tensors_and_their_parts_are_those_of_data_in_memory(graph, index):
    import torch

    chosen = {"tensor": torch.tensor([5, 5, 0]), "mask": torch.arange(60) % 2 == 0}
    index = chosen[index] if isinstance(index, str) else index
    memory, (features, _) = to_pyg(graph), pyg_stores(graph)
    ours = features.get_tensor("Entity", "x", index)
    assert torch.equal(ours, memory.get_tensor("Entity", "x", index))


def test_tensor_attributes_and_sizes(graph):
    memory, (features, _) = to_pyg(graph, properties=True), pyg_stores(graph, properties=True)

    def names(one):
        return sorted((attribute.group_name, attribute.attr_name) for attribute in one.get_all_tensor_attrs())

    assert names(features) == names(memory)
    assert features.get_tensor_size("Entity", "x") == (60, schema.TEXT_DIMENSION)
    assert features.get_tensor_size("Entity", "nothing") is None


def test_what_is_put_shadows_the_snapshot_and_can_be_removed(graph):
    import torch

    features, edges = pyg_stores(graph)
    features["Entity", "y", None] = torch.arange(60)
    features.put_tensor(torch.zeros(2, schema.TEXT_DIMENSION), "Entity", "x", torch.tensor([0, 1]))
    assert features["Entity", "y", torch.tensor([7])].tolist() == [7]
    assert features["Entity", "x", slice(0, 2)].abs().sum() == 0
    assert to_pyg(graph)["Entity"].x[:2].abs().sum() > 0
    assert ("Entity", "y") in {(a.group_name, a.attr_name) for a in features.get_all_tensor_attrs()}
    assert features.remove_tensor("Entity", "y", None)
    assert features.get_tensor("Entity", "y", None) is None

    back = ("Entity", "REV", "Area")
    edges.put_edge_index((torch.tensor([0, 1]), torch.tensor([2, 2])), back, "coo", size=(60, 5))
    assert edges.get_edge_index(back, "csc")[1].tolist() == [0, 0, 0, 2, 2, 2]
    assert edges.remove_edge_index(back, "coo")
    with pytest.raises(KeyError):
        edges.get_edge_index(back, "csc")
    assert len(edges.get_all_edge_attrs()) == len(graph.edges)


# ---- sampling -----------------------------------------------------------------------------------------------------


def loaded(data, sampler, nodes="Entity", **keywords):
    from torch_geometric.loader import NeighborLoader

    return NeighborLoader(data, [4, 2], input_nodes=nodes, neighbor_sampler=sampler, batch_size=16, **keywords)


@pytest.mark.parametrize("where", ["store", "memory"])
@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_what_is_sampled_is_of_the_graph(graph, where, disjoint, replace):
    data = pyg_stores(graph) if where == "store" else to_pyg(graph)
    full = to_pyg(graph)
    seen = []
    for batch in loaded(data, neighbor_sampler(data, [4, 2], replace=replace, disjoint=disjoint, seed=1)):
        entities = batch["Entity"]
        seeds = entities.n_id[: entities.batch_size]
        assert seeds.tolist() == entities.input_id.tolist()
        assert (entities.x == full["Entity"].x[entities.n_id]).all()
        seen += seeds.tolist()
        for kind in batch.edge_types:
            row, col = batch[kind].edge_index
            start, end = batch[kind[0]].n_id[row], batch[kind[2]].n_id[col]
            assert (
                full[kind].edge_index[:, batch[kind].e_id] == (start, end)[0].new_tensor([start.tolist(), end.tolist()])
            ).all()
            taken = np.bincount(col, minlength=1)
            assert taken.max() <= 4
            if not replace and not disjoint:
                assert len(set(batch[kind].e_id.tolist())) == len(row)
            if disjoint:
                assert (batch[kind[0]].batch[row] == batch[kind[2]].batch[col]).all()
            assert sum(batch[kind].num_sampled_edges) == len(row)
        assert sum(entities.num_sampled_nodes) == len(entities.n_id)
        if not disjoint:
            assert len(set(entities.n_id.tolist())) == len(entities.n_id)
    assert seen == list(range(60))


def test_every_edge_is_taken_where_the_fan_out_allows(graph):
    from torch_geometric.sampler import NodeSamplerInput

    data = to_pyg(graph)
    import torch

    out = neighbor_sampler(data, [-1]).sample_from_nodes(NodeSamplerInput(None, torch.arange(60), None, "Entity"))
    assert {kind: sorted(edge.tolist()) for kind, edge in out.edge.items()} == {
        kind: list(range(edges.count)) if kind[2] == "Entity" else [] for kind, edges in graph.edges.items()
    }
    few = neighbor_sampler(data, {KNOWS: [3, 0], FAN: [0, 1], ("Entity", "HELD_BY", "Area"): [0, 0]})
    out = few.sample_from_nodes(NodeSamplerInput(None, torch.tensor([0]), None, "Entity"))
    assert out.num_sampled_edges[KNOWS] == [3, 0]
    assert out.num_sampled_edges[FAN][0] == 0


def test_the_choice_is_uniform(graph):
    import torch
    from torch_geometric.sampler import NodeSamplerInput

    data = to_pyg(graph)
    sampler = neighbor_sampler(data, {KNOWS: [3], FAN: [0], ("Entity", "HELD_BY", "Area"): [0]}, disjoint=True, seed=0)
    out = sampler.sample_from_nodes(NodeSamplerInput(None, torch.zeros(6000, dtype=torch.int64), None, "Entity"))
    counts = torch.bincount(out.edge[KNOWS])
    counts = counts[counts > 0].double()
    degree = int((data[KNOWS].edge_index[1] == 0).sum())
    assert len(counts) == degree > 40
    expected = 18_000 / degree
    assert ((counts - expected).abs() < 6 * expected**0.5).all()


def test_the_same_seed_gives_the_same_samples_from_store_and_memory(graph):
    import torch

    def run(data, **keywords):
        return [batch["Entity"].n_id.tolist() for batch in loaded(data, neighbor_sampler(data, [4, 2], **keywords))]

    first = run(to_pyg(graph), seed=3)
    assert first == run(to_pyg(graph), seed=3) == run(pyg_stores(graph), seed=3)
    assert first != run(to_pyg(graph), seed=4)
    torch.manual_seed(5)
    drawn = run(to_pyg(graph))
    torch.manual_seed(5)
    assert drawn == run(to_pyg(graph))


def test_loader_processes(graph):
    data = pyg_stores(graph)
    batches = list(loaded(data, neighbor_sampler(data, [4, 2], seed=1), num_workers=1))
    assert sum(batch["Entity"].batch_size for batch in batches) == 60


def test_a_graph_without_types(graph):
    from torch_geometric.data import Data

    data = Data(x=to_pyg(graph)["Entity"].x, edge_index=to_pyg(graph)[KNOWS].edge_index)
    seen = []
    for batch in loaded(data, neighbor_sampler(data, [4, 2], seed=0), nodes=None):
        assert (data.edge_index[:, batch.e_id] == batch.n_id[batch.edge_index]).all()
        seen += batch.n_id[: batch.batch_size].tolist()
    assert seen == list(range(60))


@pytest.mark.parametrize("disjoint", [False, True])
def test_links_with_negative_ones(graph, disjoint):
    from torch_geometric.loader import LinkNeighborLoader

    data = pyg_stores(graph)
    loader = LinkNeighborLoader(
        data, [3, 2], edge_label_index=KNOWS, batch_size=64, neg_sampling="binary",
        neighbor_sampler=neighbor_sampler(data, [3, 2], seed=0, disjoint=disjoint),
    )  # fmt: skip
    known = set(triples(graph))
    positive = 0
    for batch in loader:
        pairs = batch["Entity"].n_id[batch[KNOWS].edge_label_index].T.tolist()
        labels = batch[KNOWS].edge_label.tolist()
        assert {tuple(pair) for pair, label in zip(pairs, labels, strict=True) if label} <= known
        positive += int(sum(labels))
    assert positive == graph.edges[KNOWS].count


def test_times_are_refused(graph):
    import torch
    from torch_geometric.sampler import EdgeSamplerInput

    sampler = neighbor_sampler(to_pyg(graph), [1], disjoint=True)
    one = torch.tensor([0])
    with pytest.raises(InputError, match="no times"):
        sampler.sample_from_edges(EdgeSamplerInput(None, one, one, time=one, input_type=KNOWS))
    with pytest.raises(InputError, match="at least one hop"):
        neighbor_sampler(to_pyg(graph), [])


def test_a_small_network_learns_from_the_store(graph):
    """Which area holds an entity can be seen from its neighbours alone: the messages must be those of the graph."""
    import torch
    from torch_geometric.nn import HeteroConv, SAGEConv

    torch.manual_seed(0)
    features, edges = pyg_stores(graph)
    target = torch.zeros(60, dtype=torch.int64)
    row, col = edges.get_edge_index(FAN, "coo")
    target[col] = row
    features["Entity", "y", None] = target
    features["Area", "x", None] = torch.eye(5)
    data = (features, edges)
    back = ("Entity", "HELD_BY", "Area")
    convs = {FAN: SAGEConv((5, schema.TEXT_DIMENSION), 16), back: SAGEConv((schema.TEXT_DIMENSION, 5), 16)}
    layer = HeteroConv({**convs, KNOWS: SAGEConv(schema.TEXT_DIMENSION, 16)})
    head = torch.nn.Linear(16, 5)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(15):
        for batch in loaded(
            data, neighbor_sampler(data, [4, 2], seed=0), nodes=("Entity", torch.arange(59)), shuffle=True
        ):
            used = {kind: batch[kind].edge_index for kind in (FAN, back, KNOWS)}
            out = head(layer(batch.x_dict, used)["Entity"].relu())[: batch["Entity"].batch_size]
            loss = torch.nn.functional.cross_entropy(out, batch["Entity"].y[: batch["Entity"].batch_size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[0] > 1
    assert np.mean(losses[-4:]) < 0.1
