"""The loops of a step of ComplEx that are not matrix products, compiled. Imports numba: import it where it is used.

Threads share columns or rows, never a sum: results don't depend on how many threads there are.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cortigraph.reasoning.reasoners.embedding._numbers import exponential, narrow, wide

__all__ = ["exponentials", "facts_to_tables", "queries_to_tables", "update"]

_COLUMNS = 32


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def exponentials(scores: Any, largest: Any, totals: Any) -> None:
    """Makes of each row `e ** (score - largest)`, in place, and sums it."""
    for row in numba.prange(scores.shape[0]):
        top = np.float32(-1e30)
        for column in range(scores.shape[1]):
            top = max(top, wide(scores[row, column]))
        total = np.float32(0)
        for column in range(scores.shape[1]):
            value = exponential(wide(scores[row, column]) - top)
            total += value
            scores[row, column] = narrow(value, scores[row, column])
        largest[row], totals[row] = top, total


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _cubes(row: Any, grad: Any, weight: Any, begin: int, end: int) -> None:
    """Adds the gradient of `weight · Σ |x|³`."""
    rank = row.shape[0] // 2
    for c in range(begin, end):
        factor = np.float32(3) * weight * np.sqrt(row[c] * row[c] + row[c + rank] * row[c + rank])
        grad[c] += factor * row[c]
        grad[c + rank] += factor * row[c + rank]


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _add(into: Any, weight: Any, row: Any, begin: int, end: int) -> None:
    rank = row.shape[0] // 2
    for c in range(begin, end):
        into[c] += weight * row[c]
    for c in range(begin + rank, end + rank):
        into[c] += weight * row[c]


@numba.njit(inline="always", fastmath=True)  # type: ignore[untyped-decorator]
def _add_product(into: Any, left: Any, right: Any, sign: Any, begin: int, end: int) -> None:
    """Adds the product of two complex rows; of the conjugate of the right one where `sign` is -1."""
    rank = left.shape[0] // 2
    for c in range(begin, end):
        d = c + rank
        into[c] += left[c] * right[c] - sign * left[d] * right[d]
        into[d] += left[d] * right[c] + sign * left[c] * right[d]


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def queries_to_tables(
    heads: Any, relations: Any, first: Any, tails: Any, asked: Any, to_asked: Any,
    entity: Any, relation: Any, to_entity: Any, to_relation: Any, share: Any, cubes: Any,
) -> None:  # fmt: skip
    """Carries the gradient of what was asked to the vectors it was made of, and adds that of true tails and of N3."""
    rank = entity.shape[1] // 2
    one = np.float32(1)
    for block in numba.prange((rank + _COLUMNS - 1) // _COLUMNS):
        begin, end = block * _COLUMNS, min(rank, (block + 1) * _COLUMNS)
        for i in range(len(heads)):
            h, r = heads[i], relations[i]
            for place in range(first[i], first[i + 1]):
                t = tails[place]
                _add(to_asked[i], -share, entity[t], begin, end)
                _add(to_entity[t], -share, asked[i], begin, end)
                _cubes(entity[t], to_entity[t], cubes, begin, end)
            _add_product(to_entity[h], to_asked[i], relation[r], -one, begin, end)
            _add_product(to_relation[r], to_asked[i], entity[h], -one, begin, end)
            facts = np.float32(first[i + 1] - first[i])
            _cubes(entity[h], to_entity[h], facts * cubes, begin, end)
            _cubes(relation[r], to_relation[r], facts * cubes, begin, end)


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def facts_to_tables(heads: Any, tails: Any, to_pair: Any, entity: Any, to_entity: Any) -> None:
    """Carries the gradient of `conjugate of head · tail` to heads and tails."""
    rank = entity.shape[1] // 2
    one = np.float32(1)
    for block in numba.prange((rank + _COLUMNS - 1) // _COLUMNS):
        begin, end = block * _COLUMNS, min(rank, (block + 1) * _COLUMNS)
        for i in range(len(heads)):
            h, t = heads[i], tails[i]
            _add_product(to_entity[t], to_pair[i], entity[h], one, begin, end)
            _add_product(to_entity[h], entity[t], to_pair[i], -one, begin, end)


@numba.njit(parallel=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
def update(table: Any, squares: Any, dense: Any, sparse: Any, used: Any, rate: Any, copy: Any) -> None:
    """A step of Adagrad for all rows. `sparse` is 0 again afterwards; `copy` becomes the table in its own precision."""
    tiny = np.float32(1e-10)
    for row in numba.prange(table.shape[0]):
        if used[row]:
            for c in range(table.shape[1]):
                grad = wide(dense[row, c]) + sparse[row, c]
                sparse[row, c] = 0
                squares[row, c] += grad * grad
                table[row, c] -= rate * grad / (np.sqrt(squares[row, c]) + tiny)
                copy[row, c] = narrow(table[row, c], copy[row, c])
            used[row] = False
        else:
            for c in range(table.shape[1]):
                grad = wide(dense[row, c])
                squares[row, c] += grad * grad
                table[row, c] -= rate * grad / (np.sqrt(squares[row, c]) + tiny)
                copy[row, c] = narrow(table[row, c], copy[row, c])
