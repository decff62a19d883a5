"""What follows a layer's matrix products on a GPU, in one sweep: as `_fused_loops` does it on a CPU.

A module of their own, imported where there is Triton.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["renewed"]

_EPSILON = tl.constexpr(1e-5)  # as torch has it
_ROWS = 32  # of a program


def renewed(
    x: Tensor, state: Tensor, old: Tensor | None, scale: Tensor, shift: Tensor, gate: Tensor, dropout: float, seed: int
) -> tuple[Tensor, Tensor | None]:
    """States after a step, differentiable, and their worth, which is not.

    Args:
        x: What the matrix products make: (rows, width).
        state: Before: (rows before, width).
        old: For each row before, its row now; left out where they are the same.
        scale: Of the norm: (width).
        shift: Of the norm: (width).
        gate: Weights and bias of the worth, (width + 1); empty without one.
        dropout: Share that is dropped.
        seed: Of what is dropped.
    """
    before = torch.arange(len(state), device=x.device)
    if old is not None:
        before = torch.full((len(x),), -1, device=x.device).index_copy_(0, old, before)
    out, worth = _Renewed.apply(x, state, scale, shift, gate, before, dropout, seed)
    return out, worth if len(gate) else None


class _Renewed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, state: Tensor, scale: Tensor, shift: Tensor, gate: Tensor, before: Tensor,
        dropout: float, seed: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        x, state = x.contiguous(), state.contiguous()
        out, worth = torch.empty_like(x), x.new_empty(len(x) if len(gate) else 0)
        ctx.save_for_backward(x, state, scale, shift, gate, before)
        ctx.told = dropout, seed
        ctx.mark_non_differentiable(worth)
        if len(x):
            grid, named = _launch(x, gate, dropout, seed)
            _renew[grid](x, state, before, scale, shift, gate, out, worth, **named)
        return out, worth

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, state, scale, shift, gate, before = ctx.saved_tensors
        to_x, to_state = torch.empty_like(x), torch.zeros_like(state)
        grid, named = _launch(x, gate, *ctx.told)
        parts = x.new_zeros(grid[0], 3, x.shape[1] + 1)
        if len(x):
            down = grads[0].contiguous()
            _renew_back[grid](x, state, before, scale, shift, gate, down, to_x, to_state, parts, **named)
        to_scale, to_shift, to_gate = parts.sum(dim=0)
        return to_x, to_state, to_scale[:-1], to_shift[:-1], to_gate[: len(gate)], None, None, None


def _launch(x: Tensor, gate: Tensor, dropout: float, seed: int) -> tuple[tuple[int], dict[str, Any]]:
    rows, width = x.shape
    told = {"rows": rows, "width": width, "seed": seed, "limit": int(dropout * (2**32 - 1)), "gain": 1 / (1 - dropout)}
    fixed = {"gated": len(gate) > 0, "drops": dropout > 0, "tile": _ROWS, "wide": triton.next_power_of_2(width)}
    return (triton.cdiv(rows, _ROWS),), {**told, **fixed}


# Triton reads annotations itself, and knows its own alone.
_one_for_all = triton.jit(do_not_specialize=["rows", "seed", "limit", "gain"])


@triton.jit
def _kept(place, seed, limit):  # type: ignore[no-untyped-def]
    bits = place.to(tl.uint32) * 0x9E3779B1 + seed.to(tl.uint32)
    bits = (bits ^ (bits >> 16)) * 0x85EBCA6B
    bits = (bits ^ (bits >> 13)) * 0xC2B2AE35
    return (bits ^ (bits >> 16)) >= limit.to(tl.uint32)


@triton.jit
def _normal(x, at, inside, width):  # type: ignore[no-untyped-def]
    value = tl.load(x + at, mask=inside, other=0)
    centred = tl.where(inside, value - (tl.sum(value, axis=1) / width)[:, None], 0)
    inverse = 1 / tl.sqrt(tl.sum(centred * centred, axis=1) / width + _EPSILON)
    return centred * inverse[:, None], inverse


@_one_for_all  # type: ignore[untyped-decorator]
def _renew(  # type: ignore[no-untyped-def]
    x, state, before, scale, shift, gate, out, worth, rows, width, seed, limit, gain,
    gated: tl.constexpr, drops: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    row, column = tl.program_id(0).to(tl.int64) * tile + tl.arange(0, tile), tl.arange(0, wide)
    there, within = row < rows, column < width
    inside, at = there[:, None] & within[None, :], row[:, None] * width + column[None, :]
    normal, _ = _normal(x, at, inside, width)
    factor, term = tl.load(scale + column, mask=within, other=0), tl.load(shift + column, mask=within, other=0)
    new = tl.maximum(normal * factor[None, :] + term[None, :], 0)
    if drops:
        new = tl.where(_kept(at, seed, limit), new * gain, 0)
    place = tl.load(before + row, mask=there, other=-1)
    was = inside & (place >= 0)[:, None]
    new += tl.load(state + place[:, None] * width + column[None, :], mask=was, other=0)
    if gated:
        weight = tl.load(gate + column, mask=within, other=0)
        value = tl.sum(new * weight[None, :], axis=1) + tl.load(gate + width)
        tl.store(worth + row, value, mask=there)
        new = new / (1 + tl.exp(-value))[:, None]
    tl.store(out + at, new, mask=inside)


@_one_for_all  # type: ignore[untyped-decorator]
def _renew_back(  # type: ignore[no-untyped-def]
    x, state, before, scale, shift, gate, down, to_x, to_state, parts, rows, width, seed, limit, gain,
    gated: tl.constexpr, drops: tl.constexpr, tile: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    row, column = tl.program_id(0).to(tl.int64) * tile + tl.arange(0, tile), tl.arange(0, wide)
    there, within = row < rows, column < width
    inside, at = there[:, None] & within[None, :], row[:, None] * width + column[None, :]
    normal, inverse = _normal(x, at, inside, width)
    factor, term = tl.load(scale + column, mask=within, other=0), tl.load(shift + column, mask=within, other=0)
    new = normal * factor[None, :] + term[None, :]
    passes = tl.where(new > 0, 1.0, 0.0).to(new.dtype)
    if drops:
        passes = tl.where(_kept(at, seed, limit), passes * gain, 0)
    place = tl.load(before + row, mask=there, other=-1)
    was, origin = inside & (place >= 0)[:, None], place[:, None] * width + column[None, :]
    slope = tl.load(down + at, mask=inside, other=0)
    into = parts + tl.program_id(0).to(tl.int64) * 3 * (width + 1)
    if gated:
        after = new * passes + tl.load(state + origin, mask=was, other=0)
        weight = tl.load(gate + column, mask=within, other=0)
        share = 1 / (1 + tl.exp(-(tl.sum(after * weight[None, :], axis=1) + tl.load(gate + width))))
        to_worth = tl.where(there, tl.sum(slope * after, axis=1) * share * (1 - share), 0)
        slope = slope * share[:, None] + to_worth[:, None] * weight[None, :]
        tl.store(into + 2 * (width + 1) + column, tl.sum(to_worth[:, None] * after, axis=0), mask=within)
        tl.store(into + 2 * (width + 1) + width, tl.sum(to_worth, axis=0))
    tl.store(to_state + origin, slope, mask=was)
    slope = tl.where(inside, slope * passes, 0)
    tl.store(into + column, tl.sum(slope * normal, axis=0), mask=within)
    tl.store(into + width + 1 + column, tl.sum(slope, axis=0), mask=within)
    slope = slope * factor[None, :]
    mean, along = tl.sum(slope, axis=1) / width, tl.sum(slope * normal, axis=1) / width
    tl.store(to_x + at, (slope - mean[:, None] - normal * along[:, None]) * inverse[:, None], mask=inside)
