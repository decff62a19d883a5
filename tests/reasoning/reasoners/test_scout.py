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
        torch.manual_seed(1)  # of what is drawn
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


def test_what_is_learned_from_stands_for_all():
    """Of the best and the answer the scores themselves; the softmax's sum is that of all scores, on average."""
    edges, net = graph(600), network()
    hidden, most = asked_for(edges), 6
    with torch.no_grad():
        every = net.outwards(HEADS, RELATIONS, edges, hidden, most)
    sums, found = [], None
    for _ in range(400):
        found = net.outwards(HEADS, RELATIONS, edges, hidden, most).detach()
        sums.append(torch.logsumexp(found, dim=1).exp())
    alone = (found - every).abs() < 1e-4
    assert bool(alone[range(3), hidden[:, 2]].all()), "the answer stands for itself"
    dropped, many = found < -1e8, (found - every > 0.1)
    assert bool((dropped | alone | many).all())
    assert all(int(dropped[query].sum()) > 4 for query in range(3))
    torch.testing.assert_close(torch.stack(sums).mean(dim=0), torch.logsumexp(every, dim=1).exp(), rtol=0.05, atol=0)


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
