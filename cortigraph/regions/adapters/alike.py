"""Alike: whether a network that was made again does what the original does, in evaluation and in training."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.graph.errors import brief
from cortigraph.regions.adapters.export import named_outputs

__all__ = ["differences", "loaded"]

# Of the largest value: other kernels may round otherwise, another network differs by far more.
_TOLERANCE = 1e-4
_Run = Callable[[nn.Module], Any]


def differences(
    original: nn.Module,
    again: nn.Module,
    run: _Run,
    rerun: _Run | None = None,
    modes: Sequence[str] = ("evaluation", "training"),
) -> list[str]:
    """In what two networks differ: their outputs in evaluation, and in training for the same random numbers.

    Args:
        original: Its mode, and what training keeps in buffers, are left changed.
        again: The network that was made again, likewise.
        run: Runs the original on an example; gives what it gives.
        rerun: Runs the other, when it is called in another way.
        modes: In which they are compared.

    Returns:
        One message per difference; empty when there is none.
    """
    problems = []
    for mode in modes:
        wanted = _outputs(original, run, mode)
        if isinstance(wanted, str):
            # One that can't be trained on this example, say for its batch norm, is judged by evaluation alone; nor is
            # the other run, which may not look, and would keep what is no number.
            problems += [f"it can't be run on the example: {wanted}"] if mode == "evaluation" else []
            continue
        got = _outputs(again, rerun or run, mode)
        if isinstance(got, str):
            problems.append(f"in {mode}, it can't be run again as it was: {got}")
        else:
            problems += _between(wanted, got, mode)
    return problems


def loaded(module: nn.Module, again: nn.Module) -> list[str]:
    """Gives a network the weights of another; why they do not suit it, or nothing.

    Example:
        >>> len(loaded(nn.Linear(2, 3), nn.Linear(2, 3))), len(loaded(nn.Linear(2, 3), nn.Linear(2, 4)))
        (0, 1)
    """
    try:
        again.load_state_dict(module.state_dict())
    except RuntimeError as error:
        return [brief(error)]
    return []


def _outputs(module: nn.Module, run: _Run, mode: str) -> Mapping[str, Tensor] | str:
    module.train(mode == "training")
    with _same_chance(), torch.no_grad():
        try:
            return named_outputs(run(module))
        # Whatever forward raises is told to the user.
        except Exception as error:
            return brief(error)


@contextmanager
def _same_chance() -> Iterator[None]:
    """The same random numbers whenever it is entered, whoever draws them; afterwards all is as if nothing was drawn."""
    states = random.getstate(), np.random.get_state()
    random.seed(0)
    np.random.seed(0)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _between(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor], mode: str) -> list[str]:
    missing = [name for name in wanted if name not in got]
    if missing:
        return [f"in {mode}, the outputs {', '.join(missing)} are missing"]
    far = {name: _distance(value, got[name]) for name, value in wanted.items()}
    return [f"in {mode}, {name} differs by {value:.2g}" for name, value in far.items() if not value <= _TOLERANCE]


def _distance(wanted: Tensor, got: Tensor) -> float:
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        return float("inf")
    if wanted.numel() == 0 or torch.equal(wanted, got):
        return 0.0
    gap = (wanted.double() - got.double()).abs().max()
    return float(gap / wanted.double().abs().max().clamp(min=1e-6))
