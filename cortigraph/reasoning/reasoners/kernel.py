"""Relational message passing on a CPU: sums of products along edges, in one sweep, without a message ever being stored.

    out[v] = Σ over edges (u, r, v) of relation[r] · x[u]        element by element, over columns (query, channel)

Forward goes over the edges by their target. Backward goes over them once, by their source, for the gradients of `x` and
of `relation` together. In both, edges of a node that share their relation are added before they are multiplied. There
are no atomic additions, and the numbers are the same in every run and with any number of threads.

On a GPU, or if `CORTIGRAPH_KERNEL` is `torch`, `links` does the same in torch alone, which gives the same numbers up to
rounding.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import torch
from torch import Tensor

from cortigraph.reasoning.reasoners import links
from cortigraph.reasoning.reasoners.structure import Rows, Segments
from cortigraph.reasoning.reasoners.threads import compiled

__all__ = ["Edges", "in_torch_alone", "propagate", "sums_and_products", "sums_of_products"]

_TILE = 1024  # columns that a thread takes at a time
_NARROW = 128  # columns; with fewer a sweep is mostly about edges
_LINE = 64  # bytes of a line of the cache, which no two threads should write to
_CACHED = 2**20  # bytes that lie in a core's own cache: what fits need not be asked for early
_AHEAD = 8  # entries; from 4 to 16 it makes little difference


class Edges(Protocol):
    """Edges in the two orders in which they are swept over; `Structure` and `Step` have them."""

    @property
    def by_target(self) -> Segments:
        """Sources and relations, by target."""

    @property
    def by_source(self) -> Segments:
        """Targets and relations, by source."""

    @property
    def parts(self) -> Rows:
        """Where sources may be cut so that no relation is on both sides: from 0 to their number."""


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
    if in_torch_alone(x.device):
        return links.propagate(
            x, relation, links.Links.of(edges.by_source, len(edges.by_target), len(relation), x.device)
        )
    out: Tensor = _Propagate.apply(x, relation, edges)
    return out


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, relation: Tensor, edges: Edges) -> Tensor:
        x, relation = x.contiguous(), relation.contiguous()
        ctx.save_for_backward(x, relation)
        ctx.edges = edges
        return sums_of_products(edges.by_target, x, relation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, relation = ctx.saved_tensors
        grad = grads[0].contiguous()
        needs_x, needs_relation, _ = ctx.needs_input_grad
        if not needs_relation:
            return sums_of_products(ctx.edges.by_source, grad, relation) if needs_x else None, None, None
        return *sums_and_products(ctx.edges, grad, relation, x), None


def in_torch_alone(device: torch.device) -> bool:
    """Whether torch alone has to do what compiled loops do on a CPU.

    Args:
        device: Where: on a GPU there are no compiled loops.
    """
    return device.type != "cpu" or os.environ.get("CORTIGRAPH_KERNEL") == "torch"


def sums_of_products(segments: Segments, left: Tensor, right: Tensor) -> Tensor:
    """`out[s] = Σ over entries (i, j) of segment s of left[i] · right[j]`.

    Args:
        segments: Pairs of rows, segment by segment.
        left: (any, columns), contiguous.
        right: The same.

    Returns:
        (segments, columns).
    """
    out = left.new_empty(len(segments), left.shape[1])
    # Threads have work of equal size; the sums don't depend on how it is cut.
    blocks = max(1, min(len(segments), 4 * torch.get_num_threads()))
    arrays = (each.detach().numpy() for each in (left, right, out))
    _loops().forward(segments.first, segments.left, segments.right, *arrays, blocks, _TILE, _ahead(left), _past(out))
    return out


def sums_and_products(
    edges: Edges, left: Tensor, right: Tensor, own: Tensor, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The sums by source; and for each relation, those of `own[s] · left[i]`.

    Args:
        edges: Segments of which are sources s, and entries targets i and relations.
        left: (targets, columns), contiguous.
        right: (relations, columns), contiguous.
        own: (sources, columns), contiguous.
        start: The same; the sums are added to it, and it is what comes back.

    Returns:
        (sources, columns) and (relations, columns).
    """
    segments, parts = edges.by_source, edges.parts
    out, to_right = torch.empty_like(own) if start is None else start, torch.zeros_like(right)
    threads, columns = torch.get_num_threads(), own.shape[1]
    shares = -(-threads // max(1, len(parts) - 1))  # columns are cut where there are fewer parts than threads
    fit = _CACHED // ((len(left) + 2 * len(right) + 2 * len(own)) * left.element_size() or 1)
    if fit >= _NARROW:  # and further, so that all that a thread reads and writes stays in its cache
        shares *= -(-columns // (fit * shares))
    line = _LINE // left.element_size()
    tile = min(_TILE, max(line, -(-columns // shares // line) * line))
    arrays = (each.detach().numpy() for each in (left, right, own, out, to_right))
    rows = segments.first, segments.left, segments.right, parts
    _loops().backward(*rows, *arrays, start is not None, tile, _ahead(left), _past(out))
    return out, to_right


def _loops() -> Any:
    return compiled("cortigraph.reasoning.reasoners._message_loops")


def _ahead(table: Tensor) -> int:
    return _AHEAD if table.nbytes > _CACHED else 0


def _past(out: Tensor) -> bool:
    """Whether sums are written past the caches: what is too large for them would only drive out what is still read."""
    lines = out.data_ptr() % _LINE == 0 and out.shape[1] * out.element_size() % _LINE == 0
    return lines and out.nbytes > _CACHED
