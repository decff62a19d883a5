"""Products of small matrices inside compiled loops, where the rows still lie in the cache.

Rows of states are long lists of few channels: a product of them in one call reads and writes all of memory for a few
operations an element. Here a tile of `ROWS` × `LANES` sums stays in registers; what does not fill one goes one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic

from cortigraph.reasoning.reasoners._registers import Registers

__all__ = ["ROWS", "add_inner", "add_outer"]

ROWS = 8
LANES = 16

_inline = numba.njit(inline="always", cache=True)


def _tile(across: bool) -> Callable[..., Any]:
    """Code for one tile: `into[0:ROWS, column:column + LANES] += left @ right`.

    Args:
        across: `left` is (depth, rows), and not (rows, depth).
    """

    def typed(
        typing: Any,
        left: Any,
        row: Any,
        begin: Any,
        right: Any,
        first: Any,
        depth: Any,
        column: Any,
        into: Any,
        at: Any,
    ) -> Any:
        names = "left row begin right first depth column into at"

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            code = Registers(names, context, builder, signature, given, LANES)
            take = code.given
            rows = [code.row(each) for each in range(ROWS)]
            sums = [code.sum() for _ in rows]
            with cgutils.for_range(builder, take["depth"]) as loop:
                factors = code.many("right", builder.add(take["first"], loop.index), take["column"])
                inner = builder.add(take["begin"], loop.index)
                for each, total in zip(rows, sums, strict=True):
                    outer = builder.add(take["row"], each)
                    one = code.one("left", inner, outer) if across else code.one("left", outer, inner)
                    code.add(total, code.alike(one), factors)
            for each, total in zip(rows, sums, strict=True):
                goal = builder.add(take["at"], each)
                code.add(total, code.many("into", goal, take["column"]))
                code.write(builder.load(total), "into", goal, take["column"])
            return context.get_dummy_value()

        integer = types.intp
        given = left, integer, integer, right, integer, integer, integer, into, integer
        return types.void(*given), generate

    return typed


_tile_inner = intrinsic(_tile(across=False))
_tile_outer = intrinsic(_tile(across=True))


@_inline  # type: ignore[untyped-decorator]
def add_inner(left: Any, row: Any, count: Any, right: Any, into: Any, at: Any) -> None:
    """`into[at + i] += left[row + i] @ right` for `count` rows, up to `ROWS`.

    Args:
        left: (any, depth).
        row: The first of `left`.
        count: How many.
        right: (depth, width).
        into: (any, width).
        at: The first of `into`.
    """
    depth, width = right.shape
    tiled = width - width % LANES if count == ROWS else 0
    for column in range(0, tiled, LANES):
        _tile_inner(left, row, 0, right, 0, depth, column, into, at)
    if tiled < width:
        for each in range(count):
            for k in range(depth):
                value = left[row + each, k]
                for column in range(tiled, width):
                    into[at + each, column] += value * right[k, column]


@_inline  # type: ignore[untyped-decorator]
def add_outer(left: Any, begin: Any, right: Any, first: Any, count: Any, into: Any) -> None:
    """`into += left[begin:begin + count].T @ right[first:first + count]`.

    Args:
        left: (any, depth).
        begin: The first row of `left`.
        right: (any, width).
        first: The first row of `right`.
        count: How many.
        into: (depth, width).
    """
    depth, width = into.shape
    tiled = width - width % LANES
    high = depth - depth % ROWS if tiled else 0
    for at in range(0, high, ROWS):
        for column in range(0, tiled, LANES):
            _tile_outer(left, at, begin, right, first, count, column, into, at)
    if high < depth or tiled < width:
        for row in range(count):
            for at in range(depth):
                value = left[begin + row, at]
                for column in range(tiled if at < high else 0, width):
                    into[at, column] += value * right[first + row, column]
