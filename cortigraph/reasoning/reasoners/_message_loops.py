"""The loops of `kernel`. A module of their own, imported when first needed: importing numba takes a while.

Entries of a segment that share their right row are a group: their left rows are added first, and multiplied once. Left
rows lie anywhere, so the processor is told of each some entries before it is needed; else it mostly waits for memory.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["backward", "forward"]

LINE = 64  # bytes of a line of the cache

_jit = numba.njit(fastmath=True, parallel=True, cache=True, error_model="numpy")
_inline = numba.njit(inline="always", cache=True)


@intrinsic  # type: ignore[untyped-decorator]
def _fetch(typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Asks for the line of the cache in which an element lies."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, given[0])
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, given[1:])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        read, near, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(place, byte), read, near, data])
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp), generate


@_inline  # type: ignore[untyped-decorator]
def soon(table: Any, rows: Any, entry: int, ahead: int, begin: int, width: int) -> None:
    """Asks for the row that is needed `ahead` entries later; for none if that is 0."""
    if ahead:
        row = rows[min(entry + ahead, len(rows) - 1)]
        for column in range(begin, begin + width, LINE // table.itemsize):
            _fetch(table, row, column)


@_jit  # type: ignore[untyped-decorator]
def forward(
    first: Any, lefts: Any, rights: Any, left: Any, right: Any, out: Any, blocks: int, tile: int, ahead: int
) -> None:
    """`out[s] = Σ over groups g of segment s of right[g] · Σ left`."""
    segments, columns = out.shape
    tiles = (columns + tile - 1) // tile
    for job in numba.prange(tiles * blocks):
        begin = (job // blocks) * tile
        width = min(tile, columns - begin)
        block = job % blocks
        # Blocks have about as many entries each: hubs would make blocks of equal rows unequal.
        low = np.searchsorted(first, first[segments] * block // blocks) if block else 0
        high = np.searchsorted(first, first[segments] * (block + 1) // blocks) if block + 1 < blocks else segments
        # Sums are kept apart from `out`: the compiler then knows that nothing it reads changes.
        total, group = np.empty(width, out.dtype), np.empty(width, out.dtype)
        for segment in range(low, high):
            total[:] = 0
            entry, end = first[segment], first[segment + 1]
            while entry < end:
                kind = rights[entry]
                one, other = left[lefts[entry], begin : begin + width], right[kind, begin : begin + width]
                soon(left, lefts, entry, ahead, begin, width)
                entry += 1
                if entry == end or rights[entry] != kind:  # most groups of sparse graphs have one entry
                    for column in range(width):
                        total[column] += one[column] * other[column]
                    continue
                two = left[lefts[entry], begin : begin + width]
                soon(left, lefts, entry, ahead, begin, width)
                for column in range(width):
                    group[column] = one[column] + two[column]
                entry += 1
                while entry < end and rights[entry] == kind:
                    more = left[lefts[entry], begin : begin + width]
                    soon(left, lefts, entry, ahead, begin, width)
                    for column in range(width):
                        group[column] += more[column]
                    entry += 1
                for column in range(width):
                    total[column] += group[column] * other[column]
            out[segment, begin : begin + width] = total


@_jit  # type: ignore[untyped-decorator]
def backward(
    first: Any, lefts: Any, rights: Any, parts: Any, left: Any, right: Any, own: Any, out: Any, to_right: Any,
    adds: bool, tile: int, ahead: int,
) -> None:  # fmt: skip
    """The same, added to what `out` holds if `adds`; and in the same sweep `own[s] · Σ left` is added to `to_right[g]`.

    No right row is in two parts of the segments.
    """
    columns, count = out.shape[1], len(parts) - 1
    tiles = (columns + tile - 1) // tile
    for job in numba.prange(tiles * count):
        begin = (job // count) * tile
        width = min(tile, columns - begin)
        total, group = np.empty(width, out.dtype), np.empty(width, out.dtype)
        for segment in range(parts[job % count], parts[job % count + 1]):
            if adds:
                total[:] = out[segment, begin : begin + width]
            else:
                total[:] = 0
            state = own[segment, begin : begin + width]
            entry, end = first[segment], first[segment + 1]
            while entry < end:
                kind = rights[entry]
                other, down = right[kind, begin : begin + width], to_right[kind, begin : begin + width]
                one = left[lefts[entry], begin : begin + width]
                soon(left, lefts, entry, ahead, begin, width)
                entry += 1
                if entry == end or rights[entry] != kind:
                    for column in range(width):
                        value = one[column]
                        total[column] += value * other[column]
                        down[column] += value * state[column]
                    continue
                two = left[lefts[entry], begin : begin + width]
                soon(left, lefts, entry, ahead, begin, width)
                for column in range(width):
                    group[column] = one[column] + two[column]
                entry += 1
                while entry < end and rights[entry] == kind:
                    more = left[lefts[entry], begin : begin + width]
                    soon(left, lefts, entry, ahead, begin, width)
                    for column in range(width):
                        group[column] += more[column]
                    entry += 1
                for column in range(width):
                    value = group[column]
                    total[column] += value * other[column]
                    down[column] += value * state[column]
            out[segment, begin : begin + width] = total
