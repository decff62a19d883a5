"""Scouts: what they see is what the step makes, and what is learned through them is what is learned without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cortigraph.reasoning.reasoners.path.lexicon import LearnedLexicon
from cortigraph.reasoning.reasoners.path.network import PathNetwork
from cortigraph.reasoning.reasoners.structure import Structure

HEADS, RELATIONS = np.array([0, 5, 9]), np.array([0, 3, 1])


def graph(nodes: int = 60) -> Structure:
    """Each relation leads each node to one other: no two that are reached are alike, and nothing rests on rounding."""
    draw = np.random.default_rng(0)
    facts = [np.stack([np.arange(nodes), np.full(nodes, kind), draw.permutation(nodes)], 1) for kind in range(2)]
    head, relation, tail = np.concatenate(facts).T
    both = np.concatenate([np.stack([head, relation, tail], 1), np.stack([tail, relation + 2, head], 1)])
    return Structure.of(both, nodes=nodes + 5, relations=4)  # five that nothing leads to


def network(width: int = 18, dropout: float = 0.0) -> PathNetwork:
    torch.manual_seed(0)
    return PathNetwork(LearnedLexicon(4, width, 3), width, 3, dropout)


def asked_for(edges: Structure) -> np.ndarray:
    """For each head the first fact that it has."""
    places = edges.by_source.first[HEADS]
    return np.stack([HEADS, edges.by_source.right[places], edges.by_source.left[places]], 1)


@pytest.mark.parametrize("kernel", ["compiled", "torch"])
def test_room_for_all_is_the_step_to_all(kernel, monkeypatch):
    """Scores and gradients."""
    monkeypatch.setenv("CORTIGRAPH_KERNEL", kernel)
    edges, net = graph(), network()
    hidden = asked_for(edges)

    def learned(most):
        net.gate = lambda cut: net.priority  # as if it were cut
        scores = net.outwards(HEADS, RELATIONS, edges, hidden, most)
        loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(hidden[:, 2]))
        return [scores, *torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)]

    for one, other in zip(learned(None), learned(1000), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("learns", [False, True])
def test_plain_torch_chooses_the_same(most, learns, monkeypatch):
    edges, net = graph(), network()
    hidden = asked_for(edges) if learns else None

    def scored():
        with torch.set_grad_enabled(learns):
            scores = net.outwards(HEADS, RELATIONS, edges, hidden, most)
        if learns:
            parameters = list(net.parameters())
            loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(asked_for(edges)[:, 2]))
            return [scores, *torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)]
        return [scores]

    ours = scored()
    monkeypatch.setenv("CORTIGRAPH_KERNEL", "torch")
    for one, other in zip(ours, scored(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_scores_learned_from_are_scores_told():
    """Nothing is dropped here, so that what is differentiable is what the scout saw."""
    edges, net = graph(), network()
    told = net.outwards(HEADS, RELATIONS, edges, asked_for(edges), 2)
    with torch.no_grad():
        torch.testing.assert_close(
            told, net.outwards(HEADS, RELATIONS, edges, asked_for(edges), 2), rtol=1e-4, atol=1e-5
        )


def test_the_true_answer_is_learned_from_though_it_is_not_among_the_best():
    edges, net = graph(), network()
    hidden = asked_for(edges)
    scores = net.outwards(HEADS, RELATIONS, edges, hidden, 0 + 1)
    for query, (_, _, tail) in enumerate(hidden):
        (slope,) = torch.autograd.grad(scores[query, tail], [net.last.weight], retain_graph=True, allow_unused=True)
        assert slope is not None
        assert bool(slope.abs().sum() > 0) or bool(torch.isclose(scores[query, tail], scores[query, -1]))


def test_threads_change_nothing():
    edges, net = graph(), network()
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.no_grad():
                found.append(net.outwards(HEADS, RELATIONS, edges, None, 3))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)
