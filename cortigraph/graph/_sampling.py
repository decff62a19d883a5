"""A neighbour sampler for PyG's loaders in vectorised numpy, so that no compiled extra is needed.

All edge types are sampled at once. Edges are kept sorted by the node that they reach and by type, so the edges of one
type that reach one node are a *segment*; a hop gathers the segments of its nodes and takes up to the fan-out from each.
The cost of a hop therefore depends on what it takes, and not on how many edge types there are.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np

from cortigraph.graph._incoming import ALONE, Incoming, Ints, incoming
from cortigraph.graph.errors import InputError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what torch says about PyG's own imports
    import torch
    from torch_geometric.sampler import BaseSampler, HeteroSamplerOutput, NumNeighbors, SamplerOutput
    from torch_geometric.sampler.neighbor_sampler import edge_sample

__all__ = ["NeighborhoodSampler"]


class NeighborhoodSampler(BaseSampler):  # type: ignore[misc]
    """Samples the neighbourhoods of nodes or edges, against the direction of the edges, as PyG's own sampler does.

    Args:
        data: `Data`, `HeteroData`, or a feature store and a graph store.
        num_neighbors: Fan-out per hop, for all edge types or by edge type; -1 takes all.
        replace: Whether an edge may be taken twice.
        disjoint: Whether every seed gets a subgraph of its own.
        seed: The same seed gives the same samples; when left out, torch's generator decides.
    """

    def __init__(
        self, data: Any, num_neighbors: Any, *, replace: bool = False, disjoint: bool = False, seed: int | None = None
    ) -> None:
        super().__init__()
        self.graph, self.is_hetero = incoming(data)
        self.replace = replace
        self.disjoint = disjoint
        self.num_neighbors = num_neighbors if isinstance(num_neighbors, NumNeighbors) else NumNeighbors(num_neighbors)
        self.fan_out = self._fan_out()
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def sample_from_nodes(self, inputs: Any, **_: Any) -> Any:
        """The neighbourhood of nodes, which come first in what is returned."""
        seed = {inputs.input_type: inputs.node} if self.is_hetero else inputs.node
        out = self._sample(seed)
        out.metadata = (inputs.input_id, inputs.time)
        return out

    def sample_from_edges(self, inputs: Any, neg_sampling: Any = None) -> Any:
        """The neighbourhood of the ends of edges, and of those made up by negative sampling."""
        sizes = np.diff(self.graph.first).tolist()
        counts = dict(zip(self.graph.node_types, sizes, strict=True)) if self.is_hetero else sizes[0]
        return edge_sample(inputs, self._sample, counts, self.disjoint, None, neg_sampling)

    def _fan_out(self) -> Ints:
        """Per hop and edge type how many edges of a node are taken; all of them is a number beyond any degree."""
        hops = self.num_neighbors.num_hops
        if not hops:
            raise InputError("num_neighbors must say for at least one hop how many edges to take, got none")
        if self.is_hetero:
            values = self.num_neighbors.get_values(self.graph.edge_types)
            by_type = [values[kind] if kind in values else [0] * hops for kind in self.graph.edge_types]
        else:
            by_type = [self.num_neighbors.get_values()]
        table = np.array(by_type, np.int64).reshape(len(by_type), hops).T
        return np.where(table < 0, np.iinfo(np.int64).max, table)

    def _random(self) -> np.random.Generator:
        """A generator for one batch; loader processes differ in what they draw."""
        worker = torch.utils.data.get_worker_info()
        drawn = int(torch.randint(2**62, (1,), generator=self._generator))
        # Torch seeds its own generator per process; a generator of ours is copied to all of them.
        return np.random.default_rng([drawn, worker.id if worker and self._generator else 0])

    def _sample(self, seed: Any, seed_time: Any = None, **_: Any) -> Any:
        if seed_time is not None:
            raise InputError("this sampler knows no times: leave out time_attr, input_time and edge_label_time")
        given = seed if self.is_hetero else {ALONE: seed}
        graph = self.graph
        offsets = dict(zip(graph.node_types, graph.first.tolist(), strict=False))
        first = np.concatenate([nodes.numpy().astype(np.int64) + offsets[kind] for kind, nodes in given.items()])
        walk = _Walk(graph, first, self.disjoint, self._random())
        for fan_out in self.fan_out:
            walk.hop(fan_out, self.replace)
        return walk.hetero() if self.is_hetero else walk.homogeneous()


class _Walk:
    """One batch being sampled. A node's place is its position in `nodes`; seeds come first, as they were given."""

    def __init__(self, graph: Incoming, seeds: Ints, disjoint: bool, random: np.random.Generator) -> None:
        self.graph = graph
        self.random = random
        self.total = int(graph.first[-1])
        self.disjoint = disjoint
        self.names = seeds + self.total * np.arange(len(seeds)) if disjoint else seeds  # node, and whose subgraph
        self.node_ends = [len(seeds)]
        self.edges: list[tuple[Ints, Ints, Ints, Ints]] = []  # per hop: kind, place of start, place of end, edge
        self.frontier = 0

    def hop(self, fan_out: Ints, replace: bool) -> None:
        """Take edges that reach the nodes which the last hop added."""
        ends = np.arange(self.frontier, len(self.names))
        graph = self.graph
        batch, node = np.divmod(self.names[ends], self.total) if self.total else (ends, ends)
        which, segment = _spread(graph.segments[node], graph.segments[node + 1])
        low, high = graph.edges[segment], graph.edges[segment + 1]
        owner, edge = _take(low, high, fan_out[graph.kind[segment]], replace, self.random)
        reached = which[owner]
        names = graph.start[edge] + self.total * batch[reached]
        self.frontier = len(self.names)
        starts = self._placed(names)
        self.edges.append((graph.kind[segment[owner]], starts, ends[reached], graph.place[edge]))
        self.node_ends.append(len(self.names))

    def _placed(self, names: Ints) -> Ints:
        """Places of nodes; those that are new are added in the order in which they come."""
        known = len(self.names)
        _, first, inverse = np.unique(np.concatenate([self.names, names]), return_index=True, return_inverse=True)
        new = np.sort(first[first >= known])
        place = np.where(first < known, first, known + np.searchsorted(new, first))
        self.names = np.concatenate([self.names, names[new - known]])
        return np.asarray(place[inverse[known:]])

    def homogeneous(self) -> Any:
        """What PyG's loaders expect of a graph without types."""
        batch, node = np.divmod(self.names, max(self.total, 1))
        _, starts, ends, places = (np.concatenate(column) for column in zip(*self.edges, strict=True))
        return SamplerOutput(
            node=torch.from_numpy(node),
            row=torch.from_numpy(starts),
            col=torch.from_numpy(ends),
            edge=torch.from_numpy(places),
            batch=torch.from_numpy(batch) if self.disjoint else None,
            num_sampled_nodes=np.diff(self.node_ends, prepend=0).tolist(),
            num_sampled_edges=[len(hop[0]) for hop in self.edges],
        )

    def hetero(self) -> Any:
        """What PyG's loaders expect of a graph with types: places count within a node type."""
        graph = self.graph
        batch, node = np.divmod(self.names, max(self.total, 1))
        kind = np.searchsorted(graph.first, node, side="right") - 1
        by_kind, cuts = _grouped(kind, len(graph.node_types))
        local = np.empty(len(node), np.int64)
        local[by_kind] = np.arange(len(node)) - cuts[kind[by_kind]]
        nodes = _split(graph.node_types, (node - graph.first[kind])[by_kind], cuts)
        kinds, starts, ends, places = (np.concatenate(column) for column in zip(*self.edges, strict=True))
        by_type, edge_cuts = _grouped(kinds, len(graph.edge_types))
        columns = [_split(graph.edge_types, x[by_type], edge_cuts) for x in (local[starts], local[ends], places)]
        hops = np.split(kind, self.node_ends[:-1])
        return HeteroSamplerOutput(
            node=nodes,
            row=columns[0],
            col=columns[1],
            edge=columns[2],
            batch=_split(graph.node_types, batch[by_kind], cuts) if self.disjoint else None,
            num_sampled_nodes=_counted(graph.node_types, hops),
            num_sampled_edges=_counted(graph.edge_types, [hop[0] for hop in self.edges]),
        )


