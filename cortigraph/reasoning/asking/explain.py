"""Explaining: an answer as a PyG `Explanation`, and as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.graph.keys import Keys
from cortigraph.reasoning.asking.answers import Answer, Step
from cortigraph.reasoning.asking.carriers import Carrier, Carriers
from cortigraph.reasoning.asking.mind import Mind, Thought
from cortigraph.reasoning.reasoners.base import Scores
from cortigraph.reasoning.reasoners.path.beam import short_paths
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from torch_geometric.explain import Explanation

__all__ = ["draw", "explain"]

_SHORT = 10  # paths whose edges are told where no gradient says on which a score hangs


def explain(mind: Mind, answer: Answer | Step, reasoner: str | None = None) -> Explanation:
    """What an answer's score hangs on.

    Args:
        mind: Reasoners and facts.
        answer: Of `ask`; or, of a question of several parts, one of its steps.
        reasoner: Name; else the one that answered, and for a step the one trained last that knows its relation.

    Returns:
        `edge_index` of the edges that were walked, both directions, nodes numbered anew; `edge_mask` with the gradient
        of the score with respect to the weight of each; `edge_type` with names in `relations` (inverses after them);
        `node_keys`; `head` and `answer`, two of these nodes. Where the graph holds the answer, the fact itself comes
        first. For a scorer that follows no paths, and where none was asked, the edges are those of the shortest paths,
        and the mask is one.

    Raises:
        InputError: It is an answer of a question of several parts.
        UnknownKeyError: The graph has changed since: what it is about is gone.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of what torch will give up
        from torch_geometric.explain import Explanation
    told = _walked(mind, answer, reasoner)
    out = told.edges.by_source
    sources = np.searchsorted(out.first, told.places, side="right") - 1
    ends = [told.row, told.answer]
    nodes, both = np.unique(np.concatenate([sources, out.left[told.places], ends]), return_inverse=True)
    found = Explanation(
        edge_index=torch.from_numpy(both[:-2].reshape(2, -1)),
        edge_mask=torch.from_numpy(told.mask),
        edge_type=torch.from_numpy(out.right[told.places]),
        num_nodes=len(nodes),
    )
    found.relations = [*told.relations, *(f"inverse of {name}" for name in told.relations)]
    found.node_keys = [str(told.entities[int(node)]) for node in nodes]
    found.head, found.answer = int(both[-2]), int(both[-1])
    return found


def draw(answer: Answer | Step, path: Path) -> Path:
    """Draws the paths that carried an answer.

    Args:
        answer: With paths; of a question of several parts, the paths of its first step.
        path: Where to; the ending decides the format.

    Raises:
        InputError: It has no paths.
    """
    from cortigraph.reasoning.picture import draw_paths

    told = answer.steps[0] if isinstance(answer, Answer) and answer.steps else answer
    if not told.paths:
        raise InputError("there is nothing to draw: no path leads to this answer, or it was asked for without paths")
    kind = "known" if told.known else f"probability {told.probability:.2f}"
    title = str(told) if isinstance(told, Step) else f"{' '.join(told.asked or ())} → {told.key}"
    return draw_paths(told.paths, path, f"{title}: {kind}")


def _query(answer: Answer | Step) -> tuple[str, str, str]:
    if isinstance(answer, Step):
        return answer.head, answer.relation, answer.tail
    if answer.asked is None:
        raise InputError("this answer rests on several facts; explain one of its `steps`")
    return (*answer.asked, answer.key)


@dataclass(frozen=True)
class _Walked:
    """The edges that lead to an answer.

    Args:
        edges: Of the graph, or of what a reasoner sees of it.
        relations: Their names.
        entities: Names of their nodes.
        row: Of what was asked about.
        answer: Its row.
        places: Of the edges that lead there, in the order of `edges.by_source`; a fact that the graph holds first.
        mask: What each of them is worth.
    """

    edges: Structure
    relations: Sequence[str]
    entities: Keys
    row: int
    answer: int
    places: Rows
    mask: Scores


def _walked(mind: Mind, answer: Answer | Step, reasoner: str | None) -> _Walked:
    head, relation, tail = _query(answer)
    knowledge, carrier, sight = mind.knowledge(), None, None
    row, place = (int(knowledge.facts.entities.row(key)) for key in (head, tail))
    number = knowledge.facts.relation(relation)
    thought = _thought(mind, answer, reasoner, relation)
    if thought is not None:
        sight = mind.sight(knowledge, thought)
        carrier = Carriers(knowledge, sight).carrier(row, number)
    if carrier is None or sight is None or sight.places[place] < 0:
        edges, names, entities = knowledge.facts.edges, knowledge.facts.relations, knowledge.facts.entities
        short = short_paths(edges, row, place, top=_SHORT)
        places = np.unique(np.concatenate(short)) if short else np.zeros(0, dtype=np.int64)
        mask = np.ones(len(places), dtype=np.float32)
    else:
        edges, names, entities = carrier.edges, carrier.relations, sight.thought.facts.entities
        row, place = int(sight.places[row]), int(sight.places[place])
        places, mask = _edges(carrier, place)
    if answer.known:
        places, mask = _fact_first(edges, row, (names, relation), place, places, mask)
    return _Walked(edges, names, entities, row, place, places, mask)


def _thought(mind: Mind, answer: Answer | Step, reasoner: str | None, relation: str) -> Thought | None:
    """Who is asked: whoever answered, and for a step the one trained last of those that know its relation."""
    if reasoner is not None:
        return mind.thought(reasoner)
    if isinstance(answer, Answer):
        return mind.thought(answer.reasoner) if answer.reasoner else None
    return mind.chosen([relation.removeprefix("inverse of ")])[0]


def _edges(carrier: Carrier, answer: int) -> tuple[Rows, Scores]:
    slopes = carrier.gradients(answer)
    places = np.flatnonzero(slopes)
    if len(places):
        return places, slopes[places]
    found = [places for _, places, _ in carrier.paths(answer, _SHORT)]
    places = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    return places, np.ones(len(places), dtype=np.float32)


def _fact_first(
    edges: Structure, row: int, asked: tuple[Sequence[str], str], answer: int, places: Rows, mask: Scores
) -> tuple[Rows, Scores]:
    """The fact itself before all other edges; nothing hangs on it where its mask is 0."""
    names, relation = asked
    plain = relation.removeprefix("inverse of ")
    if plain not in names:
        return places, mask
    kind = names.index(plain) + (0 if relation == plain else len(names))
    out = edges.by_source
    own = np.arange(out.first[row], out.first[row + 1])
    fact = own[(out.left[own] == answer) & (out.right[own] == kind)]
    held = np.isin(places, fact)
    worth = mask[held] if held.any() else np.zeros(len(fact), dtype=np.float32)
    return np.concatenate([fact, places[~held]]), np.concatenate([worth, mask[~held]])
