"""Shares of the work that follow the ranks' measured speed, so that none waits long for another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cortigraph.train.engine import Engine

__all__ = ["Speed", "shares_of"]

_PERIOD = 8  # steps between two looks
_LEAST = 0.2  # of an equal share: who has nothing to do can't show that it has become faster
_TRUST = 0.7  # how much of the way to the new shares is gone at once: measured times are noisy


class Speed:
    """Measures this rank's work, and now and then sets all ranks' shares by everybody's.

    Args:
        engine: Its `shares` are set, the same on every rank.
        on: Whether to; without it, shares stay equal.
    """

    def __init__(self, engine: Engine, on: bool) -> None:
        self._engine, self._on = engine, on and engine.size > 1
        engine.shares = [1 / engine.size] * engine.size if self._on else None
        self._steps = self._samples = 0
        self._seconds = 0.0

    @contextmanager
    def working(self, samples: int) -> Iterator[None]:
        """Around this rank's own work on so many samples; waiting for others is no part of it."""
        began = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - began
        self._samples += samples

    def step(self) -> None:
        """After each step, on every rank alike."""
        if not self._on:
            return
        self._steps += 1
        if self._steps < _PERIOD:
            return
        told = self._engine.gather(torch.tensor([[self._samples, self._seconds]], dtype=torch.float64))
        assert self._engine.shares is not None
        self._engine.shares = shares_of(self._engine.shares, told.tolist())
        self._steps = self._samples = 0
        self._seconds = 0.0


def shares_of(shares: list[float], told: list[list[float]]) -> list[float]:
    """New shares.

    Args:
        shares: Those until now, together 1.
        told: Samples and seconds of each rank since the last look.

    Example:
        >>> [round(share, 2) for share in shares_of([0.5, 0.5], [[100, 1.0], [100, 2.0]])]
        [0.62, 0.38]
    """
    count = len(shares)
    speeds = [samples / seconds if samples and seconds else 0.0 for samples, seconds in told]
    known = [speed for speed in speeds if speed]
    if not known:
        return shares
    speeds = [speed or min(known) for speed in speeds]
    wanted = [max(speed / sum(speeds), _LEAST / count) for speed in speeds]
    moved = [_TRUST * new / sum(wanted) + (1 - _TRUST) * old for new, old in zip(wanted, shares, strict=True)]
    return [share / sum(moved) for share in moved]
