"""Relational message passing, forwards and backwards, beside the gather and `index_add_` form, each on one thread.

    python benchmarks/kernel.py [--rounds 5]

`out[v] = Σ over edges (u, r, v) of relation[r] · x[u]` over FB237-v1, 1,024 columns, and over WN18RR, 128 columns, in
both directions of each fact. Freed memory is kept for both (else torch's form spends most of its time on new pages, and
looks five times slower). Rounds alternate, medians count. Values and gradients of both must agree, and two runs of ours
must be equal to the bit. The last line is JSON: billions of edges times columns per second, forwards and backwards
counted as three passes, and ratios, above 1 where ours is faster. Graphs are looked for under CORTIGRAPH_DATA, else
../shared/data beside the project; made-up ones of the same size take their place.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from _stage import data_folder, last_line, tell
from torch import Tensor

from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.kernel import propagate
from cortigraph.reasoning.reasoners.structure import Structure
from cortigraph.reasoning.reasoners.triples import read_splits

CASES = {"fb237_v1": ("grail/fb237_v1", 1024, (1594, 360, 8490)), "wn18rr": ("WN18RR", 128, (40559, 22, 173670))}


def edges_of(path: str, made_up: tuple[int, int, int]) -> Structure:
    """A published graph, or one of its size."""
    folder = data_folder() / "kg" / path
    if folder.is_dir():
        return read_splits(folder).facts.edges
    tell(f"no {folder}: a made-up graph of its size instead")
    nodes, relations, count = made_up
    draw = np.random.default_rng(0)
    triples = np.stack([draw.integers(0, limit, count) for limit in (nodes, relations, nodes)], axis=1)
    return Structure.of(triples, nodes=nodes, relations=relations)


def gathered(edges: Structure) -> Callable[[Tensor, Tensor], Tensor]:
    """The form that everybody writes first."""
    source, relation, target = (torch.from_numpy(each) for each in (edges.source, edges.relation, edges.target))

    def sums(x: Tensor, table: Tensor) -> Tensor:
        return torch.zeros(edges.nodes, x.shape[1]).index_add_(0, target, x[source] * table[relation])

    return sums


def both_ways(form: Callable[[Tensor, Tensor], Tensor], x: Tensor, table: Tensor, grad: Tensor) -> list[Tensor]:
    """The result and both gradients."""
    x.grad = table.grad = None
    out = form(x, table)
    out.backward(grad)
    assert x.grad is not None
    assert table.grad is not None
    return [out.detach(), x.grad, table.grad]


def measure(edges: Structure, columns: int, rounds: int) -> tuple[float, float]:
    """Billions of edges times columns per second: ours, theirs."""
    torch.manual_seed(0)
    x, table = (torch.randn(rows, columns, requires_grad=True) for rows in (edges.nodes, edges.relations))
    grad = torch.randn(edges.nodes, columns)
    forms: list[Callable[[Tensor, Tensor], Tensor]] = [lambda a, b: propagate(a, b, edges), gathered(edges)]
    ours, theirs = (both_ways(form, x, table, grad) for form in forms)
    for one, same, other in zip(ours, both_ways(forms[0], x, table, grad), theirs, strict=True):
        assert torch.equal(one, same), "two runs differ"
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-2)
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for form, spent in zip(forms, times, strict=True):
            began = time.perf_counter()
            both_ways(form, x, table, grad)
            spent.append(time.perf_counter() - began)
    work = 3 * len(edges) * columns / 1e9
    rates = [work / statistics.median(spent) for spent in times]
    return rates[0], rates[1]


def main() -> None:
    """Both graphs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    keep_memory()
    torch.set_num_threads(1)
    told: dict[str, float] = {}
    for name, (path, columns, made_up) in CASES.items():
        ours, theirs = measure(edges_of(path, made_up), columns, rounds)
        tell(f"{name}: ours {ours:.2f}, gather and index_add_ {theirs:.2f} G edge·column/s")
        told |= {f"{name}_ratio": ours / theirs, f"{name}_ours": ours, f"{name}_gathered": theirs}
    last_line(**told)


if __name__ == "__main__":
    main()
