"""The sums of `links` on a GPU. A module of their own, imported where there is Triton."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["sums"]

_ENTRIES = 16  # that are added up together
_COLUMNS = 128  # at most, that a program has


def sums(first: Tensor, lefts: Tensor, rights: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """`out[s] = Σ over entries (i, j) of segment s of left[i] · right[j]`.

    Args:
        first: Where each segment begins, and where the last one ends: (segments + 1).
        lefts: (entries).
        rights: (entries).
        left: (any, columns), contiguous.
        right: The same.

    Returns:
        (segments, columns).
    """
    columns = left.shape[1]
    segments = len(first) - 1
    out = left.new_empty(segments, columns)
    if not out.numel():
        return out
    tile = min(_COLUMNS, triton.next_power_of_2(columns))
    grid = segments, triton.cdiv(columns, tile)
    warps = max(1, tile // 32)
    _sum[grid](first, lefts, rights, left, right, out, columns, tile, _ENTRIES, num_warps=warps)
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _sum(  # type: ignore[no-untyped-def]  # Triton reads annotations itself, and knows its own alone
    first, lefts, rights, left, right, out, columns, tile: tl.constexpr, entries: tl.constexpr
):
    segment = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * tile + tl.arange(0, tile)
    inside = column < columns
    begin, end = tl.load(first + segment), tl.load(first + segment + 1)
    total = tl.zeros([tile], dtype=out.dtype.element_ty)
    for at in range(begin, end, entries):
        entry = at + tl.arange(0, entries)
        there = entry < end
        i, j = tl.load(lefts + entry, mask=there, other=0), tl.load(rights + entry, mask=there, other=0)
        both = there[:, None] & inside[None, :]
        one = tl.load(left + i[:, None] * columns + column[None, :], mask=both, other=0)
        other = tl.load(right + j[:, None] * columns + column[None, :], mask=both, other=0)
        total += tl.sum(one * other, axis=0)
    tl.store(out + segment * columns + column, total, mask=inside)
