"""The loops of `fused`. A module of their own, imported when first needed: importing numba takes a while, and what is
compiled is kept on disk only if a loop refers to others by the names of a module.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["BLOCKS", "judge", "judge_back", "mask", "renew", "renew_back"]

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
def renew(
    x: Any, y: Any, state: Any, before: Any, bias: Any, scale: Any, shift: Any, gate: Any, gated: bool,
    out: Any, moments: Any, worth: Any, dropout: Any, seed: Any,
) -> None:  # fmt: skip
    """`x` comes as what the sums make, and leaves with what the states before make (`y`) and the bias added."""
    rows, width = x.shape
    limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
    for row in numba.prange(rows):
        place = before[row]
        if place >= 0:
            for column in range(width):
                x[row, column] += y[place, column]
        mean = x.dtype.type(0)
        for column in range(width):
            x[row, column] += bias[column]
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
            out[row, column] = new
        if place >= 0:
            for column in range(width):
                out[row, column] += state[place, column]
        if gated:
            total = gate[width]
            for column in range(width):
                total += out[row, column] * gate[column]
            worth[row] = total
            share = x.dtype.type(1) / (x.dtype.type(1) + np.exp(-total))
            for column in range(width):
                out[row, column] *= share


@_jit  # type: ignore[untyped-decorator]
def renew_back(
    x: Any, state: Any, before: Any, scale: Any, shift: Any, gate: Any, gated: bool, moments: Any, worth: Any,
    grad: Any, to_x: Any, to_y: Any, to_state: Any, to_gate: Any, sums: Any, dropout: Any, seed: Any,
) -> None:  # fmt: skip
    """`sums` are over rows, by block: of scale, shift and bias."""
    rows, width = x.shape
    limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
    for block in numba.prange(BLOCKS):
        down, whole = np.empty(width, x.dtype), np.empty(width, x.dtype)
        for row in range(rows * block // BLOCKS, rows * (block + 1) // BLOCKS):
            mean, inverse, place = moments[row, 0], moments[row, 1], before[row]
            for column in range(width):
                down[column] = grad[row, column]
            if gated:
                for column in range(width):
                    new = max((x[row, column] - mean) * inverse * scale[column] + shift[column], x.dtype.type(0))
                    if limit:
                        new = new * gain if kept(row * width + column, seed, limit) else x.dtype.type(0)
                    whole[column] = new
                if place >= 0:
                    for column in range(width):
                        whole[column] += state[place, column]
                share = x.dtype.type(1) / (x.dtype.type(1) + np.exp(-worth[row]))
                slope = x.dtype.type(0)
                for column in range(width):
                    slope += down[column] * whole[column]
                slope *= share * (x.dtype.type(1) - share)
                to_gate[block, width] += slope
                for column in range(width):
                    to_gate[block, column] += slope * whole[column]
                    down[column] = down[column] * share + slope * gate[column]
            total, along = x.dtype.type(0), x.dtype.type(0)
            for column in range(width):
                normal = (x[row, column] - mean) * inverse
                value = down[column] if normal * scale[column] + shift[column] > 0 else x.dtype.type(0)
                if limit:
                    value = value * gain if kept(row * width + column, seed, limit) else x.dtype.type(0)
                sums[block, 0, column] += value * normal
                sums[block, 1, column] += value
                value *= scale[column]
                to_x[row, column] = value
                total += value
                along += value * normal
            total /= x.dtype.type(width)
            along /= x.dtype.type(width)
            for column in range(width):
                normal = (x[row, column] - mean) * inverse
                value = inverse * (to_x[row, column] - total - normal * along)
                to_x[row, column] = value
                sums[block, 2, column] += value
            if place >= 0:
                for column in range(width):
                    to_y[place, column] = to_x[row, column]
                    to_state[place, column] = down[column]


@_jit  # type: ignore[untyped-decorator]
def judge(x: Any, query: Any, rows: Any, weight: Any, scores: Any) -> None:
    """`scores[row] = weight · relu(x[row] + query[rows[row]])`."""
    for row in numba.prange(len(x)):
        asked, total = rows[row], x.dtype.type(0)
        for column in range(x.shape[1]):
            total += max(x[row, column] + query[asked, column], x.dtype.type(0)) * weight[column]
        scores[row] = total


@_jit  # type: ignore[untyped-decorator]
def judge_back(x: Any, query: Any, rows: Any, weight: Any, grad: Any, to_x: Any, to_query: Any, to_weight: Any) -> None:
    """`to_query` and `to_weight` are sums by block."""
    count, width = x.shape
    for block in numba.prange(BLOCKS):
        for row in range(count * block // BLOCKS, count * (block + 1) // BLOCKS):
            asked, slope = rows[row], grad[row]
            for column in range(width):
                value = max(x[row, column] + query[asked, column], x.dtype.type(0))
                down = slope * weight[column] if value > 0 else x.dtype.type(0)
                to_x[row, column] = down
                to_weight[block, column] += slope * value
                to_query[block, asked, column] += down


@_jit  # type: ignore[untyped-decorator]
def mask(out: Any, dropout: Any, seed: Any) -> None:
    rows, width = out.shape
    limit, gain = np.uint32(dropout * 4294967295.0), np.float32(1.0 / (1.0 - dropout))
    for row in numba.prange(rows):
        for column in range(width):
            out[row, column] = gain if kept(row * width + column, seed, limit) else np.float32(0)
