"""The engine of N processes under torch.distributed, over Gloo: for platforms where Horovod can't be built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist

# Its functions have the group of the moment of their import as a default. Were torch to import them while there is one,
# that group's threads would outlive `close`, and abort a process that ends just then.
import torch.distributed.nn.functional
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from cortigraph.train.buckets import buckets
from cortigraph.train.engine import Engine, Finish

__all__ = ["TorchEngine"]

_TIMEOUT = timedelta(seconds=600)  # who watches a group gives up sooner, and names the rank that is missing


class TorchEngine(Engine):
    """The ranks that `torchrun` started, or our own launcher."""

    def __init__(self) -> None:
        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=_TIMEOUT)
        super().__init__(rank=dist.get_rank(), size=dist.get_world_size())

    def _distribute(self, optimizer: Optimizer, named: list[tuple[str, Parameter]], half: bool) -> Optimizer:
        if self.size > 1:
            _Averaging([parameter for _, parameter in named], self.size, half).attach(optimizer)
        return optimizer

    def _start_sum(self, tensor: Tensor) -> Finish:
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        work = dist.all_reduce(total, async_op=True)

        def finish() -> Tensor:
            work.wait()
            return total

        return finish

    def _gather(self, tensor: Tensor) -> Tensor:
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(tensor)]))
        most = max(int(count) for count in counts)
        padded = tensor.new_zeros(most, *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])

    def _broadcast(self, tensors: Sequence[Tensor]) -> None:
        flat = [tensor.detach().contiguous() for tensor in tensors]
        for work in [dist.broadcast(tensor, src=0, async_op=True) for tensor in flat]:
            assert work is not None
            work.wait()
        with torch.no_grad():
            for tensor, received in zip(tensors, flat, strict=True):
                if tensor.data_ptr() != received.data_ptr():
                    tensor.copy_(received)

    def close(self) -> None:
        """Leaves the group."""
        if dist.is_initialized():
            dist.destroy_process_group()


@dataclass
class _Bucket:
    parameters: list[Parameter]
    views: list[Tensor] = field(default_factory=list)
    flat: Tensor = field(default_factory=lambda: torch.zeros(0))
    missing: int = 0
    work: dist.Work | None = None


class _Averaging:
    """Averages gradients in buckets: each begins to travel while the backward pass goes on.

    Buckets are sent in one fixed order, whatever order the gradients come in, so that ranks never mix them up.

    Args:
        parameters: In the same order on every rank.
        size: Ranks.
        half: They travel as 16-bit numbers.
    """

    def __init__(self, parameters: Sequence[Parameter], size: int, half: bool) -> None:
        self._size = size
        self._buckets = [_Bucket(each) for each in buckets(parameters)]
        self._next = 0
        for bucket in self._buckets:
            sizes = [parameter.numel() for parameter in bucket.parameters]
            kind = torch.float16 if half else bucket.parameters[0].dtype
            bucket.flat = torch.zeros(sum(sizes), dtype=kind)
            bucket.views = [
                part.view(parameter.shape)
                for part, parameter in zip(torch.split(bucket.flat, sizes), bucket.parameters, strict=True)
            ]
        self._reset()

    def attach(self, optimizer: Optimizer) -> None:
        """From now on the optimizer steps by the mean."""
        for bucket in self._buckets:
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                parameter.register_post_accumulate_grad_hook(_Arrival(self, bucket, view))  # type: ignore[no-untyped-call]
        optimizer.register_step_pre_hook(lambda *_: self._finish())

    def arrived(self, bucket: _Bucket) -> None:
        """A gradient of a bucket is there: sends all buckets whose turn it is."""
        bucket.missing -= 1
        while self._next < len(self._buckets) and not self._buckets[self._next].missing:
            ready = self._buckets[self._next]
            ready.work = dist.all_reduce(ready.flat, async_op=True)
            self._next += 1

    @torch.no_grad()
    def _finish(self) -> None:
        for bucket in self._buckets[self._next :]:
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                if parameter.grad is None:
                    view.zero_()  # not used in this pass here, perhaps on another rank
            bucket.work = dist.all_reduce(bucket.flat, async_op=True)
        for bucket in self._buckets:
            assert bucket.work is not None
            bucket.work.wait()
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                torch.div(view, self._size, out=parameter.grad) if view.dtype == parameter.dtype else (
                    parameter.grad.copy_(view).div_(self._size)
                )
        self._reset()

    def _reset(self) -> None:
        self._next = 0
        for bucket in self._buckets:
            bucket.missing, bucket.work = len(bucket.parameters), None


@dataclass(frozen=True)
class _Arrival:
    averaging: _Averaging
    bucket: _Bucket
    view: Tensor

    @torch.no_grad()
    def __call__(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.view.copy_(parameter.grad)
        self.averaging.arrived(self.bucket)
