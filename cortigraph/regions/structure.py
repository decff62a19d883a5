"""Structure: a module seen as the graph of its operations, folded into a short vector.

The module is run once on torch's meta device and every operation is noted, with those that made its inputs. The
vector counts operations, and operations with their neighbours (one round of Weisfeiler-Lehman), with the logarithm of
their channels and with their kernels, each hashed to a bucket. Names of classes, parameters and regions play no part.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from math import log1p, log2
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cortigraph.regions.ports import Port
from cortigraph.regions.shapes import dry_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STRUCTURE_DIMENSION", "structure"]

STRUCTURE_DIMENSION = 64


def structure(module: nn.Module, inputs: Sequence[Port]) -> NDArray[np.float32]:
    """The structure of a module as a vector.

    Args:
        module: Its weights play no part.
        inputs: What `forward` is given, every size known.

    Returns:
        Shape (64,), of length one; the same in every process.

    Example:
        >>> from cortigraph.regions.vision import REGIONS
        >>> narrow, wide = (structure(REGIONS[0].build(width=w), REGIONS[0].typical()) for w in (8, 16))
        >>> other = structure(REGIONS[3].build(), REGIONS[3].typical())
        >>> bool(narrow @ wide > narrow @ other)
        True
    """
    with _Recorder() as recorder:
        dry_run(module, inputs)
    vector = np.zeros(STRUCTURE_DIMENSION, dtype=np.float32)
    for token, count in recorder.tokens.items():
        digest = hashlib.blake2b(token.encode(), digest_size=8).digest()
        # The sign, hashed as well, keeps collisions from adding up.
        vector[digest[0] % STRUCTURE_DIMENSION] += log1p(count) * (1 if digest[1] % 2 else -1)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that is run inside it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tokens: Counter[str] = Counter()
        self._makers: dict[int, str] = {}
        # An id is taken again once its tensor is gone, so all are kept for the while.
        self._kept: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        # Copies to the meta device and back are ours, not the module's.
        name = _short(func.name())
        if name not in _OURS:
            self._note(name, _tensors((*args, *(kwargs or {}).values())), _tensors(outputs))
        return outputs

    def _note(self, name: str, taken: list[Tensor], made: list[Tensor]) -> None:
        makers = sorted(self._makers.get(id(tensor), "leaf") for tensor in taken)
        self.tokens[name] += 1
        self.tokens[f"{name}<{','.join(makers)}"] += 1
        for tensor in made:
            self._makers[id(tensor)] = name
            self._kept.append(tensor)
        if made and made[0].dim() > 1:
            self.tokens[f"{name}#{round(log2(max(1, made[0].shape[1])))}"] += 1
        # The kernel of a convolution, whatever its channels, and whether it looks at one channel alone.
        for weight in taken[1:2]:
            depth = "one" if weight.shape[1:2] == (1,) else "all"
            self.tokens[f"{name}@{'x'.join(map(str, weight.shape[2:]))}:{depth}"] += 1


_OURS = frozenset({"_to_copy", "empty", "detach", "empty_strided"})


def _short(name: str) -> str:
    # "aten::relu_.default" is the operation "relu", done in place or not.
    return name.removeprefix("aten::").split(".")[0].rstrip("_")


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, list | tuple) else []
