"""The loops of `kernel`. A module of their own, imported when first needed: importing numba takes a while.

A segment is swept over for as many columns at a time as registers hold sums of, and each entry costs one reading of its
left row. Entries that share their right row are a group: their left rows are added first, and multiplied once. Left
rows lie anywhere, so the processor is told of each some entries before it is needed; else it mostly waits for memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from cortigraph.reasoning.reasoners._registers import LINE, Registers

__all__ = ["backward", "forward"]

MANY = 8  # registers; three times as many are used: for the sums of a segment and of a group, and for its own row

_jit = numba.njit(parallel=True, cache=True, error_model="numpy")


def _sweep(registers: int, lanes: int | None, back: bool) -> Callable[..., Any]:
    """Code for some columns of a segment.

    Args:
        registers: How many of them the columns fill.
        lanes: How many numbers a register takes; None: as many as fit.
        back: Whether the gradient of the right rows is wanted, too.
    """

    def typed(
        typing: Any, lefts: Any, rights: Any, entry: Any, end: Any, left: Any, right: Any, own: Any, segment: Any,
        column: Any, out: Any, to_right: Any, adds: Any, ahead: Any, past: Any,
    ) -> Any:  # fmt: skip
        names = "lefts rights entry end left right own segment column out to_right adds ahead past"

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            code = Registers(names, context, builder, signature, given, lanes)
            take = code.given
            one, last = code.row(1), builder.sub(code.length("lefts"), code.row(1))
            columns = [builder.add(take["column"], code.row(code.lanes * each)) for each in range(registers)]
            totals, groups = ([code.sum() for _ in columns] for _ in range(2))
            with builder.if_then(take["adds"]):
                for at, total in zip(columns, totals, strict=True):
                    code.add(total, code.many("out", take["segment"], at))
            states = [code.many("own", take["segment"], at) for at in columns] if back else []
            with cgutils.for_range_slice(builder, take["entry"], take["end"], one) as (entry, _):
                row, kind = code.one("lefts", entry), code.one("rights", entry)
                with builder.if_then(builder.icmp_signed(">", take["ahead"], code.row(0))):
                    later = builder.add(entry, take["ahead"])
                    soon = code.one("lefts", builder.select(builder.icmp_signed("<", later, last), later, last))
                    for at in columns:
                        code.fetch("left", soon, at)
                for at, group in zip(columns, groups, strict=True):
                    code.add(group, code.many("left", row, at))
                following = builder.add(entry, one)
                ends = builder.icmp_signed("==", following, take["end"])
                other = code.one("rights", builder.select(ends, entry, following))
                with builder.if_then(builder.or_(ends, builder.icmp_signed("!=", kind, other))):
                    for each, at in enumerate(columns):
                        group = builder.load(groups[each])
                        code.add(totals[each], group, code.many("right", kind, at))
                        if back:
                            code.write(
                                code.plus(code.many("to_right", kind, at), group, states[each]), "to_right", kind, at
                            )
                        code.clear(groups[each])
            with builder.if_else(take["past"]) as (far, near):
                for branch, past in ((far, True), (near, False)):
                    with branch:
                        for at, total in zip(columns, totals, strict=True):
                            code.write(builder.load(total), "out", take["segment"], at, past=past)
            return context.get_dummy_value()

        whole = types.intp
        places = left, right, own, whole, whole, out, to_right
        given = lefts, rights, whole, whole, *places, types.boolean, whole, types.boolean
        return types.void(*given), generate

    return typed


def _swept(back: bool) -> Any:
    """A sweep over a segment for any columns: as many at a time as fit the registers, then one's worth, then singly."""
    many, some, one = (intrinsic(_sweep(count, lanes, back)) for count, lanes in ((MANY, None), (1, None), (1, 1)))

    @numba.njit(inline="always")  # type: ignore[untyped-decorator]
    def sweep(
        lefts: Any, rights: Any, entry: Any, end: Any, left: Any, right: Any, own: Any, segment: Any,
        column: Any, stop: Any, out: Any, to_right: Any, adds: Any, ahead: Any, past: Any,
    ) -> None:  # fmt: skip
        wide = LINE // out.itemsize
        while column + MANY * wide <= stop:
            many(lefts, rights, entry, end, left, right, own, segment, column, out, to_right, adds, ahead, past)
            column += MANY * wide
        while column + wide <= stop:
            some(lefts, rights, entry, end, left, right, own, segment, column, out, to_right, adds, ahead, past)
            column += wide
        while column < stop:
            one(lefts, rights, entry, end, left, right, own, segment, column, out, to_right, adds, ahead, False)
            column += 1

    return sweep


_sums, _both = _swept(back=False), _swept(back=True)


@_jit  # type: ignore[untyped-decorator]
def forward(
    first: Any, lefts: Any, rights: Any, left: Any, right: Any, out: Any, blocks: int, tile: int, ahead: int, past: bool
) -> None:
    """`out[s] = Σ over groups g of segment s of right[g] · Σ left`."""
    segments, columns = out.shape
    tiles = (columns + tile - 1) // tile
    for job in numba.prange(tiles * blocks):
        begin = (job // blocks) * tile
        stop = min(begin + tile, columns)
        block = job % blocks
        # Blocks have about as many entries each: hubs would make blocks of equal rows unequal.
        low = np.searchsorted(first, first[segments] * block // blocks) if block else 0
        high = np.searchsorted(first, first[segments] * (block + 1) // blocks) if block + 1 < blocks else segments
        for s in range(low, high):
            end = first[s + 1]
            _sums(lefts, rights, first[s], end, left, right, out, s, begin, stop, out, out, False, ahead, past)


@_jit  # type: ignore[untyped-decorator]
def backward(
    first: Any, lefts: Any, rights: Any, parts: Any, left: Any, right: Any, own: Any, out: Any, to_right: Any,
    adds: bool, tile: int, ahead: int, past: bool,
) -> None:  # fmt: skip
    """The same, added to what `out` holds if `adds`; and in the same sweep `own[s] · Σ left` is added to `to_right[g]`.

    No right row is in two parts of the segments.
    """
    columns, count = out.shape[1], len(parts) - 1
    tiles = (columns + tile - 1) // tile
    for job in numba.prange(tiles * count):
        begin = (job // count) * tile
        stop = min(begin + tile, columns)
        for s in range(parts[job % count], parts[job % count + 1]):
            end = first[s + 1]
            _both(lefts, rights, first[s], end, left, right, own, s, begin, stop, out, to_right, adds, ahead, past)
