"""Engines: how ranks see each other. The loop knows no more than this about being one process or many.

single     one process; nothing to exchange
horovod    N processes; gradients averaged by ring all-reduce
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import UnknownKeyError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer

__all__ = ["ENGINES", "Engine", "open_engine"]


class Engine(ABC):
    """How the ranks of one training exchange tensors. Every rank calls the same methods in the same order.

    Args:
        rank: Of this process, from 0.
        size: How many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size

    @abstractmethod
    def distribute(self, optimizer: Optimizer, named_parameters: Iterable[tuple[str, Parameter]]) -> Optimizer:
        """An optimizer that steps by the mean of all ranks' gradients."""

    @abstractmethod
    def reduce_sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, the same on each."""

    @abstractmethod
    def gather(self, tensor: Tensor) -> Tensor:
        """All ranks' rows in the order of ranks; ranks may hold different numbers of rows."""

    @abstractmethod
    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrites every tensor with rank 0's."""

    def close(self) -> None:  # noqa: B027 - most groups end with their process
        """Leaves the group."""

    def share(self, text: str) -> str:
        """Rank 0's text, on every rank."""
        import torch

        if self.size == 1:
            return text
        data = (
            torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.zeros(0, dtype=torch.uint8)
        )
        length = torch.tensor([len(data)])
        self.broadcast([length])
        if self.rank:
            data = torch.zeros(int(length), dtype=torch.uint8)
        if len(data):
            self.broadcast([data])
        return data.numpy().tobytes().decode()

    def slice(self, count: int) -> tuple[int, int]:
        """Which of `count` items are this rank's: begin and end; together the ranks have each item once.

        Example:
            >>> from cortigraph.train.single import SingleEngine
            >>> SingleEngine().slice(10)
            (0, 10)
        """
        return self.rank * count // self.size, (self.rank + 1) * count // self.size


def _single() -> Engine:
    from cortigraph.train.single import SingleEngine

    return SingleEngine()


def _horovod() -> Engine:
    from cortigraph.train.horovod import HorovodEngine

    return HorovodEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"single": _single, "horovod": _horovod}


def open_engine(name: str) -> Engine:
    """Joins the group of this process.

    Args:
        name: `single` or `horovod`.

    Raises:
        UnknownKeyError: There is no such engine.
        SetupError: What it needs is not installed.
    """
    if name not in ENGINES:
        raise UnknownKeyError("engine", name, ENGINES)
    return ENGINES[name]()
