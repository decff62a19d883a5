"""Message passing: gradients are right, both ways of computing agree, and a part of a graph is that part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortigraph.reasoning.reasoners.kernel import propagate
from cortigraph.reasoning.reasoners.path.dropped import keep_mask
from cortigraph.reasoning.reasoners.path.frontier import begin, expand
from cortigraph.reasoning.reasoners.path.fused import Judge, judged
from cortigraph.reasoning.reasoners.path.layer import Layer, Way
from cortigraph.reasoning.reasoners.structure import Structure


def edges(nodes: int = 9, relations: int = 4, count: int = 40, seed: int = 0) -> Structure:
    """Drawn edges, among them parallel ones and loops."""
    draw = np.random.default_rng(seed)
    columns = [draw.integers(0, size, count) for size in (nodes, relations, nodes)]
    return Structure.of(np.stack(columns, axis=1), nodes=nodes, relations=relations)


def test_gradients_of_messages():
    graph = edges()
    x = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    relation = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: propagate(a, b, graph), (x, relation))


@pytest.mark.parametrize(("columns", "nodes"), [(1, 50), (33, 50), (1024, 50), (1500, 50), (1040, 300), (1041, 300)])
def test_plain_torch_gives_the_same(columns, nodes, monkeypatch):
    graph = edges(nodes, 5, 6 * nodes)
    x, relation = torch.randn(nodes, columns), torch.randn(5, columns)
    ours = propagate(x, relation, graph)
    again = propagate(x, relation, graph)
    monkeypatch.setenv("CORTIGRAPH_KERNEL", "torch")
    torch.testing.assert_close(ours, propagate(x, relation, graph), rtol=1e-4, atol=1e-4)
    assert torch.equal(ours, again)


# The last is larger than a core's cache: rows are asked for early, and sums written past it.
@pytest.mark.parametrize(("columns", "nodes"), [(3, 50), (40, 50), (1500, 50), (1040, 300)])
def test_gradients_are_those_of_plain_torch(columns, nodes, monkeypatch):
    whole = edges(nodes, 5, 6 * nodes)
    first = expand(begin(np.array([0, 1, 1])), whole)
    for graph, sources, relations in ((whole, nodes, 5), (expand(first.frontier, whole), len(first.frontier), 15)):
        x, relation = torch.randn(sources, columns), torch.randn(relations, columns)
        grad = torch.randn(len(graph.by_target), columns)
        found = [_gradients(x, relation, graph, grad) for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setenv("CORTIGRAPH_KERNEL", "torch")
            theirs = _gradients(x, relation, graph, grad)
        for ours, again, other in zip(*found, theirs, strict=True):
            assert torch.equal(ours, again)
            torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)


def _gradients(x, relation, graph, grad):
    given = [x.clone().requires_grad_(), relation.clone().requires_grad_()]
    return torch.autograd.grad(propagate(*given, graph), given, grad)


def test_an_empty_graph_sends_nothing():
    graph = Structure.of(np.zeros((0, 3), np.int64), nodes=3, relations=2)
    assert propagate(torch.ones(3, 4), torch.ones(2, 4), graph).abs().sum() == 0


def test_some_of_the_edges():
    graph = edges()
    keep = np.random.default_rng(1).random(len(graph)) > 0.4
    kept = graph.kept(keep)
    triples = np.stack([graph.source, graph.relation, graph.target], axis=1)[keep]
    anew = Structure.of(triples, nodes=9, relations=4)
    for name in ("by_target", "by_source"):
        for part in ("first", "left", "right"):
            np.testing.assert_array_equal(getattr(getattr(kept, name), part), getattr(getattr(anew, name), part))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("width", [5, 21])  # of which 16 fill a tile
def test_a_step_is_what_plain_torch_makes_of_it(gated, dropout, width, monkeypatch):
    torch.manual_seed(0)
    graph = edges(400, 2, 1200)
    layer, gate = Layer(width, dropout).double(), torch.nn.Linear(width, 1).double()
    wide = Way(graph, np.array([0, 4, 17]))  # three queries side by side
    before = expand(expand(begin(np.array([0, 4])), graph).frontier, graph).frontier
    step = expand(before, graph)
    further = Way(step, step.frontier.first[:-1], step.old)
    for way, rows, table, queries in ((wide, 1200, (4, 3 * width), 3), (further, len(before), (8, width), 2)):
        given = [torch.randn(*shape, dtype=torch.float64) for shape in ((rows, width), table, (queries, width))]
        grad = torch.randn(1200 if way is wide else len(step.frontier), width, dtype=torch.float64)
        ours = _stepped(layer, given, way, gate if gated else None, grad)
        with monkeypatch.context() as patch:
            patch.setenv("CORTIGRAPH_KERNEL", "torch")
            theirs = _stepped(layer, given, way, gate if gated else None, grad)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)


def _stepped(layer, given, way, gate, grad):
    torch.manual_seed(1)  # of what is dropped
    given = [each.clone().requires_grad_() for each in given]
    out, worth = layer(*given, way.on(given[1].device, len(given[1])), gate)
    learned = [*layer.parameters(), *([] if gate is None else gate.parameters())]
    return [out, *([] if worth is None else [worth]), *torch.autograd.grad(out, [*given, *learned], grad)]


@pytest.mark.parametrize("width", [4, 20])
def test_judging_in_one_sweep(width, monkeypatch):
    torch.manual_seed(0)
    rows = np.repeat([0, 1], [20, 130])
    shapes = (150, 3), (width, 3), (2, width), (width,), (1,)
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def scored() -> list[torch.Tensor]:
        scores = judged(given[0], Judge(*given[1:]), rows)
        return [scores, *torch.autograd.grad(scores @ torch.linspace(-1, 2, 150, dtype=torch.float64), given)]

    ours = scored()
    monkeypatch.setenv("CORTIGRAPH_KERNEL", "torch")
    for one, other in zip(ours, scored(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_dropped():
    mask = keep_mask(2000, 16, 0.25, 7)
    assert abs(float((mask == 0).float().mean()) - 0.25) < 0.02
    assert float(mask.max()) == pytest.approx(1 / 0.75)
    assert not torch.equal(mask, keep_mask(2000, 16, 0.25, 8))


def test_frontiers_against_sets():
    graph = edges(30, 4, 120, seed=3)
    heads = np.array([0, 5, 5])
    hidden = np.array([[-1, -1, -1], [5, *_some_edge(graph, 5)], [-1, -1, -1]])
    frontier = begin(heads)
    reached = [{0}, {5}, {5}]
    for _ in range(3):
        step = expand(frontier, graph, hidden)
        frontier = step.frontier
        for query in range(3):
            reached[query] |= {
                int(v)
                for u, r, v in zip(graph.source, graph.relation, graph.target, strict=True)
                if u in reached[query] and not _is_hidden((u, r, v), hidden[query])
            }
            low, high = frontier.first[query : query + 2]
            assert set(frontier.entity[low:high].tolist()) == reached[query]
            assert len(set(frontier.entity[low:high].tolist())) == high - low


def _some_edge(graph: Structure, node: int) -> tuple[int, int]:
    edge = int(np.flatnonzero(graph.source == node)[0])
    return int(graph.relation[edge]), int(graph.target[edge])


def _is_hidden(edge, hidden) -> bool:
    head, kind, tail = hidden.tolist()
    back = kind - 2 if kind >= 2 else kind + 2
    return edge in {(head, kind, tail), (tail, back, head)}
