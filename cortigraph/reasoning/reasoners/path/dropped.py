"""What is dropped, in torch: it follows from a seed and a place, as in the compiled loops, so no mask is stored."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["keep_mask", "kept"]

_BITS = 2**32 - 1


def kept(place: Tensor, seed: Tensor | int, dropout: Tensor | float) -> Tensor:
    """Whether places are kept: the bits of their numbers, stirred (the finaliser of MurmurHash3), against a limit.

    Args:
        place: Any numbers, int64.
        seed: Of the choice; one for all, or one for each.
        dropout: Share that is dropped; one for all, or one for each, float64.
    """
    bits = (place * 0x9E3779B1 + seed) & _BITS
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & _BITS
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & _BITS
    limit = (dropout * float(_BITS)).long() if isinstance(dropout, Tensor) else int(dropout * _BITS)
    return (bits ^ (bits >> 16)) >= limit


def keep_mask(rows: int, width: int, dropout: float, seed: int, device: torch.device | None = None) -> Tensor:
    """What is kept, scaled so that the sum is the same on average: (rows, width).

    Args:
        rows: How many.
        width: How many columns.
        dropout: Share that is dropped.
        seed: Of the choice.
        device: Where it shall lie.

    Example:
        >>> sorted(set(keep_mask(9, 9, 0.5, 0).ravel().tolist()))
        [0.0, 2.0]
    """
    places = torch.arange(rows * width, device=device).view(rows, width)
    return kept(places, seed, dropout).float() / (1 - dropout)
