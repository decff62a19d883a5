"""Profile: what a module costs, measured and not typed in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cortigraph.regions.ports import Port
from cortigraph.regions.probes import probes, vocabulary

__all__ = ["BATCH", "Profile", "flops", "profile"]

BATCH = 32
_WARM_UP, _RUNS, _BATCH_RUNS = 2, 15, 5


class Profile(BaseModel):
    """What a module costs.

    Args:
        parameters: How many numbers it has, trained or not.
        flops: Floating-point operations for one sample; a multiplication and an addition count as two.
        latency_ms: Milliseconds for one sample, one thread, without gradients.
        batch_latency_ms: Milliseconds for a batch of 32 samples, one thread, without gradients.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int = Field(ge=0)
    flops: int = Field(ge=0)
    latency_ms: float = Field(ge=0)
    batch_latency_ms: float = Field(ge=0)


def profile(module: nn.Module, inputs: Sequence[Port]) -> Profile:
    """Measures a module.

    Args:
        module: Run as it is, in evaluation mode, on the CPU.
        inputs: What `forward` is given, every size known: `region.typical()`, or the ports of the data.

    Returns:
        Its cost for inputs of those sizes.

    Example:
        >>> from cortigraph.regions.vision import REGIONS
        >>> found = profile(REGIONS[0].build(), REGIONS[0].typical())
        >>> found.parameters, found.flops, found.latency_ms > 0
        (6016, 1216768, True)
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), _one_thread():
            one, many = (_values(module, inputs, count) for count in (1, BATCH))
            return Profile(
                parameters=sum(parameter.numel() for parameter in module.parameters()),
                flops=_flops(module, one),
                latency_ms=_milliseconds(module, one, _RUNS),
                batch_latency_ms=_milliseconds(module, many, _BATCH_RUNS),
            )
    finally:
        module.train(was_training)


def flops(module: nn.Module, inputs: Sequence[Port]) -> int:
    """Floating-point operations for one sample; the module is run once, in the mode that it is in.

    Args:
        module: Run as it is.
        inputs: What `forward` is given, every size known.
    """
    with torch.no_grad():
        return _flops(module, _values(module, inputs, 1))


def _values(module: nn.Module, inputs: Sequence[Port], count: int) -> list[Tensor]:
    below = vocabulary(module, inputs)
    return [probes(port, count, seed=i, below=below) for i, port in enumerate(inputs)]


def _flops(module: nn.Module, values: Sequence[Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        module(*values)
    return int(counter.get_total_flops())


def _milliseconds(module: nn.Module, values: Sequence[Tensor], runs: int) -> float:
    times = []
    for _ in range(_WARM_UP + runs):
        start = time.perf_counter()
        module(*values)
        times.append(time.perf_counter() - start)
    return 1000 * median(times[_WARM_UP:])


@contextmanager
def _one_thread() -> Iterator[None]:
    # Latencies of different machines and moments are comparable only for one thread.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
