"""Memory: what earlier scenes say about a new one, before anything is trained.

odds      regions that are expected to do well are drawn more often
weights   where training starts: the best weights of the same region on like data
first     what a search tries first: the best pathways of like scenes, or where there are none the regions to begin with
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.graph.store import Store
from cortigraph.reasoning.pathway.cells import sample_cell
from cortigraph.reasoning.pathway.compose import FUSION, Decisions, Space
from cortigraph.reasoning.selector.advisor import Advice, Advisor, Asked
from cortigraph.reasoning.selector.embedded import cosine

__all__ = ["Memory", "consult", "recalled_weights", "slots_of"]

_LIKE = 0.5  # cosine of two data sets' embeddings, below which nothing is carried over
_FIRST = 3
_SHARP = 0.05  # difference in expected score that makes a region e times as likely

_CANDIDATES = """
MATCH (c:Candidate {state: 'done'})-[:IN_SEARCH]->(:Search)-[:FOR_SCENE]->(s:Scene)-[:POSED_ON]->(d:Dataset)
WHERE $scenes IS NULL OR s.key IN $scenes
RETURN c.decisions AS decisions, c.accuracy AS accuracy, c.nll AS nll, d.embedding AS embedding
ORDER BY c.accuracy DESC, c.nll, c.key
"""
_WEIGHTS = """
MATCH (run:Run {kind: 'branch'})-[:OF]->(region:Region), (run)-[:ON]->(d:Dataset)
WHERE size(run.weights) = 1 AND ($scenes IS NULL OR run.scene IN $scenes)
RETURN region.key AS region, run.modality AS modality, run.arguments AS arguments, run.weights[0] AS weights,
       d.classes AS classes, d.embedding AS embedding, run.accuracy AS accuracy, run.key AS run
ORDER BY run.accuracy DESC, run.key
"""


@dataclass(frozen=True)
class Memory:
    """What was recalled for a scene; plain data, kept with the search that it started.

    Args:
        odds: Region key → relative odds.
        weights: (slot, region key) → hash.
        first: Decisions to try first.
    """

    odds: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[tuple[str, str], str] = field(default_factory=dict)
    first: Sequence[Decisions] = ()

    def to_json(self) -> str:
        """The part that decides how a search goes."""
        weights = [[slot, region, hash] for (slot, region), hash in sorted(self.weights.items())]
        return json.dumps({"odds": dict(self.odds), "weights": weights, "first": list(self.first)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """Reads what `to_json` wrote."""
        told = json.loads(text)
        weights = {(slot, region): hash for slot, region, hash in told["weights"]}
        return cls(odds=told["odds"], weights=weights, first=told["first"])


def slots_of(space: Space) -> dict[str, list[str]]:
    """Slot → the keys of the regions that may serve there; `fusion` where there is something to join."""
    slots = {**space.slots, **({FUSION: space.cells} if len(space.slots) > 1 else {})}
    return {slot: [region.key for region in regions] for slot, regions in slots.items()}


def consult(store: Store, space: Space, asked: Asked, metric: str, scenes: Sequence[str] | None = None) -> Memory:
    """Everything that memory has to say on a scene; nothing at all if `scenes` is empty.

    Args:
        store: The store; only read.
        space: What may be decided.
        asked: The scene's data set and words.
        metric: That the scene is scored by.
        scenes: Only what was learned for these; all when left out.
    """
    if scenes is not None and not scenes:
        return Memory()
    advice = Advisor(store).for_slots(asked, slots_of(space), metric=metric, scenes=scenes)
    odds = {
        one.key: float(np.exp((one.expected - told.regions[0].expected) / _SHARP))
        for told in advice.values()
        for one in told.regions
    }
    first = _first(store, space, asked.place, scenes) or _advised(space, advice)
    return Memory(odds, recalled_weights(store, space, asked.place, scenes), first)


def _advised(space: Space, advice: Mapping[str, Advice]) -> list[Decisions]:
    """The regions to begin with, if any runs speak for them; the cell that joins them is drawn."""
    if not all(told.choice and told.why(told.choice).rests_on for slot, told in advice.items() if slot != FUSION):
        return []
    chosen: Decisions = {slot: {"region": advice[slot].choice, "arguments": {}} for slot in space.slots}
    if len(space.slots) == 1:
        return [chosen]
    cells = [cell for cell in space.cells if cell.key == advice[FUSION].choice]
    try:
        branches = [space.branch(chosen, slot) for slot in space.slots]
    except InputError:
        return []  # advised is what did well elsewhere; here it can't be built
    return [{**chosen, FUSION: sample_cell(cells[0], branches, np.random.default_rng(0))}]


def _first(store: Store, space: Space, dataset: NDArray[np.float64], scenes: Sequence[str] | None) -> list[Decisions]:
    """The best decisions of like scenes that can be composed here, each once."""
    found: list[tuple[float, Decisions]] = []
    for row in store.read(_CANDIDATES, scenes=None if scenes is None else list(scenes)):
        decisions = json.loads(row["decisions"])
        likeness = cosine(dataset, row["embedding"])
        if likeness >= _LIKE and all(decisions != known for _, known in found) and _fits(space, decisions):
            found.append((likeness * row["accuracy"], decisions))
        if len(found) >= 4 * _FIRST:
            break
    return [decisions for _, decisions in sorted(found, key=lambda entry: -entry[0])[:_FIRST]]


def recalled_weights(
    store: Store, space: Space, dataset: NDArray[np.float64], scenes: Sequence[str] | None
) -> dict[tuple[str, str], str]:
    """For each slot and region the best weights of the same architecture, for the same classes, on like data.

    Args:
        store: The store; only read.
        space: What may be decided.
        dataset: The data set's embedding.
        scenes: Only what was learned for these; all when left out.
    """
    rows = [
        row
        for row in store.read(_WEIGHTS, scenes=None if scenes is None else list(scenes))
        if tuple(row["classes"]) == space.classes and cosine(dataset, row["embedding"]) >= _LIKE
    ]
    best: dict[tuple[str, str], str] = {}
    for slot, regions in space.slots.items():
        for region in (region for region in regions if region.trainable):
            try:
                built = space.branch({slot: {"region": region.key, "arguments": {}}}, slot).nodes[0].region
            except InputError:
                continue  # it fails when it is drawn, and says why
            arguments = json.dumps(built.arguments, sort_keys=True)
            modality = built.accepts[0].modality
            for row in rows:
                if (row["region"], row["modality"], row["arguments"]) == (region.key, modality, arguments):
                    best.setdefault((slot, region.key), row["weights"])
    return best


def _fits(space: Space, decisions: Decisions) -> bool:
    slots = {*space.slots, FUSION} if len(space.slots) > 1 else set(space.slots)
    if set(decisions) != slots:
        return False
    try:
        space.compose(decisions)
    except InputError:
        return False
    return True
