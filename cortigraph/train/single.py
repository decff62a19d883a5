"""The engine of one process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.train.engine import Engine

__all__ = ["SingleEngine"]


class SingleEngine(Engine):
    """One rank: there is nothing to exchange."""

    def __init__(self) -> None:
        super().__init__(rank=0, size=1)

    def distribute(self, optimizer: Optimizer, named_parameters: Iterable[tuple[str, Parameter]]) -> Optimizer:
        """The optimizer itself."""
        return optimizer

    def reduce_sum(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Nothing: the tensors are rank 0's."""
