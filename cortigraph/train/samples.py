"""What the trainable part of a network reads: raw inputs, and outputs of frozen parts, which are computed once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cortigraph.graph.errors import InputError
from cortigraph.regions.pathway import Pathway
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine
from cortigraph.train.features import Features, feature_keys

__all__ = ["BATCH", "Samples", "check_inputs", "prepare"]

BATCH = 256  # samples computed at once where no gradient is needed


@dataclass(frozen=True)
class Samples:
    """The values of some rows, ready to be indexed: straight from memory, no loader between.

    Args:
        raw: Input name → all rows of the data set, (rows, …), on disk until they are read.
        rows: (samples,) of which rows these are.
        ready: Reference → outputs of frozen parts, (samples, …).
        target: (samples,) of class indices.
    """

    raw: dict[str, Tensor]
    rows: Tensor
    ready: dict[str, Tensor]
    target: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Tensor) -> dict[str, Tensor]:
        """The values at some positions, (positions, …) each.

        Args:
            positions: Of samples, not of rows.
        """
        rows = self.rows[positions]
        values = {name: tensor[rows] for name, tensor in self.raw.items()}
        values.update({reference: tensor[positions] for reference, tensor in self.ready.items()})
        return values


def prepare(
    pathway: Pathway,
    dataset: Dataset,
    split: str,
    engine: Engine,
    cache_bytes: int,
    features: Features | None = None,
) -> Samples:
    """The samples of a split, with the outputs of frozen parts computed once, each rank computing its share.

    Args:
        pathway: The network.
        dataset: The data.
        split: Which rows.
        engine: Shares the work and the results.
        cache_bytes: If the outputs need more memory than this, only the raw inputs are given, and the frozen part is
            run with the rest.
        features: What earlier jobs computed; takes what this one computes.
    """
    rows = torch.from_numpy(dataset.rows(split))
    target = torch.from_numpy(np.array(dataset.target))[rows]
    wanted = pathway.needed()
    inside = sorted(reference for reference in wanted if "." in reference)
    ports = pathway.blueprint.ports
    size = sum(math.prod(axis or 1 for axis in ports[reference].sizes) for reference in inside) * 4 * len(rows)
    everything = _raw(dataset, {port.name for port in pathway.blueprint.inputs})
    if not inside or size > cache_bytes:
        return Samples(everything, rows, {}, target)
    features = features or Features(cache_bytes)
    keys = feature_keys(pathway, inside, f"{dataset.fingerprint}/{split}")
    ready = {reference: found for reference in inside if (found := features.get(keys[reference])) is not None}
    missing = [reference for reference in inside if reference not in ready]
    if missing:
        ready |= _compute(pathway, Samples(everything, rows, {}, target), missing, engine)
    for reference in missing:
        features.put(keys[reference], ready[reference])
    return Samples({name: everything[name] for name in wanted.difference(inside)}, rows, ready, target)


def _raw(dataset: Dataset, names: set[str]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.asarray(dataset.inputs[name])) for name in sorted(names)}


@torch.no_grad()
def _compute(pathway: Pathway, samples: Samples, wanted: list[str], engine: Engine) -> dict[str, Tensor]:
    pathway.eval()
    parts: dict[str, list[Tensor]] = {reference: [] for reference in wanted}
    for positions in batches(*engine.slice(len(samples))):
        values = pathway.run(samples.take(positions), wanted)
        engine.getting_on()
        for reference in wanted:
            parts[reference].append(values[reference])
    ready = {}
    for reference in wanted:
        shape = [axis or 1 for axis in pathway.blueprint.ports[reference].sizes]
        mine = torch.cat(parts.pop(reference)) if parts[reference] else torch.zeros(0, *shape)
        ready[reference] = engine.gather(mine)
    return ready


def batches(begin: int, end: int) -> Iterator[Tensor]:
    """Positions from begin to end, `BATCH` at a time."""
    for start in range(begin, end, BATCH):
        yield torch.arange(start, min(start + BATCH, end))


def check_inputs(pathway: Pathway, dataset: Dataset) -> None:
    """The data set gives what the network reads.

    Raises:
        InputError: An input is missing or of another shape, or the classes differ in number; lists all.
    """
    problems = []
    blueprint = pathway.blueprint
    for port in blueprint.inputs:
        given = dataset.ports.get(port.name)
        if given is None:
            problems.append(f"the network reads {port.name!r}, the data set has: {', '.join(dataset.ports)}")
        elif given.sizes != port.sizes or given.dtype != port.dtype:
            problems.append(f"input {port.name!r}: the network was composed for {port}, the data set has {given}")
    sizes = blueprint.ports[blueprint.output].sizes
    if sizes != (len(dataset.classes),):
        problems.append(f"the network's output has the sizes {sizes}, the data set {len(dataset.classes)} classes")
    if problems:
        raise InputError(problems)


def as_tensors(inputs: dict[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    """Arrays as tensors that share their memory where they may."""
    return {name: torch.from_numpy(np.require(array, requirements=["W", "C"])) for name, array in inputs.items()}
