"""Pools: fusion rules that join the opinions of several branches, given as logits, without looking at features.

average   the mean of the branches' probabilities; no parameters
product   the weighted product of the branches' probabilities; one weight per branch, one bias per class
select    one branch alone; no parameters
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cortigraph.graph.errors import InputError
from cortigraph.regions.builders import builder

__all__ = ["Average", "Product", "Select", "average", "product", "select"]

_Count = Annotated[int, Field(ge=1)]
# softplus of this is 1: every branch counts in full at first.
_ONE = math.log(math.e - 1)


class Average(nn.Module):
    """Late fusion: the logarithm of the mean of the branches' probabilities."""

    def forward(self, *parts: Tensor) -> dict[str, Tensor]:
        """Any number of logits [B, classes] to `logits` [B, classes], log probabilities."""
        opinions = torch.stack([functional.log_softmax(part, dim=-1) for part in parts])
        return {"logits": opinions.logsumexp(dim=0) - math.log(len(parts))}


class Product(nn.Module):
    """The log-linear pool: Σ w_m · log_softmax(logits_m) + bias, with one learned weight w_m ≥ 0 per branch.

    When the branches are calibrated and independent given the class, this is Bayes' rule: the weights are one, the bias
    minus the log prior for each branch but the first. One branch alone is the point where its weight is one and the
    others are zero.

    Args:
        modalities: How many branches there are.
        classes: How many classes there are.

    Example:
        >>> import torch
        >>> certain, unsure = torch.tensor([[2.0, 0.0]]), torch.zeros(1, 2)
        >>> Product(2, 2)(certain, unsure)["logits"].softmax(-1).equal(certain.softmax(-1))
        True
    """

    def __init__(self, modalities: int, classes: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.full((modalities,), _ONE))
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def weights(self) -> Tensor:
        """How much each branch counts, [modalities]; never negative."""
        return functional.softplus(self.raw)

    def forward(self, *parts: Tensor) -> dict[str, Tensor]:
        """One logits [B, classes] per branch to `logits` [B, classes]."""
        check_count(parts, len(self.raw), "product")
        opinions = torch.stack([functional.log_softmax(part, dim=-1) for part in parts])  # (modality, batch, class)
        return {"logits": torch.einsum("m,mbc->bc", self.weights, opinions) + self.bias}


class Select(nn.Module):
    """One branch alone, so that a search over fusions can always fall back on its better half.

    Args:
        index: Which part to keep, from zero.
    """

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, *parts: Tensor) -> dict[str, Tensor]:
        """Any number of logits [B, classes] to `logits` [B, classes], log probabilities."""
        if self.index >= len(parts):
            raise InputError(f"select keeps part {self.index}, but there are {len(parts)} parts, numbered from 0")
        return {"logits": functional.log_softmax(parts[self.index], dim=-1)}


@builder("average")
def average() -> nn.Module:
    """Late fusion by the mean of probabilities."""
    return Average()


@builder("product")
def product(classes: _Count, modalities: _Count = 2) -> nn.Module:
    """The log-linear pool of `modalities` branches."""
    return Product(modalities, classes)


@builder("select", space={"index": [0, 1]})
def select(index: Annotated[int, Field(ge=0)] = 0) -> nn.Module:
    """One branch alone."""
    return Select(index)


def check_count(parts: tuple[Tensor, ...], wanted: int, cell: str) -> None:
    """Refuses a wrong number of parts before it shows as an obscure shape error.

    Raises:
        InputError: There are more or fewer parts than the cell was built for.
    """
    if len(parts) != wanted:
        raise InputError(f"{cell} was built for {wanted} parts, got {len(parts)}; wire as many as its arguments say")
