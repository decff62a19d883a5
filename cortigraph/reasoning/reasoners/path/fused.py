"""What follows a layer's matrix product, in one sweep: normalise, rectify, drop out, and add to the state.

    out = state + keep · relu(normalised(x) · scale + shift)

Torch takes seven passes over memory for it, forwards, and more backwards; on a CPU those are a third of a step.
Which channels are dropped follows from a seed and their place, so no mask is stored, and it is the same on every run.

`CORTIGRAPH_KERNEL=torch` takes plain torch instead, which gives the same numbers up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.kernel import in_plain_torch

__all__ = ["keep_mask", "normalise_add"]


def normalise_add(x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, dropout: float, seed: int) -> Tensor:
    """The new state.

    Args:
        x: (rows, width).
        state: (rows, width).
        scale: (width).
        shift: (width).
        dropout: Share of what is added that is dropped; 0 drops nothing.
        seed: Of what is dropped.

    Returns:
        (rows, width); differentiable in the first four.

    Example:
        >>> x = torch.tensor([[-1.0, 1.0]])
        >>> normalise_add(x, torch.ones(1, 2), torch.ones(2), torch.zeros(2), 0.0, 0).round().tolist()
        [[1.0, 2.0]]
    """
    if in_plain_torch():
        return _plain(x, state, scale, shift, dropout, seed)
    out: Tensor = _NormaliseAdd.apply(x, state, scale, shift, dropout, seed)
    return out


def keep_mask(rows: int, width: int, dropout: float, seed: int) -> Tensor:
    """What is kept, scaled so that the sum is the same on average: (rows, width).

    Args:
        rows: How many.
        width: How many columns.
        dropout: Share that is dropped.
        seed: Of the choice.
    """
    from cortigraph.reasoning.reasoners.path import _fused_loops

    mask = np.empty((rows, width), dtype=np.float32)
    _fused_loops.mask(mask, dropout, seed)
    return torch.from_numpy(mask)


def _plain(x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, dropout: float, seed: int) -> Tensor:
    new = torch.relu(torch.nn.functional.layer_norm(x, x.shape[1:], scale, shift))
    return state + (new * keep_mask(len(x), x.shape[1], dropout, seed).to(x.dtype) if dropout else new)


class _NormaliseAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, dropout: float, seed: int) -> Tensor:
        from cortigraph.reasoning.reasoners.path import _fused_loops

        x, state = x.contiguous(), state.contiguous()
        out = torch.empty_like(x)
        moments = x.new_empty(len(x), 2)
        tensors = (x, state, scale, shift, out, moments)
        _fused_loops.forward(*(each.detach().numpy() for each in tensors), dropout, seed)
        ctx.save_for_backward(x, scale, shift, moments)
        ctx.dropout, ctx.seed = dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        from cortigraph.reasoning.reasoners.path import _fused_loops

        x, scale, shift, moments = ctx.saved_tensors
        grad = grads[0].contiguous()
        to_x = torch.empty_like(x)
        sums = x.new_zeros(_fused_loops.BLOCKS, 2, x.shape[1])
        tensors = (x, scale, shift, moments, grad, to_x, sums)
        _fused_loops.backward(*(each.detach().numpy() for each in tensors), ctx.dropout, ctx.seed)
        to_scale, to_shift = sums.sum(dim=0)
        return to_x, grad, to_scale, to_shift, None, None
