"""Explaining: an answer as a PyG `Explanation`, and as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking.answers import Answer, Step
from cortigraph.reasoning.asking.carriers import Carrier
from cortigraph.reasoning.asking.mind import Mind, Thought
from cortigraph.reasoning.reasoners.base import Scores
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from torch_geometric.explain import Explanation

__all__ = ["draw", "explain"]


def explain(mind: Mind, answer: Answer | Step, reasoner: str | None = None) -> Explanation:
    """What an answer's score hangs on.

    Args:
        mind: Reasoners and facts.
        answer: Of `ask`; or, of a question of several parts, one of its steps.
        reasoner: Name; else the one that answered, and for a step the one that was trained last.

    Returns:
        `edge_index` of the edges that were walked, both directions, nodes numbered anew; `edge_mask` with the gradient
        of the score with respect to the weight of each; `edge_type` with names in `relations` (inverses after them);
        `node_keys`; `head` and `answer`, two of these nodes. For a scorer that follows no paths the edges are those of
        the shortest paths, and the mask is one.

    Raises:
        InputError: It is an answer of a question of several parts.
        UnknownKeyError: The graph has changed since: what it is about is gone.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of what torch will give up
        from torch_geometric.explain import Explanation
    head, relation, tail = _query(answer)
    thought = mind.thought(reasoner or (answer.reasoner or None if isinstance(answer, Answer) else None))
    facts = thought.facts
    row, place = int(facts.entities.row(head)), int(facts.entities.row(tail))
    carrier = Carrier(thought, row, facts.relation(relation))
    places, mask = _edges(carrier, thought, place)
    out = carrier.edges.by_source
    sources = np.searchsorted(out.first, places, side="right") - 1
    nodes, both = np.unique(np.concatenate([sources, out.left[places], [row, place]]), return_inverse=True)
    found = Explanation(
        edge_index=torch.from_numpy(both[:-2].reshape(2, -1)),
        edge_mask=torch.from_numpy(mask),
        edge_type=torch.from_numpy(out.right[places]),
        num_nodes=len(nodes),
    )
    found.relations = [*carrier.relations, *(f"inverse of {name}" for name in carrier.relations)]
    found.node_keys = [str(facts.entities[int(node)]) for node in nodes]
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


def _edges(carrier: Carrier, thought: Thought, answer: int) -> tuple[Rows, Scores]:
    slopes = carrier.gradients(answer)
    places = np.flatnonzero(slopes)
    if len(places):
        return places, slopes[places]
    found = [places for _, places, _ in carrier.paths(answer, 10)]
    places = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    return places, np.ones(len(places), dtype=np.float32)
