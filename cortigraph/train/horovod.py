"""The engine of N Horovod processes. Horovod is imported only when this engine is opened."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.graph.errors import SetupError
from cortigraph.train.buckets import buckets
from cortigraph.train.engine import Engine, Finish

__all__ = ["HorovodEngine", "import_horovod", "why_missing"]


class HorovodEngine(Engine):
    """The ranks that `horovodrun` started.

    Raises:
        SetupError: Horovod is not built.
    """

    def __init__(self) -> None:
        self._hvd = import_horovod()
        self._hvd.init()
        super().__init__(rank=self._hvd.rank(), size=self._hvd.size())

    def _distribute(self, optimizer: Optimizer, named: list[tuple[str, Parameter]], half: bool) -> Optimizer:
        # Horovod's `DistributedOptimizer`: a bucket of gradients is averaged as soon as it is full. One by one they are
        # agreed upon one by one, every few milliseconds, by a thread that takes its time from the backward pass.
        for _, parameter in named:
            # Horovod sends contiguous memory only, and a gradient is laid out as its parameter.
            parameter.data = parameter.data.contiguous()
        kind = self._hvd.Compression.fp16 if half else self._hvd.Compression.none
        wrapped: Optimizer = self._hvd.DistributedOptimizer(
            optimizer, named_parameters=named, op=self._hvd.Average, compression=kind,
            groups=buckets([parameter for _, parameter in named]),
        )  # fmt: skip
        return wrapped

    def step(self, optimizer: Optimizer) -> None:
        hooked: Any = optimizer
        if self.size > 1:
            sent = [key if isinstance(key, tuple) else (key,) for key in hooked._handles]
            # One that is not made here, perhaps on another rank, is zero: its bucket would wait for it forever.
            for parameter in hooked._requires_update.difference(*sent):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                hooked._make_hook(parameter)()
        super().step(optimizer)

    def _start_sum(self, tensor: Tensor) -> Finish:
        handle = self._hvd.allreduce_async(tensor.contiguous(), op=self._hvd.Sum)

        def finish() -> Tensor:
            total: Tensor = self._hvd.synchronize(handle)
            return total

        return finish

    def _gather(self, tensor: Tensor) -> Tensor:
        rows: Tensor = self._hvd.allgather(tensor.contiguous())
        return rows

    def _broadcast(self, tensors: Sequence[Tensor]) -> None:
        flat = [tensor.detach().contiguous() for tensor in tensors]
        # All are submitted before the first is waited for, so that Horovod can fuse them.
        handles = [self._hvd.broadcast_async_(tensor, root_rank=0) for tensor in flat]
        for handle in handles:
            self._hvd.synchronize(handle)
        with torch.no_grad():
            for tensor, received in zip(tensors, flat, strict=True):
                if tensor.data_ptr() != received.data_ptr():
                    tensor.copy_(received)

    def close(self) -> None:
        """Leaves the group."""
        self._hvd.shutdown()


def import_horovod() -> Any:
    """`horovod.torch`.

    Raises:
        SetupError: It is not built; says why and how to build it.
    """
    reason = why_missing()
    if reason:
        raise SetupError(
            f"the horovod engine needs Horovod built for PyTorch with Gloo: {reason}. Run `make setup`, which builds "
            "it (HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1, CMAKE_POLICY_VERSION_MINIMUM=3.5, "
            "and a compiler wrapper that adds -std=gnu++20 last), or choose the torch engine, which needs nothing more"
        )
    return import_module("horovod.torch")


def why_missing() -> str:
    """Why the engine cannot be used here; an empty text when it can."""
    try:
        module = import_module("horovod.torch")
    except ImportError as error:
        # Horovod's own message for a missing framework spans many lines.
        return str(error).splitlines()[0] if str(error) else "it cannot be imported"
    except Exception as error:  # a library built for another torch fails in its own ways
        return f"it is installed but cannot be loaded ({error})"
    return "" if module.gloo_built() else "it was built without Gloo"
