"""Probes: the inputs on which modules are timed and compared, the same in every process and on every machine.

Images and spectrograms are smooth random fields, drawn coarse and then enlarged, so that a probe shows the same scene
whatever its size; texts are sentences; features and logits are normal random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from cortigraph.regions.language import tokenize
from cortigraph.regions.ports import Port

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["probes", "vocabulary"]

_COARSE = 7
_SENTENCES = (
    "A handwritten seven on white paper.",
    "Someone says the number three in a noisy room.",
    "The quick brown fox jumps over the lazy dog.",
    "Two dogs are barking outside.",
    "Prices rose by four per cent last year.",
    "The enzyme binds to the receptor.",
    "How do I get to the station?",
    "A red circle above a blue square.",
    "She has never been to Paris.",
    "The model was trained on ten thousand images.",
    "Heavy rain is expected on Thursday.",
    "This film is a waste of time.",
    "Turn left after the bridge.",
    "The patient complains of chest pain.",
    "Open the window, please.",
)


def probes(port: Port, count: int, *, seed: int = 0, below: int | None = None) -> Tensor:
    """Inputs for a port.

    Args:
        port: Every size known.
        count: How many; the first are the same for any count.
        seed: Other seeds give other probes; inputs of one module need seeds of their own.
        below: Whole numbers stay below it; see `vocabulary`.

    Returns:
        A tensor of shape [count, *sizes] and of the port's dtype.

    Example:
        >>> probes(Port.parse("image", "image[channel=1,height=28,width=28] float32 raw"), 15).shape
        torch.Size([15, 1, 28, 28])
    """
    sizes = [size for size in port.sizes if size is not None]
    if port.dtype == "int64":
        tokens = torch.from_numpy(_tokens(count, sizes))
        return tokens if below is None else tokens.remainder(below)
    if len(sizes) == 3 and port.semantics in ("raw", "map"):
        coarse = torch.from_numpy(_normal(count, [sizes[0], _COARSE, _COARSE], seed))
        return functional.interpolate(coarse, size=sizes[1:], mode="bilinear", align_corners=False)
    return torch.from_numpy(_normal(count, sizes, seed))


def vocabulary(module: nn.Module, ports: Sequence[Port]) -> int | None:
    """Below which number identifiers of words must lie for a module, found by running it; none where all will do.

    Args:
        module: On the CPU, in the mode that it is to be run in.
        ports: What `forward` is given, every size known.

    Example:
        >>> port = Port.parse("ids", "text[token=8] int64 raw")
        >>> vocabulary(torch.nn.Embedding(1000, 4), [port]), vocabulary(torch.nn.Embedding(40_000, 4), [port])
        (1000, None)
    """
    if all(port.dtype != "int64" for port in ports):
        return None
    tables = {
        size for tensor in (*module.parameters(), *module.buffers()) for size in tensor.shape if tensor.dim() == 2
    }
    for below in (None, *sorted(tables, reverse=True), 2):
        try:
            with torch.no_grad():
                module(*(probes(port, len(_SENTENCES), seed=i, below=below) for i, port in enumerate(ports)))
        except (IndexError, RuntimeError):
            continue
        return below
    return None  # it is something else; whoever runs it is told


def _normal(count: int, sizes: list[int], seed: int) -> NDArray[np.float32]:
    # One generator per probe: the first probes do not depend on how many there are.
    drawn = [np.random.default_rng((seed, number)).standard_normal(sizes) for number in range(count)]
    return np.stack(drawn).astype(np.float32)


def _tokens(count: int, sizes: list[int]) -> NDArray[np.int64]:
    known = tokenize(_SENTENCES)[..., : sizes[-1]]
    rows = known[np.arange(count) % len(known)]
    return np.pad(rows, [(0, 0), (0, 0), (0, sizes[-1] - rows.shape[-1])])
