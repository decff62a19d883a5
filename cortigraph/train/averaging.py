"""Averaging: how what the ranks have learned becomes one, after every step or after several.

EveryStep     the mean of gradients, weighted by samples: the step that one rank would take with the whole batch
LocalSteps    each rank steps on its own; then the mean way of all is followed by an outer Nesterov step (DiLoCo)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.train.engine import Engine, Finish
from cortigraph.train.exchange import Exchange

__all__ = ["Averaging", "EveryStep", "LocalSteps", "averaging"]

Named = Sequence[tuple[str, Parameter]]


class Averaging(ABC):
    """What follows a backward pass.

    Args:
        optimizer: That takes the steps.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    @abstractmethod
    def weight(self, part: int, whole: int) -> float:
        """What the summed loss of this rank's part of a batch is multiplied by, before the backward pass.

        Args:
            part: Samples of this rank; may be 0.
            whole: Samples of the batch.
        """

    @abstractmethod
    def step(self) -> None:
        """Takes a step."""

    def settle(self) -> None:  # noqa: B027 - there is nothing to do where ranks never differ
        """Makes all ranks hold the same parameters: before they are measured or committed."""

    def begin(self) -> None:  # noqa: B027
        """All ranks hold the same parameters now."""

    def tensors(self) -> dict[str, Tensor]:
        """State of its own that a commit must hold, when ranks are settled."""
        return {}


class EveryStep(Averaging):
    """The mean of all gradients in every step.

    Args:
        engine: Of this rank.
        optimizer: Over the parameters.
        named: The parameters.
        exchange: How gradients travel.
    """

    def __init__(self, engine: Engine, optimizer: Optimizer, named: Named, exchange: Exchange) -> None:
        super().__init__(engine.distribute(optimizer, named, half=exchange.compression == "fp16"))
        self._engine = engine

    def weight(self, part: int, whole: int) -> float:
        """So scaled, the mean over ranks is the gradient of the mean over the batch, however it is shared out."""
        return self._engine.size / whole

    def step(self) -> None:
        """Takes the same step on every rank."""
        self._engine.step(self.optimizer)


class LocalSteps(Averaging):
    """Several steps of each rank on its own, then one of all together.

    With `overlap` the mean of one period is followed only after the next, whose local steps are kept: the mean travels
    meanwhile.

    Args:
        engine: Of this rank.
        optimizer: Over the parameters.
        named: The parameters.
        exchange: How many steps, how the mean is followed, how it travels.
    """

    def __init__(self, engine: Engine, optimizer: Optimizer, named: Named, exchange: Exchange) -> None:
        super().__init__(optimizer)
        self._engine, self._exchange = engine, exchange
        self._parameters = [parameter for _, parameter in named]
        self._momentum = torch.zeros(sum(parameter.numel() for parameter in self._parameters))
        self._pending: tuple[Finish, Tensor] | None = None
        self.begin()

    def begin(self) -> None:
        """Sets out from the parameters as they are."""
        self._anchor = self._flat()
        self._steps = self._mine = self._all = 0

    def weight(self, part: int, whole: int) -> float:
        """The mean over this rank's own samples: it steps by them alone."""
        self._mine += part
        self._all += whole
        return 1 / max(part, 1)

    def step(self) -> None:
        """Takes a step; after the last of a period, one of all ranks."""
        self.optimizer.step()
        self._steps += 1
        if self._steps == self._exchange.local_steps:
            self._meet(wait=not self._exchange.overlap)

    def settle(self) -> None:
        """Meets the others, if anything was learned since they met."""
        if self._steps or self._pending:
            self._meet(wait=True)

    def tensors(self) -> dict[str, Tensor]:
        """The outer momentum; the anchor is the parameters themselves."""
        return {"momentum": self._momentum}

    @torch.no_grad()
    def _meet(self, wait: bool) -> None:
        self._follow_pending()
        here = self._flat()
        # Weighted by samples, so that a rank with a small share counts as little as what it saw.
        share = self._mine / self._all if self._all else 1 / self._engine.size
        way = (self._anchor - here) * share
        self._pending = self._engine.start_sum(way.half() if self._exchange.compression == "fp16" else way), here
        self._steps = self._mine = self._all = 0
        if wait:
            self._follow_pending()

    def _follow_pending(self) -> None:
        if self._pending is None:
            return
        finish, then = self._pending
        self._pending = None
        way, momentum = finish().float(), self._exchange.outer_momentum
        if momentum:
            self._momentum.mul_(momentum).add_(way)
            way = way + momentum * self._momentum
        self._anchor -= self._exchange.outer_rate * way
        # What was learned since `then` is kept, on top of where all are now.
        here = self._flat() if self._steps else then
        target = self._anchor + (here - then)
        for parameter, part in zip(
            self._parameters, torch.split(target, [p.numel() for p in self._parameters]), strict=True
        ):
            parameter.copy_(part.view(parameter.shape))

    def _flat(self) -> Tensor:
        return torch.cat([parameter.detach().reshape(-1) for parameter in self._parameters])


def averaging(engine: Engine, optimizer: Optimizer, named: Named, exchange: Exchange) -> Averaging:
    """What an exchange asks for. One rank alone takes every step as it comes."""
    if exchange.local_steps > 1 and engine.size > 1:
        return LocalSteps(engine, optimizer, named, exchange)
    return EveryStep(engine, optimizer, named, exchange)
