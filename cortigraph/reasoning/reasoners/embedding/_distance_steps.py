"""The loops of RotatE and TransE, compiled. Imports numba: import it where it is used.

`pairs` says whether numbers are complex (their absolute values are summed) or real (theirs are). Each thread has rows
of its own, and sums over what concerns them in a fixed order: results don't depend on how many threads there are.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["adagrad", "distances", "grouped", "push", "weigh"]

_TINY = np.float32(1e-12)
_BLOCK = 16


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _distance(left: Any, right: Any, pairs: bool) -> Any:
    total = np.float32(0)
    if pairs:
        rank = left.shape[0] // 2
        for c in range(rank):
            real, imaginary = left[c] - right[c], left[c + rank] - right[c + rank]
            total += np.sqrt(real * real + imaginary * imaginary)
    else:
        for c in range(left.shape[0]):
            total += abs(left[c] - right[c])
    return total


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _add_slope(into: Any, weight: Any, left: Any, right: Any, pairs: bool) -> None:
    """Adds `weight` times the gradient, to `left`, of the distance."""
    if pairs:
        rank = left.shape[0] // 2
        for c in range(rank):
            real, imaginary = left[c] - right[c], left[c + rank] - right[c + rank]
            factor = weight / np.sqrt(real * real + imaginary * imaginary + _TINY)
            into[c] += factor * real
            into[c + rank] += factor * imaginary
    else:
        for c in range(left.shape[0]):
            into[c] += weight * np.sign(left[c] - right[c])


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def distances(asked: Any, table: Any, pairs: bool, out: Any) -> None:
    """From each query to each row of the table: a block of rows stays near while all queries pass."""
    blocks = (len(table) + _BLOCK - 1) // _BLOCK
    for block in numba.prange(blocks):
        for query in range(len(asked)):
            for row in range(block * _BLOCK, min(len(table), (block + 1) * _BLOCK)):
                out[query, row] = _distance(asked[query], table[row], pairs)


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _sigmoid(x: Any) -> Any:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _softplus(x: Any) -> Any:
    return max(x, np.float32(0)) + np.log(np.float32(1) + np.exp(-abs(x)))


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def weigh(
    asked: Any,
    table: Any,
    drawn: Any,
    pairs: bool,
    margin: Any,
    temperature: Any,
    weights: Any,
    to_asked: Any,
    loss: Any,
) -> None:
    """The loss of each query, its slope at each distance, and its gradient to what is asked.

    The first of what is drawn is the answer, the others are negatives, the nearest of which count most.
    """
    count = drawn.shape[1]
    for query in numba.prange(len(asked)):
        row = weights[query]
        for k in range(count):
            row[k] = _distance(asked[query], table[drawn[query, k]], pairs)
        nearest = row[1]
        for k in range(1, count):
            nearest = min(nearest, row[k])
        total = np.float32(0)
        for k in range(1, count):
            total += np.exp(temperature * (nearest - row[k]))
        loss[query] = np.float32(0.5) * _softplus(row[0] - margin)
        row[0] = np.float32(0.5) * _sigmoid(row[0] - margin)
        for k in range(1, count):
            share = np.float32(0.5) * np.exp(temperature * (nearest - row[k])) / total
            loss[query] += share * _softplus(margin - row[k])
            row[k] = -share * _sigmoid(margin - row[k])
        to_asked[query, :] = 0
        for k in range(count):
            _add_slope(to_asked[query], row[k], asked[query], table[drawn[query, k]], pairs)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def grouped(values: Any, limit: int) -> Any:
    """Places of values by value: a stable counting sort. Returns which values there are, where each begins, places."""
    first = np.zeros(limit + 1, dtype=np.int64)
    for value in values:
        first[value + 1] += 1
    found = np.flatnonzero(first[1:])
    for value in range(limit):
        first[value + 1] += first[value]
    starts = np.append(first[found], len(values))
    places = np.empty(len(values), dtype=np.int64)
    for place in range(len(values)):
        value = values[place]
        places[first[value]] = place
        first[value] += 1
    return found, starts, places


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def push(
    found: Any, starts: Any, places: Any, weights: Any, asked: Any, to_heads: Any, table: Any, squares: Any,
    pairs: bool, rate: Any, share: Any,
) -> None:  # fmt: skip
    """Gradients of the entities that are drawn or asked from, and a step of Adagrad for these rows alone.

    Places below `weights.size` are draws; those from there on are heads of queries.
    """
    count = weights.shape[1]
    for group in numba.prange(len(found)):
        row = table[found[group]]
        grad = np.zeros(row.shape[0], dtype=np.float32)
        for entry in range(starts[group], starts[group + 1]):
            place = places[entry]
            if place < weights.size:
                query = place // count
                _add_slope(grad, weights[query, place % count], row, asked[query], pairs)
            else:
                for c in range(row.shape[0]):
                    grad[c] += to_heads[place - weights.size, c]
        _descend(row, squares[found[group]], grad, rate, share)


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def adagrad(found: Any, starts: Any, places: Any, grads: Any, table: Any, squares: Any, rate: Any, share: Any) -> None:
    """Sums gradients by row of a table, and a step of Adagrad for these rows alone."""
    for group in numba.prange(len(found)):
        grad = np.zeros(table.shape[1], dtype=np.float32)
        for entry in range(starts[group], starts[group + 1]):
            for c in range(table.shape[1]):
                grad[c] += grads[places[entry], c]
        _descend(table[found[group]], squares[found[group]], grad, rate, share)


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _descend(row: Any, squares: Any, grad: Any, rate: Any, share: Any) -> None:
    for c in range(row.shape[0]):
        slope = share * grad[c]
        squares[c] += slope * slope
        row[c] -= rate * slope / (np.sqrt(squares[c]) + np.float32(1e-10))
