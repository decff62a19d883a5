"""Branches: the part of a pathway that serves one input, from raw data to logits.

A trainable region is built with the scene's classes and gives logits itself. A frozen one, such as a text encoder,
keeps its weights, and a small head is trained on its features.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortigraph.regions import builders
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.regions.fusion import REGIONS as FUSION
from cortigraph.regions.ports import Axis, Port
from cortigraph.regions.region import Region

__all__ = ["Branch", "adapted", "grow"]

_HEAD = next(region for region in FUSION if region.builder == "concat")


@dataclass(frozen=True)
class Branch:
    """One input's part of a pathway.

    Args:
        nodes: In order; the last one that is trainable gives the logits.
        features: Reference of the feature vector.
        logits: Reference of the logits.
        taps: References that fusion may join, shallow to deep.
        ports: Reference → port, with sizes.
    """

    nodes: tuple[Node, ...]
    features: str
    logits: str
    taps: tuple[str, ...]
    ports: Mapping[str, Port]

    def blueprint(self, source: Port, classes: tuple[str, ...], decisions: Mapping[str, Any]) -> Blueprint:
        """The branch as a network of its own."""
        return Blueprint(
            inputs=(source,), nodes=self.nodes, output=self.logits, classes=classes, decisions=dict(decisions)
        )


def adapted(region: Region, source: Port) -> Region:
    """The region as it is built for this data: its number of input channels is the data's.

    Args:
        region: As declared.
        source: What the data gives.

    Returns:
        The region itself where its builder has no such argument, or it fits as it is.
    """
    takes = inspect.signature(builders.get(region.builder).function).parameters
    channels = next((axis.size for axis in source.axes if axis.name == "channel"), None)
    if "channels" not in takes or channels is None or len(region.accepts) != 1:
        return region
    wanted = region.accepts[0]
    axes = tuple(Axis(name=axis.name, size=channels) if axis.name == "channel" else axis for axis in wanted.axes)
    return region.model_copy(
        update={
            "accepts": (wanted.model_copy(update={"axes": axes}),),
            "arguments": {**region.arguments, "channels": channels},
        }
    )


def grow(region: Region, source: Port, classes: int, arguments: Mapping[str, Any], weights: str | None) -> Branch:
    """The branch that a region makes of an input.

    Args:
        region: As declared; its logits, if it has any, are sized for `classes`.
        source: The input's port; its name names the branch.
        classes: How many there are.
        arguments: Decided by the search; they replace declared ones.
        weights: Where training starts; the region's own when left out.

    Raises:
        InputError: The region does not fit the input.
    """
    region = adapted(region, source)
    if not region.trainable:
        return _with_head(region, source, classes, arguments)
    built = region.model_copy(
        update={
            "arguments": {**region.arguments, **arguments, "classes": classes},
            "weights": weights or region.weights,
        }
    )
    node = Node(name=source.name, region=built, inputs=(source.name,))
    return _described((node,), source, features=f"{source.name}.features", logits=f"{source.name}.logits")


def _with_head(region: Region, source: Port, classes: int, arguments: Mapping[str, Any]) -> Branch:
    body = region.model_copy(update={"arguments": {**region.arguments, **arguments}})
    frozen = Node(name=source.name, region=body, inputs=(source.name,), frozen=True)
    alone = Blueprint(inputs=(source,), nodes=(frozen,), output=f"{source.name}.features")
    width = alone.ports[alone.output].sizes[0]
    head = _HEAD.model_copy(update={"arguments": {"sizes": [width], "classes": classes, "residual": False}})
    top = Node(name=f"{source.name}_head", region=head, inputs=(alone.output,))
    return _described((frozen, top), source, features=alone.output, logits=f"{top.name}.logits")


def _described(nodes: tuple[Node, ...], source: Port, *, features: str, logits: str) -> Branch:
    ports = Blueprint(inputs=(source,), nodes=nodes, output=logits).ports
    taps = (*(ref for ref, port in ports.items() if port.semantics == "map"), features)
    return Branch(nodes, features, logits, taps, ports)
