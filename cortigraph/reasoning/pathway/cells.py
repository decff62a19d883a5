"""What a fusion cell joins: which of the branches' outputs are its parts, and which arguments follow from them.

A cell says what it wants by its accepted ports and its builder's arguments: logits alone; features, and logits to
correct; or, if it has `layers`, one tap of every branch per layer (Pérez-Rúa et al., *MFAS*, CVPR 2019).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortigraph.reasoning.pathway.branch import Branch
from cortigraph.regions import builders
from cortigraph.regions.region import Region

__all__ = ["arguments_of", "default_of", "parts_of", "sample_cell"]

_DERIVED = {"sizes", "classes", "modalities", "layers", "activations", "residual", "index"}


def parts_of(region: Region, choice: Mapping[str, Any], branches: Sequence[Branch]) -> tuple[str, ...]:
    """References of the cell's parts, in the order of its `forward`."""
    logits = tuple(branch.logits for branch in branches)
    takes = _takes(region)
    if "sizes" not in takes:
        return logits
    if "layers" in takes:
        joined = tuple(tap for layer in choice["taps"] for tap in layer)
    else:
        joined = tuple(branch.features for branch in branches)
    return joined + (logits if "residual" in takes else ())


def arguments_of(region: Region, choice: Mapping[str, Any], branches: Sequence[Branch], classes: int) -> dict[str, Any]:
    """The builder's arguments: those decided, and those that follow from what is joined."""
    takes = _takes(region)
    ports = {ref: port for branch in branches for ref, port in branch.ports.items()}
    joined = [ref for ref in parts_of(region, choice, branches) if ports[ref].semantics != "logits"]
    derived: dict[str, Any] = {
        "classes": classes,
        "modalities": len(branches),
        "sizes": [ports[ref].sizes[0] for ref in joined],
        "layers": len(choice["taps"]),
        "residual": True,
    }
    return {name: value for name, value in derived.items() if name in takes} | dict(choice["arguments"])


def sample_cell(region: Region, branches: Sequence[Branch], generator: np.random.Generator) -> dict[str, Any]:
    """A cell's choice drawn at random: its arguments, and for a cell of layers the taps that each joins."""
    takes, space = _takes(region), builders.get(region.builder).space
    arguments = {
        name: values[int(generator.integers(len(values)))]
        for name, values in sorted(space.items())
        if name not in _DERIVED
    }
    if "index" in takes:
        arguments["index"] = int(generator.integers(len(branches)))
    taps: list[list[str]] = []
    if "layers" in takes:
        depth = int(generator.choice([n for n in space["layers"] if n <= min(len(b.taps) for b in branches)]))
        columns = [_rising(branch.taps, depth, generator) for branch in branches]
        taps = [list(layer) for layer in zip(*columns, strict=True)]
        kinds = space["activations"]
        arguments["activations"] = [str(kinds[int(i)]) for i in generator.integers(len(kinds), size=depth)]
    return {"region": region.key, "arguments": arguments, "taps": taps}


def _rising(taps: Sequence[str], depth: int, generator: np.random.Generator) -> list[str]:
    """`depth` taps, shallow to deep."""
    return [taps[int(i)] for i in sorted(generator.choice(len(taps), size=depth, replace=False))]


def default_of(region: Region, argument: str) -> Any:
    """What the builder takes for an argument that nobody gives."""
    return _takes(region)[argument].default


def _takes(region: Region) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(builders.get(region.builder).function).parameters
