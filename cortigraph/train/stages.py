"""Stages: a network cut by its regions into as many parts as there are ranks, balanced by what the regions cost.

Nodes stay in their topological order, so a stage reads inputs and earlier stages only. What a region costs is its part
of all parameters plus its part of all operations: the one decides memory, the other time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from cortigraph.graph.errors import InputError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.profile import flops

__all__ = ["Cost", "Plan", "cost", "cut", "plan"]


@dataclass(frozen=True)
class Cost:
    """What a node costs.

    Args:
        parameters: How many numbers it has.
        flops: Operations for one sample.
        trains: Whether training changes any of it.
    """

    parameters: int
    flops: int
    trains: bool


@dataclass(frozen=True)
class Plan:
    """What one stage does.

    Args:
        stage: From 0.
        nodes: Names of its nodes.
        reads: Names of the data's inputs that it reads.
        receives: Reference → the earlier stage that sends it.
        sends: Reference → the later stages that want it.
        learned: References whose gradient is sent back.
        last: Whether it gives the network's answer.
    """

    stage: int
    nodes: tuple[str, ...]
    reads: frozenset[str]
    receives: dict[str, int]
    sends: dict[str, tuple[int, ...]]
    learned: frozenset[str]
    last: bool


def cost(blueprint: Blueprint, name: str, module: nn.Module) -> Cost:
    """Of a node, once it is built."""
    node = blueprint.node(name)
    trains = not node.frozen and any(value.requires_grad for value in module.parameters())
    operations = flops(module, [blueprint.ports[reference] for reference in node.inputs])
    return Cost(sum(value.numel() for value in module.parameters()), operations, trains)


def cut(costs: Sequence[float], count: int) -> list[int]:
    """Where each part begins, so that the dearest part is as cheap as can be.

    Args:
        costs: Of things in a fixed order.
        count: Parts, none of them empty.

    Example:
        >>> cut([4, 1, 1, 1, 3], 2)
        [0, 2]
    """
    best: dict[tuple[int, int], tuple[float, list[int]]] = {(0, 0): (0.0, [])}
    for part in range(1, count + 1):
        for end in range(part, len(costs) + 1):
            best[part, end] = min(
                (max(best[part - 1, begin][0], sum(costs[begin:end])), [*best[part - 1, begin][1], begin])
                for begin in range(part - 1, end)
                if (part - 1, begin) in best
            )
    return best[count, len(costs)][1]


def plan(blueprint: Blueprint, costs: Mapping[str, Cost], count: int) -> list[Plan]:
    """Cuts a network.

    Args:
        blueprint: The network.
        costs: Of each node.
        count: Stages.

    Raises:
        InputError: It has fewer regions than that.
    """
    names = [node.name for node in blueprint.nodes]
    if len(names) < count:
        raise InputError(
            f"a network is split between workers by its regions: expected at least {count}, got {len(names)} "
            f"({', '.join(names)}); take fewer workers"
        )
    parameters = sum(costs[name].parameters for name in names) or 1
    operations = sum(costs[name].flops for name in names) or 1
    dear = [costs[name].parameters / parameters + costs[name].flops / operations for name in names]
    begins = [*cut(dear, count), len(names)]
    stage_of = {name: stage for stage in range(count) for name in names[begins[stage] : begins[stage + 1]]}
    output = blueprint.output.split(".")[0]
    wanted: dict[str, set[int]] = {}
    for node in blueprint.nodes:
        for reference in node.inputs:
            wanted.setdefault(reference, set()).add(stage_of[node.name])
    # The answer is measured on the last stage, wherever it is given.
    wanted.setdefault(blueprint.output, set()).add(count - 1)
    learned = _learned(blueprint, costs)
    assert output in stage_of
    plans = []
    for stage in range(count):
        mine = {reference for reference, readers in wanted.items() if stage in readers}
        given = {ref: readers for ref, readers in wanted.items() if "." in ref and stage_of[ref.split(".")[0]] == stage}
        plans.append(
            Plan(
                stage=stage,
                nodes=tuple(names[begins[stage] : begins[stage + 1]]),
                reads=frozenset(reference for reference in mine if "." not in reference),
                receives={
                    ref: stage_of[ref.split(".")[0]]
                    for ref in sorted(mine)
                    if "." in ref and stage_of[ref.split(".")[0]] != stage
                },
                sends={ref: tuple(sorted(readers - {stage})) for ref, readers in sorted(given.items())
                       if readers - {stage}},
                learned=frozenset(learned),
                last=stage == count - 1,
            )
        )  # fmt: skip
    return plans


def _learned(blueprint: Blueprint, costs: Mapping[str, Cost]) -> set[str]:
    """References that depend on something that training changes."""
    learned: set[str] = set()
    moving: set[str] = set()
    references = list(blueprint.ports)
    for node in blueprint.nodes:
        if costs[node.name].trains or learned & set(node.inputs):
            moving.add(node.name)
            learned |= {reference for reference in references if reference.startswith(f"{node.name}.")}
    return learned
