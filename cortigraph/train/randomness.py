"""Random numbers as a function of counters: seed, epoch, step. Nothing has to be saved to resume, or sent to agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor

__all__ = ["generator", "own_randomness", "permutation", "threads"]


def generator(seed: int, *counters: int) -> Generator:
    """A generator that depends on nothing but these numbers.

    Example:
        >>> first, again = (torch.rand(2, generator=generator(0, 3, 1)) for _ in range(2))
        >>> bool((first == again).all())
        True
    """
    return torch.Generator().manual_seed(mixed(seed, *counters))


def mixed(seed: int, *counters: int) -> int:
    """One number of 62 bits out of several, different for different counters."""
    value = seed + 1
    for counter in counters:
        # The multiplier is that of a linear congruential generator: neighbours end up far apart.
        value = (value * 6_364_136_223_846_793_005 + counter + 1_442_695_040_888_963_407) % (1 << 62)
    return value


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """The order of samples in an epoch, (count,), the same on every rank."""
    return torch.randperm(count, generator=generator(seed, epoch))


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Runs with torch's global generator seeded, and puts it back as it was: a library leaves it alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Runs with so many torch threads, and puts the number back as it was.

    Args:
        count: Threads of this process; None leaves them as they are.
    """
    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(max(1, count))
        yield
    finally:
        torch.set_num_threads(before)
