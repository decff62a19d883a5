"""Noise and small moves, drawn for the whole batch and then cut: they do not depend on the number of workers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from cortigraph.train.settings import TrainSettings

__all__ = ["augment"]


def augment(
    values: dict[str, Tensor],
    raw: Mapping[str, Tensor],
    settings: TrainSettings,
    draw: Generator,
    part: slice,
    whole: int,
) -> dict[str, Tensor]:
    """The values of a batch with noise added and maps moved.

    Only raw inputs are changed: outputs of frozen parts were computed once, from inputs as they are.

    Args:
        values: Of this rank's part of the batch, (part, …).
        raw: Names those that may be changed.
        settings: `noise` and `shift`.
        draw: The generator of this step, the same on every rank.
        part: Which samples of the batch this rank has.
        whole: Samples in the batch.
    """
    if not settings.noise and not settings.shift:
        return values
    for name in sorted(raw):  # a fixed order, because each draw moves the generator on
        tensor = values[name]
        if not tensor.is_floating_point():
            continue
        if settings.shift and tensor.dim() == 4:
            moves = torch.randint(-settings.shift, settings.shift + 1, (whole, 2), generator=draw)[part]
            tensor = shifted(tensor, moves)
        if settings.noise:
            noise = torch.randn((whole, *tensor.shape[1:]), generator=draw)[part]
            tensor = tensor + settings.noise * noise
        values[name] = tensor
    return values


def shifted(maps: Tensor, moves: Tensor) -> Tensor:
    """Maps moved by whole pixels; what comes in at an edge repeats the edge.

    Args:
        maps: (batch, channel, height, width)
        moves: (batch, 2): down and right, in pixels.

    Example:
        >>> shifted(torch.arange(3.0).reshape(1, 1, 1, 3), torch.tensor([[0, 1]])).flatten().tolist()
        [0.0, 0.0, 1.0]
    """
    batch, _, height, width = maps.shape
    down = (torch.arange(height) - moves[:, :1]).clamp(0, height - 1)  # (batch, height)
    right = (torch.arange(width) - moves[:, 1:]).clamp(0, width - 1)  # (batch, width)
    index = torch.arange(batch)[:, None, None]
    return maps.permute(0, 2, 3, 1)[index, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)
