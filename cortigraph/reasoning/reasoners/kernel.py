"""Relational message passing on a CPU: sums of products along edges, in one sweep, without a message ever being stored.

    out[v] = Σ over edges (u, r, v) of relation[r] · x[u]        element by element, over columns (query, channel)

Forward goes over the edges by their target; the gradient for `x` is the same sum over them by their source, and that
for `relation` over them by their relation. So one loop serves all three: no atomic additions, and the same numbers in
every run and with any number of threads.

`CORTIGRAPH_KERNEL=torch` takes plain torch instead, which gives the same numbers up to rounding.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.structure import Segments

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Edges", "in_plain_torch", "propagate", "segment_products"]

_TILE = 1024  # columns; a sum of that many floats stays in the first cache


class Edges(Protocol):
    """Edges in the three orders in which they are swept over; `Structure` and `Step` have them."""

    @property
    def by_target(self) -> Segments:
        """Sources and relations."""

    @property
    def by_source(self) -> Segments:
        """Targets and relations."""

    @property
    def by_relation(self) -> Segments:
        """Sources and targets."""


def propagate(x: Tensor, relation: Tensor, edges: Edges) -> Tensor:
    """Sums the messages that reach each node.

    Args:
        x: States of nodes: (nodes, columns), float32 or float64.
        relation: (relations, columns), of the same type.
        edges: Which go where.

    Returns:
        (nodes, columns); differentiable in `x` and `relation`.

    Example:
        >>> import numpy as np
        >>> from cortigraph.reasoning.reasoners.structure import Structure
        >>> edges = Structure.of(np.array([[0, 0, 1]]), nodes=2, relations=1)
        >>> propagate(torch.tensor([[2.0], [5.0]]), torch.tensor([[3.0]]), edges).tolist()
        [[0.0], [6.0]]
    """
    out: Tensor = _Propagate.apply(x, relation, edges)
    return out


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, relation: Tensor, edges: Edges) -> Tensor:
        x, relation = x.contiguous(), relation.contiguous()
        ctx.save_for_backward(x, relation)
        ctx.edges = edges
        return segment_products(edges.by_target, x, relation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, relation = ctx.saved_tensors
        grad = grads[0].contiguous()
        needs_x, needs_relation, _ = ctx.needs_input_grad
        to_x = segment_products(ctx.edges.by_source, grad, relation) if needs_x else None
        to_relation = segment_products(ctx.edges.by_relation, x, grad) if needs_relation else None
        return to_x, to_relation, None


def in_plain_torch() -> bool:
    """Whether the user asks for plain torch instead of compiled loops."""
    return os.environ.get("CORTIGRAPH_KERNEL") == "torch"


def segment_products(segments: Segments, left: Tensor, right: Tensor) -> Tensor:
    """`out[s] = Σ over entries (i, j) of segment s of left[i] · right[j]`.

    Args:
        segments: Pairs of rows, segment by segment.
        left: (any, columns), contiguous.
        right: The same.

    Returns:
        (segments, columns).
    """
    if in_plain_torch():
        return _plain(segments, left, right)
    out = left.new_empty(len(segments), left.shape[1])
    arrays = (left.numpy(), right.numpy(), out.numpy())
    _compiled()(segments.first, segments.left, segments.right, *arrays, _blocks(len(segments)))
    return out


def _plain(segments: Segments, left: Tensor, right: Tensor) -> Tensor:
    rows = np.repeat(np.arange(len(segments)), np.diff(segments.first))
    out = left.new_zeros(len(segments), left.shape[1])
    products = left.index_select(0, torch.from_numpy(segments.left)) * right.index_select(
        0, torch.from_numpy(segments.right)
    )
    return out.index_add_(0, torch.from_numpy(rows), products)


def _blocks(segments: int) -> int:
    """Into how many parts rows are cut, so that threads have work of equal size; the sums don't depend on it."""
    return max(1, min(segments, 4 * torch.get_num_threads()))


@cache
def _compiled() -> Callable[..., None]:
    import numba

    @numba.njit(fastmath=True, parallel=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
    def sums(first: Any, lefts: Any, rights: Any, left: Any, right: Any, out: Any, blocks: int) -> None:
        segments, columns = out.shape
        tiles = (columns + _TILE - 1) // _TILE
        for job in numba.prange(tiles * blocks):
            begin = (job // blocks) * _TILE
            end = min(begin + _TILE, columns)
            block = job % blocks
            # Blocks have about as many edges each: hubs would make blocks of equal rows unequal.
            low = np.searchsorted(first, first[segments] * block // blocks) if block else 0
            high = np.searchsorted(first, first[segments] * (block + 1) // blocks) if block + 1 < blocks else segments
            # Sums are kept apart from `out`: the compiler then knows that nothing it reads changes.
            total = np.empty(end - begin, out.dtype)
            for segment in range(low, high):
                total[:] = 0
                for entry in range(first[segment], first[segment + 1]):
                    one, other = left[lefts[entry], begin:end], right[rights[entry], begin:end]
                    for column in range(end - begin):
                        total[column] += one[column] * other[column]
                out[segment, begin:end] = total

    made: Callable[..., None] = sums
    return made
