"""Products of small matrices inside compiled loops, where the rows still lie in the cache.

Rows of states are long lists of few channels: a product of them in one call reads and writes all of memory for a few
operations an element. Here a tile of `ROWS` × `LANES` sums stays in registers; what does not fill one goes one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["ROWS", "add_inner", "add_outer"]

ROWS = 8
LANES = 16

_inline = numba.njit(inline="always", cache=True)
_FAST = ("contract", "reassoc", "nsz")


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
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            arrays = {n: context.make_array(signature.args[n])(context, builder, given[n]) for n in (0, 3, 7)}
            _, row, begin, _, first, depth, column, _, at = given
            number, whole = context.get_value_type(signature.args[0].dtype), ir.IntType(32)
            lanes, every = ir.VectorType(number, LANES), ir.Constant(ir.VectorType(whole, LANES), [0] * LANES)
            align, nothing = number.get_abi_size(context.target_data), ir.Constant(lanes, ir.Undefined)

            def place(array: int, *index: Any) -> Any:
                return cgutils.get_item_pointer(context, builder, signature.args[array], arrays[array], list(index))

            def many(array: int, *index: Any) -> Any:
                return builder.bitcast(place(array, *index), lanes.as_pointer())

            rows = [ir.Constant(row.type, each) for each in range(ROWS)]
            sums = [cgutils.alloca_once_value(builder, ir.Constant(lanes, None)) for _ in rows]
            with cgutils.for_range(builder, depth) as loop:
                factors = builder.load(many(3, builder.add(first, loop.index), column), align=align)
                inner = builder.add(begin, loop.index)
                for each, total in zip(rows, sums, strict=True):
                    outer = builder.add(row, each)
                    one = builder.load(place(0, inner, outer) if across else place(0, outer, inner))
                    alike = builder.insert_element(nothing, one, ir.Constant(whole, 0))
                    more = builder.fmul(builder.shuffle_vector(alike, nothing, every), factors, flags=_FAST)
                    builder.store(builder.fadd(builder.load(total), more, flags=_FAST), total)
            for each, total in zip(rows, sums, strict=True):
                goal = many(7, builder.add(at, each), column)
                so_far = builder.load(goal, align=align)
                builder.store(builder.fadd(so_far, builder.load(total)), goal, align=align)
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
