"""Training the path reasoner on a GPU: queries per second, an epoch's time, memory; and whether it is the same twice.

    python benchmarks/gpu_speed.py [--data FB15k-237] [--steps 30] [--set batch=64 …] [--profile] [--device cuda]

The step is that of training: forward, backward, clipping, optimizer. `drift` is how far losses and gradients of a step
are from those that torch alone gives on the CPU from the same weights (relative, with room for all entities, so that
no choice rests on rounding); `repeats` says that the same steps from the same weights gave the same bits. `asked_per_s`
are queries scored with `most_asked`. The last line is JSON. Graphs are looked for under CORTIGRAPH_DATA, else
../shared/data beside the project. Without a GPU it says so and is done.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from _stage import last_line, tell
from kg_quality import folder, settings_for
from torch import Tensor

from cortigraph.reasoning.reasoners.path.questions import Questions
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.train import checked_settings
from cortigraph.reasoning.reasoners.triples import Splits, read_splits

WARM = 5  # steps that are not counted: memory is taken, and kernels are compiled


class Bench:
    """A reasoner that learns, from weights that a seed gives.

    Args:
        splits: Of the graph.
        settings: How.
        device: Where.
    """

    def __init__(self, splits: Splits, settings: PathSettings, device: str) -> None:
        settings = settings.for_graph(len(splits.facts.entities))
        self.reasoner = PathReasoner(splits.facts.relations, settings)
        self.questions = Questions(splits.facts, splits.valid, settings)
        self.reasoner.network.to(device).train()
        parameters = self.reasoner.network.parameters()
        self._optimizer = torch.optim.AdamW(parameters, settings.learning_rate, fused=True)
        torch.manual_seed(settings.seed)

    def step(self, number: int) -> float:
        """One step; its loss."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self.questions.loss(self.reasoner, number)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.reasoner.network.parameters(), 1.0)
        self._optimizer.step()
        return float(loss.detach())

    @property
    def weights(self) -> Tensor:
        """All of them in a row."""
        return torch.cat([each.detach().flatten() for each in self.reasoner.network.parameters()])

    @property
    def gradients(self) -> Tensor:
        """All of them in a row, on the CPU."""
        given = [each.grad for each in self.reasoner.network.parameters()]
        return torch.cat([each.flatten().cpu() for each in given if each is not None])


def drift(splits: Splits, settings: PathSettings, device: str) -> float:
    """How far a step's loss and gradients are from those of torch alone on the CPU."""
    few = settings.model_copy(update={"batch": 2, "most": len(splits.facts.entities), "most_asked": None})
    found = []
    with patch.dict(os.environ, {"CORTIGRAPH_KERNEL": "torch"}):
        for where in ("cpu", device):
            bench = Bench(splits, few, where)
            loss = bench.questions.loss(bench.reasoner, 0)
            torch.autograd.backward(loss)
            found.append((float(loss.detach()), bench.gradients))
    (loss, slopes), (other, others) = found
    return max(abs(loss - other) / abs(loss), float((slopes - others).norm() / slopes.norm()))


def repeats(splits: Splits, settings: PathSettings, device: str, steps: int = 4) -> bool:
    """Whether some steps give the same weights twice."""
    found = []
    for _ in range(2):
        bench = Bench(splits, settings, device)
        for number in range(steps):
            bench.step(number)
        found.append(bench.weights)
    return torch.equal(*found)


def profile(bench: Bench) -> None:
    """Where the time of three steps goes."""
    from torch.profiler import ProfilerActivity

    with torch.profiler.profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        for number in range(3):
            bench.step(WARM + number)
    table = found.key_averages()
    tell(table.table(sort_by="self_cuda_time_total", row_limit=22, max_name_column_width=60))


def main() -> None:
    """Checks, then speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="FB15k-237")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    place, device = folder(arguments.data), arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("skipped: no GPU that torch can use")
    if place is None:
        sys.exit(f"skipped: no folder kg/…/{arguments.data} under CORTIGRAPH_DATA or ../shared/data")
    _, chosen = settings_for(arguments.data, "path")
    choices: dict[str, Any] = {**chosen, **dict(each.split("=", 1) for each in arguments.set)}
    settings = checked_settings("path", choices)
    assert isinstance(settings, PathSettings)
    splits = read_splits(place)
    apart, same = drift(splits, settings, device), repeats(splits, settings, device)
    tell(f"drift {apart:.1e}, the same twice: {same}")
    bench = Bench(splits, settings, device)
    for number in range(WARM):
        bench.step(number)
    began = time.perf_counter()
    for number in range(WARM, WARM + arguments.steps):
        bench.step(number)
    rate = arguments.steps * settings.batch / (time.perf_counter() - began)
    if arguments.profile:
        profile(bench)
    queries = np.ascontiguousarray(splits.valid[: 4 * bench.reasoner.batch, :2])
    bench.reasoner.score(splits.facts, queries[:1])
    began = time.perf_counter()
    for start in range(0, len(queries), bench.reasoner.batch):
        bench.reasoner.score(splits.facts, queries[start : start + bench.reasoner.batch])
    asked = len(queries) / (time.perf_counter() - began)
    on_gpu = device == "cuda"
    last_line(
        queries_per_s=rate,
        epoch_seconds=len(bench.questions) / rate,
        asked_per_s=asked,
        gigabytes=torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
        drift=apart,
        repeats=same,
        data=arguments.data,
        settings=choices,
        gpu=torch.cuda.get_device_name() if on_gpu else None,
    )


if __name__ == "__main__":
    main()
