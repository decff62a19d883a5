"""Relational message passing in torch alone: on a GPU, or where compiled loops are not wanted.

The sums of `kernel`, over edges that lie on a device. They are taken segment by segment, in the order of the edges, and
not by atomic additions: so the numbers are the same in every run. On a GPU, Triton, which comes with torch there, adds
each segment up without storing what is added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.structure import Segments

__all__ = ["Links", "Pairs", "counted", "ordered", "propagate"]

_PRODUCTS = 2**28  # numbers that are stored at a time


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows, segment by segment.

    Args:
        lengths: Of segments.
        left: (entries).
        right: (entries).
    """

    lengths: Tensor
    left: Tensor
    right: Tensor


@dataclass(frozen=True, eq=False)
class Links:
    """Edges on a device.

    Args:
        source: Row that each edge leaves; ascending.
        relation: Its relation.
        target: Row that it reaches.
        sources: How many rows there are to leave.
        relations: How many there are.
        targets: How many rows there are to reach.
    """

    source: Tensor
    relation: Tensor
    target: Tensor
    sources: int
    relations: int
    targets: int

    @classmethod
    def of(cls, by_source: Segments, targets: int, relations: int, device: torch.device) -> Links:
        """Edges by source, from a CPU.

        Args:
            by_source: Targets and relations.
            targets: How many there are.
            relations: How many there are.
            device: Where they shall lie.

        Example:
            >>> import numpy as np
            >>> from cortigraph.reasoning.reasoners.structure import Structure
            >>> edges = Structure.of(np.array([[0, 0, 1]]), nodes=2, relations=1)
            >>> links = Links.of(edges.by_source, 2, 1, torch.device("cpu"))
            >>> propagate(torch.tensor([[2.0], [5.0]]), torch.tensor([[3.0]]), links).tolist()
            [[0.0], [6.0]]
        """
        source, relation, target = (
            torch.as_tensor(each, device=device) for each in (by_source.owners, by_source.right, by_source.left)
        )
        return cls(source, relation, target, len(by_source), relations, targets)

    @cached_property
    def by_source(self) -> Pairs:
        """Targets and relations."""
        return Pairs(counted(self.source, self.sources), self.target, self.relation)

    @cached_property
    def by_target(self) -> Pairs:
        """Sources and relations."""
        order = ordered(self.target)
        return Pairs(counted(self.target, self.targets), self.source[order], self.relation[order])

    @cached_property
    def by_relation(self) -> Pairs:
        """Targets and sources."""
        order = ordered(self.relation)
        return Pairs(counted(self.relation, self.relations), self.target[order], self.source[order])


def propagate(x: Tensor, relation: Tensor, links: Links) -> Tensor:
    """Sums the messages that reach each row; see `kernel.propagate`.

    Args:
        x: States: (sources, columns).
        relation: (relations, columns).
        links: Which go where.

    Returns:
        (targets, columns); differentiable in `x` and `relation`.
    """
    out: Tensor = _Propagate.apply(x, relation, links)
    return out


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, relation: Tensor, links: Links) -> Tensor:
        x, relation = x.contiguous(), relation.contiguous()
        ctx.save_for_backward(x, relation)
        ctx.links = links
        return _sums(links.by_target, x, relation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, relation), grad, links = ctx.saved_tensors, grads[0].contiguous(), ctx.links
        needs_x, needs_relation, _ = ctx.needs_input_grad
        to_x = _sums(links.by_source, grad, relation) if needs_x else None
        return to_x, _sums(links.by_relation, grad, x) if needs_relation else None, None


def _sums(pairs: Pairs, left: Tensor, right: Tensor) -> Tensor:
    """`out[s] = Σ over entries (i, j) of segment s of left[i] · right[j]`."""
    if left.is_cuda and (fused := _fused()) is not None:
        return fused(pairs.lengths, pairs.left, pairs.right, left, right)
    wide = max(1, _PRODUCTS // max(1, len(pairs.left)))
    parts = []
    for some, others in zip(torch.split(left, wide, 1), torch.split(right, wide, 1), strict=True):
        products = some.index_select(0, pairs.left) * others.index_select(0, pairs.right)
        parts.append(torch.segment_reduce(products, "sum", lengths=pairs.lengths, unsafe=True))
    return torch.cat(parts, dim=1)


@cache
def _fused() -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor] | None:
    if find_spec("triton") is None:
        return None
    from cortigraph.reasoning.reasoners._triton_sums import sums

    return sums


def counted(rows: Tensor, count: int) -> Tensor:
    """How often each of so many rows comes."""
    return rows.new_zeros(count).scatter_add_(0, rows, torch.ones_like(rows))


def ordered(rows: Tensor) -> Tensor:
    """The order that sorts rows; equal ones stay as they are."""
    return torch.argsort(rows.to(torch.int32), stable=True)  # half the bits take half the passes
