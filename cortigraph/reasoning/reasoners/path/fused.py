"""A step of message passing, and the judgement after the last, each in as few sweeps over memory as it takes.

What follows a layer's matrix products (normalise, rectify, drop out, add to the state, weigh by its worth) is one
sweep; torch takes seven forwards, and more backwards: on a CPU those are a third of a step. Gradients of a state, which
come from three sides, are added where they arise. Which channels are dropped follows from a seed and their place, so no
mask is stored, and it is the same on every run.

`Layer.renewed` does the same in torch alone, with the same numbers up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import Edges, in_torch_alone, sums_and_products, sums_of_products
from cortigraph.reasoning.reasoners.links import taken
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.threads import compiled

__all__ = ["Judge", "Weights", "judged", "stepped"]


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


@dataclass(frozen=True, eq=False)
class Judge:
    """How a state becomes a score: `last · relu(weight @ state + asked) + shift`.

    Args:
        weight: (any, width).
        asked: What the query adds: (batch, any).
        last: (any).
        shift: (1).
    """

    weight: Tensor
    asked: Tensor
    last: Tensor
    shift: Tensor


def judged(state: Tensor, judge: Judge, rows: Rows | Tensor) -> Tensor:
    """Scores of states.

    Args:
        state: (rows, width).
        judge: What a score is.
        rows: The query of each.

    Returns:
        (rows).

    Example:
        >>> judge = Judge(torch.eye(2), torch.tensor([[1.0, 1.0]]), torch.tensor([1.0, 10.0]), torch.tensor([0.5]))
        >>> judged(torch.tensor([[1.0, -3.0], [2.0, 2.0]]), judge, np.array([0, 0])).tolist()
        [2.5, 33.5]
    """
    if in_torch_alone(state.device):
        asked = taken(judge.asked, torch.as_tensor(rows, device=state.device))
        return torch.relu(state @ judge.weight.T + asked) @ judge.last + judge.shift
    scores: Tensor = _Judge.apply(state, judge.weight, judge.asked, judge.last, rows)
    return scores + judge.shift


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
        before = np.arange(len(sums))
        if old is not None:
            before = np.full(len(sums), -1)
            before[old] = np.arange(len(old))
        x, out = torch.empty_like(sums), torch.empty_like(sums)
        moments, worth = x.new_empty(len(x), 2), x.new_empty(len(x) if len(gate) else 0)
        turned = from_sums.T.contiguous(), from_state.T.contiguous()
        _loops().renew(
            *_numpy(sums, state), before, *_numpy(*turned, bias, scale, shift, gate), len(gate) > 0,
            *_numpy(x, out, moments, worth), dropout, seed,
        )  # fmt: skip
        ctx.save_for_backward(state, table, from_state, from_sums, scale, shift, gate, sums, x, moments, worth)
        ctx.told = edges, at, before, dropout, seed
        ctx.mark_non_differentiable(worth)
        return out, worth

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        state, table, from_state, from_sums, scale, shift, gate, sums, x, moments, worth = ctx.saved_tensors
        edges, at, before, dropout, seed = ctx.told
        loops, width = _loops(), state.shape[1]
        to_sums, to_state = torch.empty_like(sums), torch.empty_like(state)
        shapes = (width, width), (width, width), (len(gate),), (3, width)
        by_block = [x.new_zeros(loops.BLOCKS, *shape) for shape in shapes]
        weights = from_sums.contiguous(), from_state.contiguous()
        loops.renew_back(
            *_numpy(sums, x, state), before, *_numpy(*weights, scale, shift, gate), len(gate) > 0,
            *_numpy(moments, worth, grads[0].contiguous(), to_sums, to_state, *by_block), dropout, seed,
        )  # fmt: skip
        to_from_sums, to_from_state, to_gate, (to_scale, to_shift, to_bias) = (each.sum(dim=0) for each in by_block)
        columns = table.shape[1]
        _, to_table = sums_and_products(
            edges, to_sums.view(-1, columns), table, state.view(-1, columns), to_state.view(-1, columns)
        )
        to_query = to_sums[torch.from_numpy(at)]
        learned = to_from_state, to_from_sums, to_bias, to_scale, to_shift, to_gate
        return to_state, to_table, to_query, *learned, *(None,) * 5


class _Judge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state: Tensor, weight: Tensor, asked: Tensor, last: Tensor, rows: Rows) -> Tensor:
        tensors = [each.contiguous() for each in (state, weight.T, asked, last)]
        scores = state.new_empty(len(state))
        _loops().judge(*_numpy(*tensors[:3]), rows, *_numpy(last, scores))
        ctx.save_for_backward(*tensors)
        ctx.rows = rows
        return scores

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        state, weight, asked, last = ctx.saved_tensors
        loops, turned = _loops(), weight.T.contiguous()
        to_state = torch.empty_like(state)
        by_block = [state.new_zeros(loops.BLOCKS, *each.shape) for each in (turned, asked, last)]
        loops.judge_back(
            *_numpy(state, weight, turned, asked), ctx.rows, *_numpy(last, grads[0].contiguous(), to_state, *by_block)
        )
        return to_state, *(each.sum(dim=0) for each in by_block), None


def _numpy(*tensors: Tensor) -> list[Any]:
    return [each.detach().numpy() for each in tensors]


def _loops() -> Any:
    return compiled("cortigraph.reasoning.reasoners.path._fused_loops")