def _take(low: Ints, high: Ints, wanted: Ints, replace: bool, random: np.random.Generator) -> tuple[Ints, Ints]:
    """From each range of edges as many as wanted, at random: the range's number, and the edge."""
    count = high - low
    whole = np.flatnonzero(count <= wanted) if not replace else np.flatnonzero(wanted == np.iinfo(np.int64).max)
    owner, edge = _spread(low[whole], high[whole])
    owners, edges = [whole[owner]], [edge]
    rest = np.setdiff1d(np.flatnonzero(wanted > 0), whole, assume_unique=True)
    for size in np.unique(wanted[rest]).tolist():
        chosen = rest[wanted[rest] == size]
        draw = _repeating if replace else _distinct
        owners.append(np.repeat(chosen, size))
        edges.append((low[chosen][:, None] + draw(count[chosen], size, random)).reshape(-1))
    found, edge = np.concatenate(owners), np.concatenate(edges)
    order = np.argsort(found, kind="stable")
    return found[order], edge[order]


def _distinct(count: Ints, size: int, random: np.random.Generator) -> Ints:
    """Per row so many different numbers below `count`, all choices being equally likely (Floyd's algorithm)."""
    chosen = np.full((len(count), size), -1, np.int64)
    for column in range(size):
        largest = count - size + column
        drawn = random.integers(0, largest + 1)
        taken = (chosen[:, :column] == drawn[:, None]).any(axis=1)
        chosen[:, column] = np.where(taken, largest, drawn)
    return chosen


def _repeating(count: Ints, size: int, random: np.random.Generator) -> Ints:
    return random.integers(0, count[:, None], (len(count), size))


def _spread(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Ranges written out: for every number in them, which range it is of, and the number."""
    count = high - low
    owner = np.repeat(np.arange(len(low)), count)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)


def _grouped(kind: Ints, kinds: int) -> tuple[Ints, Ints]:
    order = np.argsort(kind, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(kind, minlength=kinds))])


def _split(names: list[Any], values: Ints, cuts: Ints) -> dict[Any, Any]:
    tensor = torch.from_numpy(values)
    return {name: tensor[low:high] for name, (low, high) in zip(names, pairwise(cuts.tolist()), strict=True)}


def _counted(names: list[Any], hops: list[Ints]) -> dict[Any, list[int]]:
    table = np.stack([np.bincount(hop, minlength=len(names)) for hop in hops])
    return dict(zip(names, table.T.tolist(), strict=True))
