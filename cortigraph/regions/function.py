"""Function: how a module behaves, as the similarities between its responses to fixed probes.

Only similarities count, so modules whose features have different sizes, or are rotated, can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from cortigraph.regions.ports import Port
from cortigraph.regions.probes import probes, vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["FUNCTION_DIMENSION", "PROBES", "function"]

# 15 probes have 105 pairs; the 7 largest shares of their variance make it 112.
PROBES = 15
_SHARES = 7
FUNCTION_DIMENSION = PROBES * (PROBES - 1) // 2 + _SHARES


def function(module: nn.Module, inputs: Sequence[Port]) -> NDArray[np.float32]:
    """The behaviour of a module as a vector.

    Args:
        module: On the CPU, with the weights that it is to be judged by.
        inputs: What `forward` is given, every size known.

    Returns:
        Shape (112,), of length one, or all zeros when every probe gives the same response: first the centred cosine
        similarity of the responses to each pair of probes, then the largest shares of their variance.

    Example:
        >>> from cortigraph.regions.vision import REGIONS
        >>> function(REGIONS[0].build(), REGIONS[0].typical()).shape
        (112,)
    """
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            below = vocabulary(module, inputs)
            responses = _response(module(*(probes(port, PROBES, seed=i, below=below) for i, port in enumerate(inputs))))
    finally:
        module.train(was_training)
    return _summary(responses.flatten(1).double().numpy())


def _response(outputs: Mapping[str, Tensor]) -> Tensor:
    for name in ("features", "logits"):
        if name in outputs:
            return outputs[name]
    return list(outputs.values())[-1]


def _summary(responses: NDArray[np.float64]) -> NDArray[np.float32]:
    centred = responses - responses.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.maximum(lengths, 1e-12)
    alike = unit @ unit.T  # (probe, probe)
    shares = np.linalg.eigvalsh(alike)[::-1][:_SHARES] / PROBES
    vector = np.concatenate([alike[np.triu_indices(PROBES, k=1)], shares])
    length = np.linalg.norm(vector)
    return (vector / length if length > 1e-9 else np.zeros_like(vector)).astype(np.float32)
