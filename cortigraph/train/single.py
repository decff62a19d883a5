"""The engine of one process."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.train.engine import Engine, Finish

__all__ = ["SingleEngine"]


class SingleEngine(Engine):
    """One rank: there is nothing to exchange."""

    def __init__(self) -> None:
        super().__init__(rank=0, size=1)

    def _distribute(self, optimizer: Optimizer, named: list[tuple[str, Parameter]], half: bool) -> Optimizer:
        return optimizer

    def _start_sum(self, tensor: Tensor) -> Finish:
        return lambda: tensor

    def _gather(self, tensor: Tensor) -> Tensor:
        return tensor

    def _broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Nothing: the tensors are rank 0's."""
