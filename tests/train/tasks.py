"""What the ranks of a test's group are asked to do, imported by each of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.builders import builder
from cortigraph.regions.convnets import lenet3
from cortigraph.train.engine import Engine
from cortigraph.train.tasks import Report, task


@task("exercise")
def exercise(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """Everything that an engine offers, once."""
    report(f"rank {engine.rank} of {engine.size}")
    rank = float(engine.rank)
    named = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    if rank:
        named[0].grad = torch.ones(1)
    engine.average_gradients(named)
    mine = torch.full((2,), rank)
    engine.broadcast([mine])
    return {
        "size": engine.size,
        "sum": engine.reduce_sum(torch.full((int(str(arguments["length"])),), rank)).tolist(),
        "rows": engine.gather(torch.full((engine.rank,), rank)).tolist(),
        "texts": list(engine.share_all(f"rank {engine.rank} says ä" if rank else "")),
        "gradient": [float(parameter.grad) for parameter in named if parameter.grad is not None],
        "broadcast": float(mine.sum()),
    }


@task("branches")
def branches(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """Each rank trains a part of its own beside a common one, in turn; the third is used by nobody."""
    net = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(4))
    for layer in net:
        nn.init.zeros_(layer.weight)
    optimizer = engine.distribute(torch.optim.SGD(net.parameters(), lr=1.0), net.named_parameters())
    for step in range(3):
        optimizer.zero_grad()
        own = (engine.rank + step) % 2
        (net[3](torch.ones(1)) + net[own](torch.ones(1))).sum().backward()
        engine.step(optimizer)
    return {"weights": [float(layer.weight) for layer in net]}


@task("absent")
def absent(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """One rank lives on, and never comes to where the others wait."""
    while engine.rank == arguments["rank"]:
        time.sleep(0.1)
    engine.reduce_sum(torch.zeros(1))
    return {}


@task("suicide")
def suicide(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """Every rank kills itself."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


class _Slow(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.net = lenet3(classes=classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if self.training:
            time.sleep(0.002 * len(x))
        answer: dict[str, Tensor] = self.net(x)
        return answer


@builder("slowed_lenet3")
def slowed_lenet3(classes: int = 3) -> nn.Module:
    return _Slow(classes)


def slowed(blueprint: Blueprint) -> Blueprint:
    """The same network, which takes two milliseconds for each sample that it learns from."""
    node = blueprint.nodes[0]
    region = node.region.model_copy(update={"builder": "slowed_lenet3"})
    return blueprint.model_copy(update={"nodes": (node.model_copy(update={"region": region}),)})
