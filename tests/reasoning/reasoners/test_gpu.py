"""The path reasoner on a GPU. What Triton makes there is checked by its interpreter, the rest where there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.path.gradients import EdgeGradients
from cortigraph.reasoning.reasoners.path.layer import Layer
from cortigraph.reasoning.reasoners.path.training import train_path
from cortigraph.reasoning.reasoners.train import train

from .made import ring
from .test_path import small

HERE = Path(__file__).parents[3]
NO_GPU = "no GPU that torch can use"
triton = pytest.mark.skipif(find_spec("triton") is None, reason="no Triton: torch brings it where it knows GPUs")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_GPU)


def check_sums() -> None:
    """Segments of all lengths, and columns that fill no tile."""
    from cortigraph.reasoning.reasoners._triton_sums import sums

    torch.manual_seed(0)
    first = torch.tensor([0, 0, 3, 43, 44, 44, 61])
    lefts, rights = torch.randint(9, (61,)), torch.randint(4, (61,))
    for columns in (5, 32, 130):
        left, right = torch.randn(9, columns), torch.randn(4, columns)
        products = left[lefts] * right[rights]
        theirs = torch.stack([products[begin:end].sum(0) for begin, end in pairwise(first)])
        torch.testing.assert_close(sums(first, lefts, rights, left, right), theirs, rtol=1e-4, atol=1e-5)
    assert sums(first[:1], lefts[:0], rights[:0], torch.ones(2, 3), torch.ones(2, 3)).shape == (0, 3)


def check_steps() -> None:
    """A layer's sweep and its gradients are those of torch alone, with and without a gate, drop-out and new rows."""
    from cortigraph.reasoning.reasoners.path._triton_steps import renewed

    for width, gated, dropout, grows in ((5, False, 0.0, False), (32, True, 0.3, True), (21, True, 0.0, False)):
        torch.manual_seed(0)
        layer, gate = Layer(width, dropout).double(), torch.nn.Linear(width, 1).double()
        torch.nn.init.normal_(layer.norm.weight)
        before = 40 if grows else 70
        old = torch.randperm(70)[:before].sort().values if grows else None
        state, sums = (torch.randn(rows, width, dtype=torch.float64, requires_grad=True) for rows in (before, 70))
        given = [state, sums, *layer.parameters(), *(gate.parameters() if gated else [])]
        slope = torch.randn(70, width, dtype=torch.float64)
        torch.manual_seed(1)
        theirs = layer.renewed(state, sums, old, gate if gated else None)
        torch.manual_seed(1)
        dropped, seed = layer._dropped(drops=True)
        from_state, from_sums, bias, scale, shift, worth_of = layer.weights(gate if gated else None).tensors()
        x, told = torch.addmm(bias, sums, from_sums.T), state @ from_state.T
        x = x + told if old is None else x.index_add(0, old, told)
        ours = renewed(x, state, old, scale, shift, worth_of, dropped, seed)
        for one, other in ((ours[0], theirs[0]), (ours[1], theirs[1])):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        slopes = (torch.autograd.grad(each[0], given, slope) for each in (ours, theirs))
        for one, other in zip(*slopes, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@triton
@pytest.mark.parametrize("check", ["check_sums", "check_steps"])
def test_kernels_are_what_torch_alone_makes(check):
    """Each in a process of its own: Triton reads whether to interpret when it is imported."""
    program = f"from {__name__} import {check} as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_gpu_where_there_is_none_is_told():
    facts, held = ring(12)
    with pytest.raises(InputError, match="device=cuda needs a GPU"):
        train("path", facts, held, {"device": "cuda"})


def test_too_little_memory_is_told():
    facts, held = ring(12)
    reasoner = train_path(facts, held, small("outwards", epochs=1))
    with pytest.raises(InputError, match="smaller batch"), reasoner.on_device():
        raise torch.OutOfMemoryError("out of memory")
    assert reasoner.network.unreached.weight.device.type == "cpu"


@pytest.mark.parametrize("way", ["everywhere", "outwards"])
def test_torch_alone_learns_the_same(way, monkeypatch):
    """A whole training, with drop-out and cut frontiers: what a GPU does, on a CPU."""
    facts, held = ring(24)
    chosen = small(way, epochs=4, dropout=0.2, most=6 if way == "outwards" else None)
    told = []
    for _ in range(2):
        told.append([])
        train_path(facts, held, chosen, told[-1].append)
        monkeypatch.setenv("CORTIGRAPH_KERNEL", "torch")
    ours, theirs = ([each.loss for each in one] for one in told)
    assert len(ours) == 4
    assert ours[-1] < 0.9 * ours[0], "it learns"
    np.testing.assert_allclose(theirs, ours, rtol=2e-3)


@pytest.mark.parametrize("most", [None, 4])
def test_torch_alone_owes_answers_to_the_same_edges(most, monkeypatch):
    facts, held = ring(24)
    reasoner = train_path(facts, held, small("outwards", epochs=2, most=most))
    found = []
    for _ in range(2):
        told = EdgeGradients(reasoner, facts.edges, int(held[0, 0]), int(held[0, 1]))
        found.append((told.scores, told.of(int(told.scores.argmax()))))
        monkeypatch.setenv("CORTIGRAPH_KERNEL", "torch")
    assert found[0][1].any()
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)


@gpu
@pytest.mark.parametrize("way", ["everywhere", "outwards"])
def test_what_a_gpu_learned_is_answered_anywhere(way):
    facts, held = ring(24)
    chosen = small(way, epochs=3, device="cuda", most=6 if way == "outwards" else None)
    first, again = (train_path(facts, held, chosen) for _ in range(2))
    assert all(map(torch.equal, first.state().values(), again.state().values())), "a seed gives the same bits"
    assert all(value.device.type == "cpu" for value in first.state().values())
    here = first.score(facts, held[:, :2])
    with first.on_device():
        np.testing.assert_allclose(first.score(facts, held[:, :2]), here, rtol=1e-3, atol=1e-3)
