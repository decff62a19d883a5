"""The loops of `fused`. A module of their own, imported when first needed: importing numba takes a while, and what is
compiled is kept on disk only if a loop refers to others by the names of a module.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cortigraph.reasoning.reasoners.path._products import ROWS, add_inner, add_outer

__all__ = ["BLOCKS", "judge", "judge_back", "kept", "moments_of", "renew", "renew_back"]

EPSILON = 1e-5  # as torch has it
BLOCKS = 64  # fixed, so that sums over rows are added in the same order with any number of threads
CHUNK = 8 * ROWS  # rows that are done together: what belongs to them stays in the first cache

_jit = numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, parallel=True, cache=True, error_model="numpy")
_inline = numba.njit(inline="always", cache=True)


@_inline  # type: ignore[untyped-decorator]
def kept(place: Any, seed: Any, limit: Any) -> Any:
    """Whether a place is kept: the bits of its number, stirred (the finaliser of MurmurHash3)."""
    bits = np.uint32(np.uint32(np.uint32(place) * np.uint32(0x9E3779B1)) + np.uint32(seed))
    bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    bits = np.uint32((bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(bits ^ (bits >> np.uint32(16))) >= limit


@_inline  # type: ignore[untyped-decorator]
def moments_of(x: Any, row: Any) -> Any:
    """The mean of a row, and one by its standard deviation."""
    width = x.shape[1]
    mean, spread = x.dtype.type(0), x.dtype.type(0)
    for column in range(width):
        mean += x[row, column]
    mean /= x.dtype.type(width)
    for column in range(width):
        spread += (x[row, column] - mean) ** 2
    return mean, x.dtype.type(1) / np.sqrt(spread / x.dtype.type(width) + x.dtype.type(EPSILON))


@_inline  # type: ignore[untyped-decorator]
def start(rows: Any, block: Any) -> Any:
    """Where a block begins: so that all but the last are made of whole tiles."""
    return rows if block == BLOCKS else rows // ROWS * block // BLOCKS * ROWS


@_inline  # type: ignore[untyped-decorator]
def run(before: Any, row: Any, end: Any) -> Any:
    """How many rows from this one on, up to `ROWS`, are alike: new ones, or old ones that lay side by side."""
    count = 1
    while count < ROWS and row + count < end:
        if before[row] >= 0 and before[row + count] != before[row] + count:
            break
        if before[row] < 0 <= before[row + count]:
            break
        count += 1
    return count


@_jit  # type: ignore[untyped-decorator]
def renew(
    sums: Any, state: Any, before: Any, from_sums: Any, from_state: Any, bias: Any, scale: Any, shift: Any, gate: Any,
    gated: bool, x: Any, out: Any, moments: Any, worth: Any, dropout: Any, seed: Any,
) -> None:  # fmt: skip
    """States, from `x = sums @ from_sums + state before @ from_state + bias`; both weights are (in, out)."""
    rows, width = x.shape
    limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
    for block in numba.prange(BLOCKS):
        end = start(rows, block + 1)
        for tile in range(start(rows, block), end, ROWS):
            count = min(ROWS, end - tile)
            for row in range(tile, tile + count):
                x[row, :] = bias
            add_inner(sums, tile, count, from_sums, x, tile)
            row = tile
            while row < tile + count:
                alike = run(before, row, tile + count)
                if before[row] >= 0:
                    add_inner(state, before[row], alike, from_state, x, row)
                row += alike
            for row in range(tile, tile + count):
                place = before[row]
                mean, inverse = moments_of(x, row)
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
    sums: Any, x: Any, state: Any, before: Any, from_sums: Any, from_state: Any, scale: Any, shift: Any, gate: Any,
    gated: bool, moments: Any, worth: Any, grad: Any, to_sums: Any, to_state: Any, to_from_sums: Any,
    to_from_state: Any, to_gate: Any, to_vectors: Any, dropout: Any, seed: Any,
) -> None:  # fmt: skip
    """Weights are (out, in) here, their gradients by block; `to_vectors` are of scale, shift and bias."""
    rows, width = x.shape
    limit, gain = np.uint32(dropout * 4294967295.0), x.dtype.type(1.0 / (1.0 - dropout))
    for block in numba.prange(BLOCKS):
        down, whole, to_x = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty((CHUNK, width), x.dtype)
        last = start(rows, block + 1)
        for chunk in range(start(rows, block), last, CHUNK):
            end = min(chunk + CHUNK, last)
            for row in range(chunk, end):
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
                    to_vectors[block, 0, column] += value * normal
                    to_vectors[block, 1, column] += value
                    value *= scale[column]
                    to_x[row - chunk, column] = value
                    total += value
                    along += value * normal
                total /= x.dtype.type(width)
                along /= x.dtype.type(width)
                for column in range(width):
                    normal = (x[row, column] - mean) * inverse
                    value = inverse * (to_x[row - chunk, column] - total - normal * along)
                    to_x[row - chunk, column] = value
                    to_vectors[block, 2, column] += value
                if place >= 0:
                    to_state[place, :] = down
                to_sums[row, :] = 0
            add_outer(to_x, 0, sums, chunk, end - chunk, to_from_sums[block])
            for row in range(chunk, end, ROWS):
                add_inner(to_x, row - chunk, min(ROWS, end - row), from_sums, to_sums, row)
            row = chunk
            while row < end:
                alike = run(before, row, end)
                if before[row] >= 0:
                    add_inner(to_x, row - chunk, alike, from_state, to_state, before[row])
                    add_outer(to_x, row - chunk, state, before[row], alike, to_from_state[block])
                row += alike


@_jit  # type: ignore[untyped-decorator]
def judge(state: Any, weight: Any, asked: Any, rows: Any, last: Any, scores: Any) -> None:
    """`scores[row] = last · relu(state[row] @ weight + asked[rows[row]])`."""
    count, width = len(state), len(last)
    for block in numba.prange(BLOCKS):
        x, end = np.empty((ROWS, width), state.dtype), start(count, block + 1)
        for tile in range(start(count, block), end, ROWS):
            many = min(ROWS, end - tile)
            for row in range(many):
                x[row, :] = asked[rows[tile + row]]
            add_inner(state, tile, many, weight, x, 0)
            for row in range(many):
                total = x.dtype.type(0)
                for column in range(width):
                    total += max(x[row, column], x.dtype.type(0)) * last[column]
                scores[tile + row] = total


@_jit  # type: ignore[untyped-decorator]
def judge_back(
    state: Any, weight: Any, turned: Any, asked: Any, rows: Any, last: Any, grad: Any,
    to_state: Any, to_weight: Any, to_asked: Any, to_last: Any,
) -> None:  # fmt: skip
    """`weight` is (in, out), `turned` (out, in); gradients but that of the state are by block."""
    count, width = len(state), len(last)
    for block in numba.prange(BLOCKS):
        x, stop = np.empty((CHUNK, width), state.dtype), start(count, block + 1)
        for chunk in range(start(count, block), stop, CHUNK):
            end = min(chunk + CHUNK, stop)
            for row in range(chunk, end):
                x[row - chunk, :] = asked[rows[row]]
                to_state[row, :] = 0
            for row in range(chunk, end, ROWS):
                add_inner(state, row, min(ROWS, end - row), weight, x, row - chunk)
            for row in range(chunk, end):
                which, slope = rows[row], grad[row]
                for column in range(width):
                    value = max(x[row - chunk, column], x.dtype.type(0))
                    down = slope * last[column] if value > 0 else x.dtype.type(0)
                    x[row - chunk, column] = down
                    to_last[block, column] += slope * value
                    to_asked[block, which, column] += down
            add_outer(x, 0, state, chunk, end - chunk, to_weight[block])
            for row in range(chunk, end, ROWS):
                add_inner(x, row - chunk, min(ROWS, end - row), turned, to_state, row)
