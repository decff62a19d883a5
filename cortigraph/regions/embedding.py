"""Embedding: where a region lies among all others, by what is said of it, how it is built and how it behaves.

    text        384   its card, by the text encoder
    structure    64   its graph of operations
    function    112   its responses to probes

Each view has length one and counts as much as the others, so two regions that behave alike lie near each other,
whatever they are called. The whole has length one: a scalar product is a cosine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cortigraph.graph.schema import REGION_DIMENSION, TEXT_DIMENSION
from cortigraph.regions.function import function
from cortigraph.regions.language import embed_text
from cortigraph.regions.structure import STRUCTURE_DIMENSION, structure

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from cortigraph.regions.region import Region
    from cortigraph.regions.weights import WeightStore

__all__ = ["VIEWS", "card", "embed_region", "seeded"]

# Where each view lies in the vector.
VIEWS = {
    "text": slice(0, TEXT_DIMENSION),
    "structure": slice(TEXT_DIMENSION, TEXT_DIMENSION + STRUCTURE_DIMENSION),
    "function": slice(TEXT_DIMENSION + STRUCTURE_DIMENSION, REGION_DIMENSION),
}


def card(region: Region) -> str:
    """What is said of a region, in one paragraph.

    Example:
        >>> from cortigraph.regions.fusion import REGIONS
        >>> card(REGIONS[0])
        "average. Late fusion: the mean of the branches' probabilities. Takes any logits. Gives any logits."
    """
    takes, gives = (
        ", ".join(dict.fromkeys(f"{port.modality} {port.semantics}" for port in ports))
        for ports in (region.accepts, region.emits)
    )
    return f"{region.name}. {region.description} Takes {takes}. Gives {gives}."


def embed_region(
    region: Region, weights: WeightStore | None = None, module: nn.Module | None = None
) -> NDArray[np.float32]:
    """The embedding of a region.

    Args:
        region: Probed at its typical shapes.
        weights: Where its weights lie, when it has any; without weights it is probed as freshly initialised.
        module: The built region, if there is one already.

    Returns:
        Shape (560,), of length one; `VIEWS` says where each view lies.

    Raises:
        UnknownKeyError: The builder, or the weights, are not there.
        InputError: The region can't be built as declared, or can't take its typical shapes.
    """
    module = seeded(region, weights) if module is None else module
    inputs = region.typical()
    joined = np.concatenate([embed_text([card(region)])[0], structure(module, inputs), function(module, inputs)])
    embedding: NDArray[np.float32] = (joined / np.linalg.norm(joined)).astype(np.float32)
    return embedding


def seeded(region: Region, weights: WeightStore | None = None) -> nn.Module:
    """Builds a region from a fixed seed, so that its embedding is the same in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return region.build(weights)
