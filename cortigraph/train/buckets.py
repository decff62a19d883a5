"""Buckets: gradients that travel together, the first of them while the last are still being made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch.nn import Parameter

__all__ = ["buckets"]

_BYTES = 4 << 20  # large enough for the line, small enough to begin early


def buckets(parameters: Sequence[Parameter], size: int = _BYTES) -> list[list[Parameter]]:
    """Parameters whose gradients travel together, in the order in which gradients come: from the last layer on.

    Args:
        parameters: In the same order on every rank.
        size: Bytes that fill a bucket.

    Returns:
        Buckets, each of one type of numbers.

    Example:
        >>> import torch
        >>> layers = [torch.nn.Parameter(torch.zeros(count)) for count in (1, 2, 3)]
        >>> [[len(each) for each in bucket] for bucket in buckets(layers, size=16)]
        [[3, 2], [1]]
    """
    found: list[list[Parameter]] = []
    filled: dict[torch.dtype, int] = {}
    last: dict[torch.dtype, list[Parameter]] = {}
    for parameter in reversed(parameters):
        kind = parameter.dtype
        if kind not in last or filled[kind] >= size:
            last[kind], filled[kind] = [], 0
            found.append(last[kind])
        last[kind].append(parameter)
        filled[kind] += parameter.nbytes
    return found
