"""Composition: what may be decided about a pathway, and how decisions become a blueprint.

Decisions   slot → choice; plain JSON, kept in the blueprint that they made
Space       samples, mutates and composes them

{"image":  {"region": "vision.recognition/001", "arguments": {}},
 "audio":  {"region": "audio.recognition/003", "arguments": {"width": 16}},
 "fusion": {"region": "fusion/mfas", "arguments": {"hidden": 32, …}, "taps": [["image.layer2", "audio.layer3"]]}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cortigraph.graph.errors import InputError, brief
from cortigraph.reasoning.pathway.branch import Branch, grow
from cortigraph.reasoning.pathway.cells import arguments_of, default_of, parts_of, sample_cell
from cortigraph.regions import builders
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region

__all__ = ["FUSION", "Decisions", "Space"]

FUSION = "fusion"
Decisions = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """What may be decided about the pathways of a scene.

    Args:
        inputs: The data's ports, sizes known.
        slots: Input name → the regions that may serve it.
        cells: The fusion regions; unused when there is one input.
        classes: The target's classes, in order.
        odds: Region key → how likely a sample takes it; 1 where nothing is said. Memory sets it.
        weights: (slot, region key) → the weights that training starts from. Memory sets it.
        barred: (slot, region key) of what is drawn no more.
    """

    inputs: tuple[Port, ...]
    slots: Mapping[str, Sequence[Region]]
    cells: Sequence[Region]
    classes: tuple[str, ...]
    odds: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[tuple[str, str], str] = field(default_factory=dict)
    barred: frozenset[tuple[str, str]] = frozenset()
    _grown: dict[str, Branch | InputError] = field(default_factory=dict, repr=False, compare=False)

    def grown_from(self, weights: Mapping[tuple[str, str], str], odds: Mapping[str, float] | None = None) -> Space:
        """The same space, with what memory suggests.

        Args:
            weights: (slot, region key) → the weights that training starts from.
            odds: Region key → how likely a sample takes it; as they are when left out.
        """
        return replace(self, weights=weights, odds=self.odds if odds is None else odds, _grown={})

    def without(self, failed: Iterable[tuple[str, Mapping[str, Any]]]) -> Space:
        """The same space, from which what failed is drawn no more.

        Args:
            failed: Slot and choice. A choice of arguments bars itself alone, and not its region.
        """
        bare = [(slot, choice["region"]) for slot, choice in failed if not choice["arguments"]]
        return replace(self, barred=self.barred | set(bare))

    @property
    def exhausted(self) -> bool:
        """Whether there is an input that nothing may serve any more."""
        return any(not self._open(slot) for slot in self.slots) or (len(self.slots) > 1 and not self._open(FUSION))

    def sample(self, generator: np.random.Generator) -> Decisions:
        """Decisions drawn from the whole space: regions by their odds, with their declared arguments."""
        decisions: Decisions = {slot: self._region(slot, generator) for slot in self.slots}
        if len(self.slots) > 1:
            decisions[FUSION] = self._cell(decisions, generator)
        return decisions

    def mutate(self, decisions: Decisions, generator: np.random.Generator) -> Decisions:
        """The same decisions, but one: a slot's region, an argument of it, or the fusion cell."""
        child = {slot: dict(choice) for slot, choice in decisions.items()}
        slot = str(generator.choice([name for name in (*self.slots, FUSION) if name in child]))
        if slot == FUSION:
            child[FUSION] = self._cell(child, generator)
            return child
        if generator.random() < 0.5 or not self._vary(child[slot], slot, generator):
            child[slot] = self._region(slot, generator)
        if FUSION in child:
            child[FUSION] = self._retapped(child, generator)
        return child

    def compose(self, decisions: Decisions) -> Blueprint:
        """The blueprint that decisions make. Branches are frozen in it: they are trained first, each by itself.

        Raises:
            InputError: The decisions name a region that may not serve, or the ports do not fit; lists every problem.
        """
        branches = {port.name: self.branch(decisions, port.name) for port in self.inputs}
        if len(branches) == 1:
            only = next(iter(branches.values()))
            return only.blueprint(self.inputs[0], self.classes, decisions)
        nodes = [node.model_copy(update={"frozen": True}) for branch in branches.values() for node in branch.nodes]
        choice = decisions[FUSION]
        region = _named(choice["region"], self.cells, FUSION)
        parts = parts_of(region, choice, list(branches.values()))
        arguments = arguments_of(region, choice, list(branches.values()), len(self.classes))
        cell = region.model_copy(update={"arguments": arguments})
        blueprint = Blueprint(
            inputs=self.inputs,
            nodes=(*nodes, Node(name=FUSION, region=cell, inputs=parts)),
            output=f"{FUSION}.logits",
            classes=self.classes,
            decisions=decisions,
        )
        problems = blueprint.problems()
        if problems:
            raise InputError(problems)
        return blueprint

    def sketch(self, decisions: Decisions) -> Blueprint:
        """What decisions name, whether or not it can be built: the record of a candidate that fails."""
        nodes = []
        for slot, choice in decisions.items():
            known = self.cells if slot == FUSION else self.slots[slot]
            inputs = tuple(self.slots) if slot == FUSION else (slot,)
            nodes.append(Node(name=slot, region=_named(choice["region"], known, slot), inputs=inputs))
        return Blueprint(
            inputs=self.inputs,
            nodes=tuple(nodes),
            output=f"{nodes[-1].name}.logits",
            classes=self.classes,
            decisions=decisions,
        )

    def branch(self, decisions: Decisions, slot: str) -> Branch:
        """The branch of one slot.

        Raises:
            InputError: Its region can't be built for this input.
        """
        choice = decisions[slot]
        known = json.dumps([slot, choice], sort_keys=True)
        if known not in self._grown:  # finding out the ports takes a dry run of the module
            self._grown[known] = self._tried(choice, slot)
        found = self._grown[known]
        if isinstance(found, InputError):
            raise found
        return found

    def _tried(self, choice: Mapping[str, Any], slot: str) -> Branch | InputError:
        region = _named(choice["region"], self.slots[slot], slot)
        source = next(port for port in self.inputs if port.name == slot)
        # Weights are of one architecture: other arguments start afresh.
        weights = None if choice["arguments"] else self.weights.get((slot, region.key))
        try:
            return grow(region, source, len(self.classes), choice["arguments"], weights)
        # A region's builder may be anybody's: there is no common base of what it raises.
        except Exception as error:
            return InputError(brief(error))

    def with_cell(self, decisions: Decisions, cell: str, **arguments: Any) -> Decisions:
        """The same branches, joined by another cell of the area `fusion` (`average`: late fusion)."""
        return {**decisions, FUSION: {"region": f"{FUSION}/{cell}", "arguments": arguments, "taps": []}}

    def _open(self, slot: str) -> list[Region]:
        """The regions of a slot that may be drawn."""
        regions = self.cells if slot == FUSION else self.slots[slot]
        return [region for region in regions if (slot, region.key) not in self.barred]

    def _region(self, slot: str, generator: np.random.Generator) -> dict[str, Any]:
        return {"region": self._drawn(slot, generator).key, "arguments": {}}

    def _drawn(self, slot: str, generator: np.random.Generator) -> Region:
        regions = self._open(slot)
        odds = np.array([self.odds.get(region.key, 1.0) for region in regions])
        return regions[int(generator.choice(len(regions), p=odds / odds.sum()))]

    def _vary(self, choice: dict[str, Any], slot: str, generator: np.random.Generator) -> bool:
        region = _named(choice["region"], self.slots[slot], slot)
        space = builders.get(region.builder).space if region.trainable else {}
        if not space:
            return False
        name = str(generator.choice(sorted(space)))
        declared = region.arguments.get(name, default_of(region, name))
        others = [value for value in space[name] if value != choice["arguments"].get(name, declared)]
        if not others:
            return False
        value = others[int(generator.integers(len(others)))]
        kept = {key: old for key, old in choice["arguments"].items() if key != name}
        choice["arguments"] = kept if value == declared else {**kept, name: value}
        return True

    def _cell(self, decisions: Decisions, generator: np.random.Generator) -> dict[str, Any]:
        region, branches = self._drawn(FUSION, generator), self._branches(decisions)
        if branches is None:  # nothing to join: this candidate fails, by its branch
            return {"region": region.key, "arguments": {}, "taps": []}
        return sample_cell(region, branches, generator)

    def _retapped(self, decisions: Decisions, generator: np.random.Generator) -> dict[str, Any]:
        """The cell as it is, as long as the branches still have the taps that it joins; else taps drawn anew."""
        choice: dict[str, Any] = decisions[FUSION]
        branches = self._branches(decisions)
        if branches is None:
            return choice
        known = {tap for branch in branches for tap in branch.taps}
        if all(tap in known for layer in choice["taps"] for tap in layer):
            return choice
        return sample_cell(_named(choice["region"], self.cells, FUSION), branches, generator)

    def _branches(self, decisions: Decisions) -> list[Branch] | None:
        """The branches, if all of them can be built."""
        try:
            return [self.branch(decisions, slot) for slot in self.slots]
        except InputError:
            return None


def _named(key: str, regions: Sequence[Region], slot: str) -> Region:
    for region in regions:
        if region.key == key:
            return region
    raise InputError(f"{slot}: region {key} may not serve here; there are: {', '.join(r.key for r in regions)}")
