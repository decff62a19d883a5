"""What follows a layer's matrix product, in one sweep: normalise, rectify, drop out, and add to the state.

    out = state + keep · relu(normalised(x) · scale + shift)

Torch takes seven passes over memory for it, forwards, and more backwards; on a CPU those are a third of a step.
Which channels are dropped follows from a seed and their place, so no mask is stored, and it is the same on every run.

`CORTIGRAPH_KERNEL=torch` takes plain torch instead, which gives the same numbers up to rounding.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortigraph.reasoning.reasoners.kernel import in_plain_torch

__all__ = ["keep_mask", "normalise_add"]

_EPSILON = 1e-5
_BLOCKS = 64  # fixed, so that sums over rows are added in the same order with any number of threads


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
    mask = np.empty((rows, width), dtype=np.float32)
    _kernels()[2](mask, dropout, seed)
    return torch.from_numpy(mask)


def _plain(x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, dropout: float, seed: int) -> Tensor:
    new = torch.relu(torch.nn.functional.layer_norm(x, x.shape[1:], scale, shift, _EPSILON))
    return state + (new * keep_mask(len(x), x.shape[1], dropout, seed).to(x.dtype) if dropout else new)


class _NormaliseAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, dropout: float, seed: int) -> Tensor:
        x, state = x.contiguous(), state.contiguous()
        out = torch.empty_like(x)
        moments = x.new_empty(len(x), 2)
        tensors = (x, state, scale, shift, out, moments)
        _kernels()[0](*(each.detach().numpy() for each in tensors), dropout, seed)
        ctx.save_for_backward(x, scale, shift, moments)
        ctx.dropout, ctx.seed = dropout, seed
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, moments = ctx.saved_tensors
        grad = grads[0].contiguous()
        to_x = torch.empty_like(x)
        sums = x.new_zeros(_BLOCKS, 2, x.shape[1])
        tensors = (x, scale, shift, moments, grad, to_x, sums)
        _kernels()[1](*(each.detach().numpy() for each in tensors), ctx.dropout, ctx.seed)
        to_scale, to_shift = sums.sum(dim=0)
        return to_x, grad, to_scale, to_shift, None, None


@cache
def _kernels() -> tuple[Any, Any, Any]:
    import numba

    jit = numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, parallel=True, cache=True, error_model="numpy")
    inline = numba.njit(inline="always", cache=True)

    @inline  # type: ignore[untyped-decorator]
    def kept(place: Any, seed: Any, limit: Any) -> Any:
        """Whether a place is kept: the bits of its number, stirred (the finaliser of MurmurHash3)."""
        bits = np.uint32(np.uint32(np.uint32(place) * np.uint32(0x9E3779B1)) + np.uint32(seed))
        bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        bits = np.uint32((bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        return np.uint32(bits ^ (bits >> np.uint32(16))) >= limit

    @jit  # type: ignore[untyped-decorator]
    def forward(x: Any, state: Any, scale: Any, shift: Any, out: Any, moments: Any, dropout: Any, seed: Any) -> None:
        rows, width = x.shape
        limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
        for row in numba.prange(rows):
            mean = x.dtype.type(0)
            for column in range(width):
                mean += x[row, column]
            mean /= x.dtype.type(width)
            spread = x.dtype.type(0)
            for column in range(width):
                spread += (x[row, column] - mean) ** 2
            inverse = x.dtype.type(1) / np.sqrt(spread / x.dtype.type(width) + x.dtype.type(_EPSILON))
            moments[row, 0], moments[row, 1] = mean, inverse
            for column in range(width):
                new = (x[row, column] - mean) * inverse * scale[column] + shift[column]
                new = max(new, x.dtype.type(0))
                if limit:
                    new = new * gain if kept(row * width + column, seed, limit) else x.dtype.type(0)
                out[row, column] = state[row, column] + new

    @jit  # type: ignore[untyped-decorator]
    def backward(
        x: Any, scale: Any, shift: Any, moments: Any, grad: Any, to_x: Any, sums: Any, dropout: Any, seed: Any
    ) -> None:
        rows, width = x.shape
        limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
        for block in numba.prange(_BLOCKS):
            for row in range(rows * block // _BLOCKS, rows * (block + 1) // _BLOCKS):
                mean, inverse = moments[row, 0], moments[row, 1]
                total, along = x.dtype.type(0), x.dtype.type(0)
                for column in range(width):
                    normal = (x[row, column] - mean) * inverse
                    on = normal * scale[column] + shift[column] > 0
                    down = grad[row, column] if on else x.dtype.type(0)
                    if limit:
                        down = down * gain if kept(row * width + column, seed, limit) else x.dtype.type(0)
                    sums[block, 0, column] += down * normal
                    sums[block, 1, column] += down
                    to_x[row, column] = down * scale[column]
                    total += down * scale[column]
                    along += down * scale[column] * normal
                total /= x.dtype.type(width)
                along /= x.dtype.type(width)
                for column in range(width):
                    normal = (x[row, column] - mean) * inverse
                    to_x[row, column] = inverse * (to_x[row, column] - total - normal * along)

    @jit  # type: ignore[untyped-decorator]
    def mask(out: Any, dropout: Any, seed: Any) -> None:
        rows, width = out.shape
        limit, gain = np.uint32(dropout * 4294967295.0), np.float32(1.0 / (1.0 - dropout))
        for row in numba.prange(rows):
            for column in range(width):
                out[row, column] = gain if kept(row * width + column, seed, limit) else np.float32(0)

    return forward, backward, mask
