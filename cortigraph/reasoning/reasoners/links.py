"""Relational message passing in torch alone: on a GPU, or where compiled loops are not wanted.

The sums of `kernel`, over edges that lie on a device. They are taken segment by segment, in the order of the edges, and
not by atomic additions: so the numbers are the same in every run. On a GPU, Triton, which comes with torch there, adds
each segment up without storing what is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.structure import Segments

__all__ = ["Links", "Pairs", "begins", "propagate", "taken", "with_triton"]

_PRODUCTS = 2**28  # numbers that are stored at a time


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows, segment by segment.

    Args:
        first: Where each segment begins, and where the last one ends: (segments + 1).
        left: (entries).
        right: (entries).
    """

    first: Tensor
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
        return Pairs(begins(self.source, self.sources), self.target, self.relation)

    @cached_property
    def by_target(self) -> Pairs:
        """Sources and relations."""
        first, order = _segments(self.target, self.targets)
        return Pairs(first, self.source.index_select(0, order), self.relation.index_select(0, order))

    @cached_property
    def by_relation(self) -> Pairs:
        """Targets and sources."""
        first, order = _segments(self.relation, self.relations)
        return Pairs(first, self.target.index_select(0, order), self.source.index_select(0, order))


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


def taken(values: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table, as `values[rows]`; the gradients of what is taken more than once are added in order.

    Args:
        values: (any, columns).
        rows: (any).
    """
    out: Tensor = _Taken.apply(values, rows)
    return out


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor) -> Tensor:
        ctx.rows, ctx.count = rows, len(values)
        return values.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad, (first, order) = grads[0].contiguous(), _segments(ctx.rows, ctx.count)
        return _sums(Pairs(first, order, torch.zeros_like(order)), grad, torch.ones_like(grad[:1])), None


def _sums(pairs: Pairs, left: Tensor, right: Tensor) -> Tensor:
    """`out[s] = Σ over entries (i, j) of segment s of left[i] · right[j]`."""
    if left.is_cuda and with_triton():
        from cortigraph.reasoning.reasoners._triton_sums import sums

        return sums(pairs.first, pairs.left, pairs.right, left, right)
    wide = max(1, _PRODUCTS // max(1, len(pairs.left)))
    parts = []
    for some, others in zip(torch.split(left, wide, 1), torch.split(right, wide, 1), strict=True):
        products = some.index_select(0, pairs.left) * others.index_select(0, pairs.right)
        parts.append(torch.segment_reduce(products, "sum", offsets=pairs.first, unsafe=True))
    return torch.cat(parts, dim=1)


@cache
def with_triton() -> bool:
    """Whether there is Triton, for what is on a GPU."""
    return find_spec("triton") is not None


def begins(rows: Tensor, count: int) -> Tensor:
    """Where each of so many rows begins among ascending ones, and where the last one ends: (count + 1)."""
    return torch.searchsorted(rows, torch.arange(count + 1, dtype=rows.dtype, device=rows.device))


def _segments(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Where each of so many rows begins once they are sorted, and the order that sorts them."""
    ascending, order = torch.sort(rows.to(torch.int32), stable=True)  # half the bits take half the passes
    return begins(ascending, count), order
