"""The limit of a training's time: looked at within an epoch, by all ranks at the same step."""

from __future__ import annotations

import torch

from cortigraph.train.clock import Clock
from cortigraph.train.engine import Engine

__all__ = ["Limit"]

_LOOK_SECONDS = 0.25  # from one look of several ranks to the next: each is an exchange
_FORWARD = 0.4  # of a step: measuring a sample takes about so much of what learning from it takes
_KEEPING = 0.02  # share of the time in which what was learned is written


class Limit:
    """Says when training must end so that what it learned can still be measured and kept.

    Args:
        clock: Of all that is to be done; rank 0's counts.
        engine: This rank.
    """

    def __init__(self, clock: Clock, engine: Engine) -> None:
        self.over = False
        self._clock, self._engine = clock, engine
        self._began = clock.elapsed
        self._samples, self._step, self._next = 0, 0, 1

    def reached(self, samples: int, measured: int) -> bool:
        """Whether this step was the last.

        Args:
            samples: Of the step, of all ranks.
            measured: So many will be measured after it.
        """
        if self._clock.seconds is None:
            return False
        self._samples += samples
        self._step += 1
        if self._step < self._next:
            return False
        spent = max(self._clock.elapsed - self._began, 1e-9)
        closing = _FORWARD * measured * spent / self._samples + _KEEPING * self._clock.seconds
        gap = 1.0 if self._engine.size == 1 else max(1.0, _LOOK_SECONDS * self._step / spent)
        if self._engine.size > 1:
            mine = torch.tensor([float(self._clock.left <= closing), gap], dtype=torch.float64)
            late, gap = self._engine.reduce_sum(mine if self._engine.rank == 0 else torch.zeros_like(mine)).tolist()
        else:
            late = float(self._clock.left <= closing)
        self._next = self._step + int(gap)
        self.over = bool(late)
        return self.over
