"""Blueprints: regions wired into one network, as data.

    Node        a region at a place in the network: what it reads, and whether training may change it
    Blueprint   inputs, nodes in topological order, output; JSON, versioned, checked before anything is built
    Pathway     the `torch.nn.Module` that a blueprint builds

A **reference** names a value inside the network: an input (`image`), or what a node emits at a port (`audio.layer3`).
A blueprint carries the declarations of its regions, so it needs no database to be built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from cortigraph.graph.errors import InputError
from cortigraph.graph.home import Home
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region
from cortigraph.regions.weights import WeightStore

if TYPE_CHECKING:
    from cortigraph.regions.pathway import Pathway

__all__ = ["Blueprint", "Node"]

VERSION = 1


class Node(BaseModel):
    """A region at a place in a network.

    Args:
        name: Unique in the blueprint; other nodes read `name.port`.
        region: The declaration, with the arguments and weights that it has at this place.
        inputs: References, in the order of the module's `forward`.
        frozen: Whether training leaves it as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    region: Region
    inputs: tuple[str, ...]
    frozen: bool = False


class Blueprint(BaseModel):
    """Regions wired into one network.

    Args:
        inputs: The ports of the data, with concrete sizes; their names are references.
        nodes: In topological order: a node reads inputs and earlier nodes only.
        output: The reference whose value is the network's answer.
        classes: What each logit stands for, in order; empty for a network that does not classify.
        decisions: Where a search made it: what was chosen, by name.

    Example:
        >>> from cortigraph.regions.vision import REGIONS
        >>> image = Port.parse("image", "image[channel=1,height=28,width=28] float32 raw")
        >>> lenet = REGIONS[0].model_copy(update={"arguments": {"classes": 10}})
        >>> eye = Node(name="eye", region=lenet, inputs=("image",))
        >>> b = Blueprint(inputs=(image,), nodes=(eye,), output="eye.logits")
        >>> b.problems()
        []
        >>> Blueprint.from_json(b.to_json()) == b
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    inputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    output: str
    classes: tuple[str, ...] = ()
    decisions: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for kind, names in (("inputs", [p.name for p in self.inputs]), ("nodes", [n.name for n in self.nodes])):
            if len(set(names)) < len(names):
                raise ValueError(f"{kind} need names of their own, got {', '.join(names)}")
        return self

    @classmethod
    def from_json(cls, text: str) -> Blueprint:
        """Reads what `to_json` wrote.

        Raises:
            InputError: It is not a blueprint, or of a version that this code does not know; lists every problem.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"expected a blueprint as JSON; line {error.lineno}: {error.msg}") from error
        version = data.get("version") if isinstance(data, dict) else None
        if version != VERSION:
            raise InputError(
                f"expected a blueprint of version {VERSION}, got {version!r}; update cortigraph to read it"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            told = [f"blueprint, {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise InputError(told) from error

    def to_json(self) -> str:
        """The blueprint as JSON, the same text for the same blueprint."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @cached_property
    def key(self) -> str:
        """A short hash of everything that decides what the network computes: wiring, arguments and weights."""
        content = self.model_dump(mode="json", exclude={"decisions"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            InputError: There is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise InputError(f"no node {name!r} in the blueprint; there are: {', '.join(n.name for n in self.nodes)}")

    def problems(self) -> list[str]:
        """Everything that keeps this blueprint from being built, port by port; empty when nothing does."""
        return list(self._walked[1])

    @property
    def ports(self) -> dict[str, Port]:
        """Every reference with its port, sizes known.

        Raises:
            InputError: The blueprint does not type-check.
        """
        ports, problems = self._walked
        if problems:
            raise InputError(problems)
        return dict(ports)

    def needed(self) -> set[str]:
        """The references that its trainable part reads from inputs or frozen nodes; what else is computed is fixed."""
        trained = {node.name for node in self.nodes if not node.frozen}
        read = {ref for node in self.nodes if not node.frozen for ref in node.inputs} | {self.output}
        return {ref for ref in read if "." not in ref or ref.split(".")[0] not in trained}

    def with_weights(self, hashes: Mapping[str, str]) -> Blueprint:
        """The same network with new weights at the named nodes.

        Args:
            hashes: Node name → hash in a weight store.
        """
        nodes = [
            node.model_copy(update={"region": node.region.model_copy(update={"weights": hashes[node.name]})})
            if node.name in hashes
            else node
            for node in self.nodes
        ]
        return self.model_copy(update={"nodes": tuple(nodes)})

    def build(self, weights: WeightStore | None = None) -> Pathway:
        """Builds the network.

        Args:
            weights: Where trained weights lie; the default home's store when left out.

        Raises:
            InputError: The blueprint does not type-check; lists every problem.
            UnknownKeyError: A builder, or weights, are not there.
        """
        from cortigraph.regions.pathway import Pathway  # torch is needed only to build

        problems = self.problems()
        if problems:
            raise InputError(problems)
        if weights is None and any(node.region.weights for node in self.nodes):
            weights = WeightStore(Home.resolve().weights)
        return Pathway(self, {node.name: node.region.build(weights) for node in self.nodes})

    def __copy__(self) -> Self:
        """A copy that may be changed by `model_copy`: what was worked out of the original is left behind."""
        copied = super().__copy__()
        for name in ("key", "_walked"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def _walked(self) -> tuple[dict[str, Port], list[str]]:
        """Goes through the nodes in order: the port of every reference, and what is wrong on the way."""
        ports = {port.name: port for port in self.inputs}
        problems: list[str] = []
        for node in self.nodes:
            found = _node_problems(node, ports)
            if not found:
                found = _emit(node, ports)
            problems += found
            if found:  # later nodes may read this one: their ports are not known
                return ports, problems
        if self.output not in ports:
            problems.append(f"output {self.output!r} is not in the network; there are: {', '.join(sorted(ports))}")
        elif self.classes and ports[self.output].sizes != (len(self.classes),):
            got = ports[self.output].sizes
            problems.append(f"output {self.output!r}: expected {len(self.classes)} classes, got the sizes {got}")
        return ports, problems


def _node_problems(node: Node, ports: Mapping[str, Port]) -> list[str]:
    where = f"node {node.name!r} ({node.region.key})"
    missing = [ref for ref in node.inputs if ref not in ports]
    if missing:
        known = ", ".join(sorted(ports))
        return [f"{where} reads {ref!r}, which nothing before it gives; there are: {known}" for ref in missing]
    return node.region.accepts_problems([ports[ref] for ref in node.inputs], where)


def _emit(node: Node, ports: dict[str, Port]) -> list[str]:
    shapes = [[size or 1 for size in ports[ref].sizes] for ref in node.inputs]
    try:
        emitted = node.region.emits_for(*shapes)
    except InputError as error:
        return [f"node {node.name!r}: {problem}" for problem in error.problems]
    ports.update({f"{node.name}.{port.name}": port for port in emitted})
    return []
