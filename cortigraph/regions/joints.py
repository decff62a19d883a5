"""Joints: fusion cells that join the features of several branches, and so can learn what opinions alone can't tell.

    concat   one hidden layer over the joined features
    gated    a gated multimodal unit: each sample decides how much each branch counts (Arevalo et al. 2017)
    mfas     taps of every depth, joined layer by layer (Pérez-Rúa et al. 2019)

With `residual`, on by default, a joint takes the branches' logits as its last parts and adds its own to their product,
from a head that starts at zero: it starts as the product and can only learn a correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cortigraph.graph.errors import InputError
from cortigraph.regions.builders import builder
from cortigraph.regions.pools import Product, check_count

__all__ = ["Concat", "Gated", "Joint", "Mfas", "concat", "gated", "mfas"]

_Count = Annotated[int, Field(ge=1)]
_Sizes = Annotated[list[_Count], Field(min_length=1)]
_Activation = Literal["relu", "sigmoid", "leaky_relu"]
_ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "leaky_relu": functional.leaky_relu}
_HIDDEN = [16, 32, 64, 128]


class Joint(nn.Module):
    """Base of the joints: subclasses override `join`, from features to one hidden vector.

    Args:
        sizes: Channels of each part that is joined.
        modalities: How many branches the parts come from, hence how many logits follow when `residual`.
        hidden: Size of the hidden vector.
        residual: Whether the cell corrects the product of the branches' logits.
    """

    def __init__(self, sizes: Sequence[int], modalities: int, classes: int, hidden: int, residual: bool) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.pool = Product(modalities, classes) if residual else None
        self.parts = len(sizes) + (modalities if residual else 0)
        self.head = nn.Linear(hidden, classes)
        if residual:
            nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Joins vectors [B, sizes[i]] to one hidden vector [B, hidden]."""
        raise NotImplementedError

    def forward(self, *parts: Tensor) -> dict[str, Tensor]:
        """Maps [B, C, H, W] or features [B, C], then logits [B, classes] when residual, to `logits` [B, classes]."""
        check_count(parts, self.parts, type(self).__name__.lower())
        joined, opinions = parts[: len(self.sizes)], parts[len(self.sizes) :]
        logits = self.head(self.join([_vector(part) for part in joined]))
        if self.pool is not None:
            logits = logits + self.pool(*opinions)["logits"]
        return {"logits": logits}


class Concat(Joint):
    """One hidden layer over the joined features."""

    def __init__(self, sizes: Sequence[int], classes: int, hidden: int, residual: bool) -> None:
        super().__init__(sizes, len(sizes), classes, hidden, residual)
        self.hidden = nn.Linear(sum(sizes), hidden)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Joins vectors [B, sizes[i]] to [B, hidden]."""
        hidden: Tensor = self.hidden(torch.cat(list(parts), dim=1))
        return functional.leaky_relu(hidden)


class Gated(Joint):
    """The gated multimodal unit: each hidden unit of each sample weighs the branches, the weights adding up to one.

    For two branches this is the sigmoid gate of Arevalo et al.
    """

    def __init__(self, sizes: Sequence[int], classes: int, hidden: int, residual: bool) -> None:
        super().__init__(sizes, len(sizes), classes, hidden, residual)
        self.values = nn.ModuleList(nn.Linear(size, hidden) for size in sizes)
        self.gate = nn.Linear(sum(sizes), hidden * len(sizes))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Joins vectors [B, sizes[i]] to [B, hidden]."""
        values = torch.stack([layer(part) for layer, part in zip(self.values, parts, strict=True)], dim=1).tanh()
        gates = self.gate(torch.cat(list(parts), dim=1)).view(values.shape).softmax(dim=1)  # (batch, modality, hidden)
        joined: Tensor = (gates * values).sum(dim=1)
        return joined


class Mfas(Joint):
    """Taps joined layer by layer: h_l = act_l(W_l [x_l1; x_l2; …; h_{l-1}]).

    Args:
        sizes: Channels of the taps, layer by layer and within a layer modality by modality.
        activations: One per layer: `relu`, `sigmoid` or `leaky_relu`.

    Example:
        >>> import torch
        >>> cell = Mfas([8, 16, 32, 64], 2, ["relu", "sigmoid"], classes=10, hidden=32, residual=False)
        >>> taps = [torch.zeros(4, 8, 14, 14), torch.zeros(4, 16, 7, 7), torch.zeros(4, 32), torch.zeros(4, 64)]
        >>> cell(*taps)["logits"].shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        modalities: int,
        activations: Sequence[str],
        classes: int,
        hidden: int,
        residual: bool,
    ) -> None:
        super().__init__(sizes, modalities, classes, hidden, residual)
        self.activations = tuple(activations)
        self.bounds = tuple(pairwise(range(0, len(sizes) + 1, modalities)))
        self.layers = nn.ModuleList(
            nn.Linear(sum(sizes[start:stop]) + (hidden if start else 0), hidden) for start, stop in self.bounds
        )

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Joins vectors [B, sizes[i]] to [B, hidden]."""
        before: list[Tensor] = []
        for layer, (start, stop), name in zip(self.layers, self.bounds, self.activations, strict=True):
            before = [_ACTIVATIONS[name](layer(torch.cat([*parts[start:stop], *before], dim=1)))]
        return before[0]


@builder("concat", space={"hidden": _HIDDEN})
def concat(sizes: _Sizes, classes: _Count, hidden: _Count = 64, residual: bool = True) -> nn.Module:
    """One hidden layer over the features of the branches, `sizes[i]` of each."""
    return Concat(sizes, classes, hidden, residual)


@builder("gated", space={"hidden": _HIDDEN})
def gated(sizes: _Sizes, classes: _Count, hidden: _Count = 64, residual: bool = True) -> nn.Module:
    """A gated multimodal unit over the features of the branches, `sizes[i]` of each."""
    return Gated(sizes, classes, hidden, residual)


# The space of a list argument is that of its elements.
@builder("mfas", space={"layers": [1, 2, 3, 4], "activations": ["relu", "sigmoid", "leaky_relu"], "hidden": _HIDDEN})
def mfas(
    sizes: _Sizes,
    modalities: _Count,
    layers: _Count,
    activations: list[_Activation],
    classes: _Count,
    hidden: _Count = 32,
    residual: bool = True,
) -> nn.Module:
    """Taps of every depth joined layer by layer; `sizes` are layer by layer, and within a layer modality by modality.

    Raises:
        InputError: There are not `layers` × `modalities` sizes, or not `layers` activations.
    """
    problems = []
    if len(sizes) != layers * modalities:
        problems.append(
            f"mfas needs {layers} × {modalities} sizes, one per layer and modality; got {len(sizes)}: {sizes}"
        )
    if len(activations) != layers:
        problems.append(f"mfas needs {layers} activations, one per layer; got {len(activations)}: {activations}")
    if problems:
        raise InputError(problems)
    return Mfas(sizes, modalities, activations, classes, hidden, residual)


def _vector(part: Tensor) -> Tensor:
    # A map is averaged over its places, a vector is left as it is.
    return part.flatten(2).mean(dim=2) if part.dim() > 2 else part
