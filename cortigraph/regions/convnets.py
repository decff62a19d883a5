"""Convnets: the recognition networks for images and for spectrograms alike, each with a tap behind every layer.

    lenet3      conv5 · conv3 · conv3                        8 · 16 · 32 channels
    lenet5      conv5 · conv3 · conv3 · conv3 · conv3        8 · 16 · 32 · 64 · 128
    mediumnet   conv3 · conv3 · conv3 · conv3                8 · 16 · 32 · 64
    sparsenet   conv3 · conv1 · 5 depthwise convolutions     12 · 1 · 8 · 16 · 32 · 64 · 128

They are the networks of Lv et al. 2022, section 4.2. They have neither batch normalisation nor dropout: what comes out
for a sample depends on that sample alone, so that training on N workers is training on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cortigraph.regions.builders import builder

__all__ = ["ConvNet", "Layer", "lenet3", "lenet5", "mediumnet", "sparsenet"]

_SLOPE = 0.01
_Count = Annotated[int, Field(ge=1)]
_SPACE: dict[str, list[int]] = {"width": [4, 8, 16], "grid": [1, 2, 3, 4]}


@dataclass(frozen=True)
class Layer:
    """One convolution and what follows it.

    Args:
        kernel: Side of the kernel; the size of the map stays as it is.
        channels: Channels that it emits.
        pool: Whether a max-pool of 2 follows.
        depthwise: Whether each input channel is convolved on its own, `channels / inputs` times.
    """

    kernel: int
    channels: int
    pool: bool = True
    depthwise: bool = False


class ConvNet(nn.Module):
    """A chain of convolutions, each followed by a max-pool of 2 and a LeakyReLU, every one of them a tap.

    The pools round up, so that no row is dropped and a map never falls below 1×1: any input size works.

    Args:
        channels: Of the input.
        layers: From input to output.
        classes: Of the logits; without it there are none.
        grid: The last map is averaged to grid × grid before it is flattened to features.

    Example:
        >>> import torch
        >>> out = ConvNet(1, [Layer(5, 8), Layer(3, 16)], classes=10)(torch.zeros(4, 1, 28, 28))
        >>> {name: tuple(value.shape) for name, value in out.items()}
        {'layer1': (4, 8, 14, 14), 'layer2': (4, 16, 7, 7), 'features': (4, 144), 'logits': (4, 10)}
    """

    def __init__(self, channels: int, layers: Sequence[Layer], classes: int | None = None, grid: int = 3) -> None:
        super().__init__()
        self.grid = grid
        self.pools = tuple(layer.pool for layer in layers)
        inputs = [channels, *(layer.channels for layer in layers)]
        self.layers = nn.ModuleList(_convolution(n, layer) for n, layer in zip(inputs, layers, strict=False))
        self.head = None if classes is None else _head(inputs[-1] * grid * grid, classes)
        # Channels last in memory: the convolutions of so few channels take half the time on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Maps of shape [B, channels, height, width] to taps `layer1`…, `features` [B, C·grid²] and `logits`."""
        outputs = {}
        x = x.contiguous(memory_format=torch.channels_last)
        for number, (layer, pool) in enumerate(zip(self.layers, self.pools, strict=True), start=1):
            x = layer(x)
            # Both are monotone, so their order changes nothing but the cost: the pool leaves a quarter to do.
            x = functional.leaky_relu(functional.max_pool2d(x, 2, ceil_mode=True) if pool else x, _SLOPE)
            outputs[f"layer{number}"] = x
        outputs["features"] = functional.adaptive_avg_pool2d(x, self.grid).flatten(1)
        if self.head is not None:
            outputs["logits"] = self.head(outputs["features"])
        return outputs


@builder("lenet3", space=_SPACE)
def lenet3(channels: _Count = 1, classes: _Count | None = None, width: _Count = 8, grid: _Count = 3) -> nn.Module:
    """LeNet3; `width` is the channels of the first layer, the others double.

    Example:
        >>> import torch
        >>> lenet3()(torch.zeros(2, 1, 28, 28))["features"].shape
        torch.Size([2, 288])
    """
    return ConvNet(channels, _doubling(width, kernels=(5, 3, 3)), classes, grid)


@builder("lenet5", space=_SPACE)
def lenet5(channels: _Count = 1, classes: _Count | None = None, width: _Count = 8, grid: _Count = 3) -> nn.Module:
    """LeNet5; `width` is the channels of the first layer, the others double."""
    return ConvNet(channels, _doubling(width, kernels=(5, 3, 3, 3, 3)), classes, grid)


@builder("mediumnet", space=_SPACE)
def mediumnet(channels: _Count = 1, classes: _Count | None = None, width: _Count = 8, grid: _Count = 3) -> nn.Module:
    """MediumNet; `width` is the channels of the first layer, the others double."""
    return ConvNet(channels, _doubling(width, kernels=(3, 3, 3, 3)), classes, grid)


@builder("sparsenet", space=_SPACE)
def sparsenet(channels: _Count = 1, classes: _Count | None = None, width: _Count = 8, grid: _Count = 3) -> nn.Module:
    """SparseNet: a bottleneck of one channel at full size, then depthwise convolutions from `width` channels on.

    The sizes that the paper prints leave no room for a pool behind the first two layers.
    """
    stem = [Layer(3, max(1, width * 3 // 2), pool=False), Layer(1, 1, pool=False)]
    return ConvNet(channels, stem + _doubling(width, kernels=(5, 3, 3, 3, 3), depthwise=True), classes, grid)


def _doubling(width: int, *, kernels: Sequence[int], depthwise: bool = False) -> list[Layer]:
    return [Layer(kernel, width * 2**depth, depthwise=depthwise) for depth, kernel in enumerate(kernels)]


def _convolution(inputs: int, layer: Layer) -> nn.Conv2d:
    groups = inputs if layer.depthwise else 1
    convolution = nn.Conv2d(inputs, layer.channels, layer.kernel, padding=layer.kernel // 2, groups=groups)
    nn.init.kaiming_normal_(convolution.weight, a=_SLOPE, nonlinearity="leaky_relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def _head(features: int, classes: int) -> nn.Linear:
    head = nn.Linear(features, classes)
    nn.init.xavier_uniform_(head.weight)
    nn.init.zeros_(head.bias)
    return head
