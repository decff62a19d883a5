"""Engines: how ranks see each other. The loop knows no more than this about being one process or many.

single     one process; nothing to exchange
horovod    N processes; gradients averaged by Horovod's ring all-reduce
torch      N processes; gradients averaged by torch.distributed over Gloo

A script that a launcher has started (`horovodrun`, `torchrun`, or none) takes part by `engine = join()`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cortigraph.graph.errors import UnknownKeyError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer

__all__ = ["ENGINES", "Engine", "engine_of", "join", "open_engine"]

Finish = Callable[[], "Tensor"]


class Engine(ABC):
    """How the ranks of one training exchange tensors. Every rank calls the same methods in the same order.

    Args:
        rank: Of this process, from 0.
        size: How many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.shares: list[float] | None = None  # of the work, by rank, together 1; None for equal ones
        self.exchanged = 0  # bytes of gradients and parameters that this rank has given to be averaged
        self.arrived = self.left = 0  # exchanges that this rank has come to, and come back from
        self._step_bytes = 0

    def distribute(
        self, optimizer: Optimizer, named_parameters: Iterable[tuple[str, Parameter]], half: bool = False
    ) -> Optimizer:
        """An optimizer that steps by the mean of all ranks' gradients; take the steps by `step`.

        Args:
            optimizer: Over these parameters.
            named_parameters: In the same order on every rank.
            half: Gradients travel as 16-bit numbers.
        """
        named = list(named_parameters)
        sizes = ((2 if half else value.element_size()) * value.numel() for _, value in named)
        self._step_bytes = sum(sizes) if self.size > 1 else 0
        return self._distribute(optimizer, named, half)

    def step(self, optimizer: Optimizer) -> None:
        """Waits for the mean of the gradients and takes the step."""
        with self.waiting():
            optimizer.step()
        self.exchanged += self._step_bytes

    def average_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Puts the mean over ranks in the place of every gradient: for loops that do something with it before a step.

        Args:
            parameters: In the same order on every rank; one without a gradient counts as having one of zero.
        """
        import torch

        if self.size == 1:
            return
        grads = [torch.zeros_like(value) if value.grad is None else value.grad for value in parameters]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        mean = self.start_sum(flat)() / self.size
        for value, part in zip(parameters, torch.split(mean, [grad.numel() for grad in grads]), strict=True):
            value.grad = part.view_as(value).clone()

    def reduce_sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, the same on each."""
        with self.waiting():
            return self._start_sum(tensor)()

    def start_sum(self, tensor: Tensor) -> Finish:
        """Begins to sum over ranks, and gives what waits for the sum; the tensor must stay as it is until then."""
        self.exchanged += tensor.nbytes if self.size > 1 else 0
        finish = self._start_sum(tensor)

        def waited() -> Tensor:
            with self.waiting():
                return finish()

        return waited

    def gather(self, tensor: Tensor) -> Tensor:
        """All ranks' rows in the order of ranks; ranks may hold different numbers of rows."""
        with self.waiting():
            return self._gather(tensor)

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrites every tensor with rank 0's."""
        with self.waiting():
            self._broadcast(tensors)

    @abstractmethod
    def _distribute(self, optimizer: Optimizer, named: list[tuple[str, Parameter]], half: bool) -> Optimizer: ...

    @abstractmethod
    def _start_sum(self, tensor: Tensor) -> Finish: ...

    @abstractmethod
    def _gather(self, tensor: Tensor) -> Tensor: ...

    @abstractmethod
    def _broadcast(self, tensors: Sequence[Tensor]) -> None: ...

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

    def share_all(self, text: str) -> list[str]:
        """Every rank's text, in the order of ranks, on every rank."""
        import torch

        data = text.encode()
        lengths = self.gather(torch.tensor([len(data)])).tolist()
        everything = self.gather(torch.tensor(list(data), dtype=torch.uint8)).numpy().tobytes()
        ends = [sum(lengths[: rank + 1]) for rank in range(self.size)]
        return [everything[end - length : end].decode() for end, length in zip(ends, lengths, strict=True)]

    def slice(self, count: int) -> tuple[int, int]:
        """Which of `count` items are this rank's: begin and end; together the ranks have each item once.

        Example:
            >>> from cortigraph.train.single import SingleEngine
            >>> SingleEngine().slice(10)
            (0, 10)
        """
        if self.shares is None:
            return self.rank * count // self.size, (self.rank + 1) * count // self.size
        return _bound(self.shares[: self.rank], count), _bound(self.shares[: self.rank + 1], count)

    def getting_on(self) -> None:
        """Says so, in long work without an exchange, to who watches from outside."""
        self.arrived += 1
        self.left += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around whatever waits for another rank: who watches from outside sees by it who keeps whom waiting."""
        self.arrived += 1
        yield
        self.left += 1


def _bound(shares: Sequence[float], count: int) -> int:
    return round(sum(shares) * count)


def _single() -> Engine:
    from cortigraph.train.single import SingleEngine

    return SingleEngine()


def _horovod() -> Engine:
    from cortigraph.train.horovod import HorovodEngine

    return HorovodEngine()


def _torch() -> Engine:
    from cortigraph.train.gloo import TorchEngine

    return TorchEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"single": _single, "horovod": _horovod, "torch": _torch}


def open_engine(name: str) -> Engine:
    """Joins the group of this process.

    Args:
        name: `single`, `horovod` or `torch`.

    Raises:
        UnknownKeyError: There is no such engine.
        SetupError: What it needs is not installed.
    """
    if name not in ENGINES:
        raise UnknownKeyError("engine", name, ENGINES)
    return ENGINES[name]()


def join() -> Engine:
    """Joins the group that a launcher has started this process in; without one, the process is its own group.

    Example:
        >>> join().size
        1
    """
    return open_engine(engine_of(os.environ))


def engine_of(environment: Mapping[str, str]) -> str:
    """Which engine's launcher has left its marks in an environment.

    Example:
        >>> engine_of({"HOROVOD_SIZE": "2"}), engine_of({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h"})
        ('horovod', 'torch')
    """
    if "HOROVOD_SIZE" in environment or "HOROVOD_ELASTIC" in environment:
        return "horovod"
    return "torch" if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= set(environment) else "single"
