"""Survey: which regions can't serve a scene's inputs, and why, before anything is trained.

Shapes are found out on torch's meta device, without computing anything. What a shape does not tell, whether a region
knows all words of a text, is tried on a few of the scene's own samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError, StoreError, brief
from cortigraph.reasoning.pathway.compose import Space
from cortigraph.reasoning.solving.problem import Problem, none_serves
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.data.dataset import Dataset

if TYPE_CHECKING:
    from cortigraph.regions.weights import WeightStore

__all__ = ["rehearse", "survey"]


def survey(problem: Problem, weights: WeightStore) -> Problem:
    """The problem without the regions that can't serve; they are in `left_out`, with the reason.

    Args:
        problem: The scene, read.
        weights: Where trained weights lie.

    Raises:
        InputError: Of some input, none is left; says why of each.
    """
    left_out = {slot: dict(told) for slot, told in problem.left_out.items()}
    slots = {}
    for slot, regions in problem.space.slots.items():
        told = {region.key: _why_not(problem, slot, region.key, weights) for region in regions}
        slots[slot] = [region for region in regions if not told[region.key]]
        left_out.setdefault(slot, {}).update({key: reason for key, reason in told.items() if reason})
    empty = [slot for slot, regions in slots.items() if not regions]
    if empty:
        raise InputError([none_serves(slot, left_out[slot]) for slot in empty])
    return replace(problem, space=replace(problem.space, slots=slots), left_out=left_out)


def rehearse(blueprint: Blueprint, dataset: Dataset, weights: WeightStore) -> None:
    """Builds a network and runs it on a few samples, one with the highest identifier of a word among them.

    Raises:
        Exception: Whatever its forward raises.
    """
    import torch

    from cortigraph.train.samples import as_tensors

    rows = _telling(blueprint, dataset)
    values = {port.name: dataset.inputs[port.name][rows] for port in blueprint.inputs}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        blueprint.build(weights).eval()(as_tensors(values))


def _why_not(problem: Problem, slot: str, key: str, weights: WeightStore) -> str:
    space: Space = problem.space
    decisions = {slot: {"region": key, "arguments": {}}}
    try:
        branch = space.branch(decisions, slot)
        if problem.port[slot].dtype == "int64":
            rehearse(branch.blueprint(problem.port[slot], space.classes, decisions), problem.dataset, weights)
    except StoreError:
        raise
    # Whatever a region's forward raises.
    except Exception as error:
        return brief(error)
    return ""


def _telling(blueprint: Blueprint, dataset: Dataset) -> list[int]:
    """Two training rows; and where there are words, the row with the highest identifier."""
    rows = list(map(int, dataset.rows("train")[:2]))
    for port in blueprint.inputs:
        if port.dtype == "int64":
            values = dataset.inputs[port.name]
            rows.append(int(np.argmax(values.reshape(len(values), -1).max(axis=1))))
    return rows
