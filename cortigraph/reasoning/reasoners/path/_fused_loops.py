"""The loops of `fused`. A module of their own, imported when first needed: importing numba takes a while, and what is
compiled is kept on disk only if a loop refers to others by the names of a module.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["BLOCKS", "backward", "forward", "mask"]

EPSILON = 1e-5  # as torch has it
BLOCKS = 64  # fixed, so that sums over rows are added in the same order with any number of threads

_jit = numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, parallel=True, cache=True, error_model="numpy")
_inline = numba.njit(inline="always", cache=True)


@_inline  # type: ignore[untyped-decorator]
def kept(place: Any, seed: Any, limit: Any) -> Any:
    """Whether a place is kept: the bits of its number, stirred (the finaliser of MurmurHash3)."""
    bits = np.uint32(np.uint32(np.uint32(place) * np.uint32(0x9E3779B1)) + np.uint32(seed))
    bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    bits = np.uint32((bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(bits ^ (bits >> np.uint32(16))) >= limit


@_jit  # type: ignore[untyped-decorator]
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
        inverse = x.dtype.type(1) / np.sqrt(spread / x.dtype.type(width) + x.dtype.type(EPSILON))
        moments[row, 0], moments[row, 1] = mean, inverse
        for column in range(width):
            new = (x[row, column] - mean) * inverse * scale[column] + shift[column]
            new = max(new, x.dtype.type(0))
            if limit:
                new = new * gain if kept(row * width + column, seed, limit) else x.dtype.type(0)
            out[row, column] = state[row, column] + new


@_jit  # type: ignore[untyped-decorator]
def backward(
    x: Any, scale: Any, shift: Any, moments: Any, grad: Any, to_x: Any, sums: Any, dropout: Any, seed: Any
) -> None:
    rows, width = x.shape
    limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
    for block in numba.prange(BLOCKS):
        for row in range(rows * block // BLOCKS, rows * (block + 1) // BLOCKS):
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


@_jit  # type: ignore[untyped-decorator]
def mask(out: Any, dropout: Any, seed: Any) -> None:
    rows, width = out.shape
    limit, gain = np.uint32(dropout * 4294967295.0), np.float32(1.0 / (1.0 - dropout))
    for row in numba.prange(rows):
        for column in range(width):
            out[row, column] = gain if kept(row * width + column, seed, limit) else np.float32(0)
