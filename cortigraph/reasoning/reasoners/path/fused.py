"""A step of message passing, and the judgement after the last, each in as few sweeps over memory as it takes.

What follows a layer's matrix products (normalise, rectify, drop out, add to the state, weigh by its worth) is one
sweep; torch takes seven forwards, and more backwards: on a CPU those are a third of a step. Gradients of a state, which
come from three sides, are added where they arise. Which channels are dropped follows from a seed and their place, so no
mask is stored, and it is the same on every run.

`Layer.renewed` does the same in plain torch, with the same numbers up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import Edges, in_plain_torch, sums_and_products, sums_of_products
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.threads import follow_torch

__all__ = ["Weights", "judged", "keep_mask", "rows_of", "stepped"]


@dataclass(frozen=True, eq=False)
class Weights:
    """What a layer has learned.

    Args:
        from_state: (width, width).
        from_sums: (width, width).
        bias: (width).
        scale: (width).
        shift: (width).
        gate: From a state to its worth.
    """

    from_state: Tensor
    from_sums: Tensor
    bias: Tensor
    scale: Tensor
    shift: Tensor
    gate: nn.Linear | None = None

    def tensors(self) -> tuple[Tensor, ...]:
        """All; the gate as (width + 1) weights and bias, else empty."""
        gate = self.bias.new_empty(0) if self.gate is None else torch.cat([self.gate.weight[0], self.gate.bias])
        return self.from_state, self.from_sums, self.bias, self.scale, self.shift, gate


def stepped(
    state: Tensor, table: Tensor, query: Tensor, weights: Weights,
    edges: Edges, at: Rows, old: Rows | None, dropout: float, seed: int,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """States after a step, differentiable in all tensors, and their worth, which is not; see `Layer`.

    Args:
        state: (rows before, width).
        table: What relations mean: (any, columns), where a row of columns is one or more rows of the state.
        query: (batch, width).
        weights: Of the layer.
        edges: Along which messages go.
        at: The row of each query's head.
        old: For each row before, its row now.
        dropout: Share of what is added that is dropped.
        seed: Of what is dropped.
    """
    out, worth = _Step.apply(state, table, query, *weights.tensors(), edges, at, old, dropout, seed)
    return out, None if weights.gate is None else worth


def judged(x: Tensor, query: Tensor, rows: Rows, weight: Tensor) -> Tensor:
    """Scores of rows: `weight · relu(x + query[rows])`.

    Args:
        x: (rows, any).
        query: (batch, any).
        rows: The query of each.
        weight: (any).

    Returns:
        (rows).

    Example:
        >>> x, query = torch.tensor([[1.0, -3.0], [2.0, 2.0]]), torch.tensor([[1.0, 1.0]])
        >>> judged(x, query, np.array([0, 0]), torch.tensor([1.0, 10.0])).tolist()
        [2.0, 33.0]
    """
    if in_plain_torch():
        return torch.relu(x + query[torch.from_numpy(rows)]) @ weight
    scores: Tensor = _Judge.apply(x, query, rows, weight)
    return scores


def rows_of(state: Tensor, rows: Rows) -> Tensor:
    """Some rows, none of them twice: backwards torch's own indexing adds one by one, as if there might be.

    Args:
        state: (any, width).
        rows: Which.
    """
    found: Tensor = _Rows.apply(state, torch.from_numpy(rows))
    return found


def keep_mask(rows: int, width: int, dropout: float, seed: int) -> Tensor:
    """What is kept, scaled so that the sum is the same on average: (rows, width).

    Args:
        rows: How many.
        width: How many columns.
        dropout: Share that is dropped.
        seed: Of the choice.
    """
    mask = np.empty((rows, width), dtype=np.float32)
    _loops().mask(mask, dropout, seed)
    return torch.from_numpy(mask)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, state: Tensor, table: Tensor, query: Tensor,
        from_state: Tensor, from_sums: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, gate: Tensor,
        edges: Edges, at: Rows, old: Rows | None, dropout: float, seed: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        state, table, width = state.contiguous(), table.contiguous(), state.shape[1]
        sums = sums_of_products(edges.by_target, state.view(-1, table.shape[1]), table).view(-1, width)
        sums.index_put_((torch.from_numpy(at),), query, accumulate=True)
        x, y, before = sums @ from_sums.T, state @ from_state.T, np.arange(len(sums))
        if old is not None:
            before = np.full(len(sums), -1)
            before[old] = np.arange(len(old))
        out, moments, worth = torch.empty_like(x), x.new_empty(len(x), 2), x.new_empty(len(x) if len(gate) else 0)
        _loops().renew(
            *_numpy(x, y, state), before, *_numpy(bias, scale, shift, gate), len(gate) > 0,
            *_numpy(out, moments, worth), dropout, seed,
        )  # fmt: skip
        ctx.save_for_backward(state, table, from_state, from_sums, scale, shift, gate, sums, x, moments, worth)
        ctx.told = edges, at, before, old is None, dropout, seed
        ctx.mark_non_differentiable(worth)
        return out, worth

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        state, table, from_state, from_sums, scale, shift, gate, sums, x, moments, worth = ctx.saved_tensors
        edges, at, before, same, dropout, seed = ctx.told
        loops, width = _loops(), state.shape[1]
        to_x, to_state = torch.empty_like(x), torch.empty_like(state)
        to_y = to_x if same else torch.empty_like(state)
        to_gate, to_vectors = x.new_zeros(loops.BLOCKS, len(gate)), x.new_zeros(loops.BLOCKS, 3, width)
        loops.renew_back(
            *_numpy(x, state), before, *_numpy(scale, shift, gate), len(gate) > 0,
            *_numpy(moments, worth, grads[0].contiguous(), to_x, to_y, to_state, to_gate, to_vectors), dropout, seed,
        )  # fmt: skip
        to_scale, to_shift, to_bias = to_vectors.sum(dim=0)
        to_sums = to_x @ from_sums
        to_state.addmm_(to_y, from_state)
        columns = table.shape[1]
        _, to_table = sums_and_products(
            edges, to_sums.view(-1, columns), table, state.view(-1, columns), to_state.view(-1, columns)
        )
        to_query = to_sums[torch.from_numpy(at)]
        products = to_y.T @ state, to_x.T @ sums
        return to_state, to_table, to_query, *products, to_bias, to_scale, to_shift, to_gate.sum(dim=0), *(None,) * 5


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state: Tensor, rows: Tensor) -> Tensor:
        ctx.rows, ctx.count = rows, len(state)
        return state.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].new_zeros(ctx.count, grads[0].shape[1]).index_put_((ctx.rows,), grads[0]), None


class _Judge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, query: Tensor, rows: Rows, weight: Tensor) -> Tensor:
        x, query, weight = x.contiguous(), query.contiguous(), weight.contiguous()
        scores = x.new_empty(len(x))
        _loops().judge(*_numpy(x, query), rows, *_numpy(weight, scores))
        ctx.save_for_backward(x, query, weight)
        ctx.rows = rows
        return scores

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, query, weight = ctx.saved_tensors
        loops = _loops()
        to_x, to_query = torch.empty_like(x), query.new_zeros(loops.BLOCKS, *query.shape)
        to_weight = weight.new_zeros(loops.BLOCKS, len(weight))
        grad = grads[0].contiguous()
        loops.judge_back(*_numpy(x, query), ctx.rows, *_numpy(weight, grad, to_x, to_query, to_weight))
        return to_x, to_query.sum(dim=0), None, to_weight.sum(dim=0)


def _numpy(*tensors: Tensor) -> list[Any]:
    return [each.detach().numpy() for each in tensors]


def _loops() -> Any:
    from cortigraph.reasoning.reasoners.path import _fused_loops

    follow_torch()
    return _fused_loops
