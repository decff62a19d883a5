"""Carriers: the paths that carried answers, as the kind of reasoner allows.

The path reasoner answers by paths, and the gradients of a score say on which it hangs. A scorer of a closed graph
follows none: what is shown for it are the shortest paths in the graph that lead to the answer, and nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.reasoning.asking.answers import Hop, Path
from cortigraph.reasoning.asking.mind import Thought
from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.gradients import EdgeGradients
    from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner

__all__ = ["Carrier", "walker"]

_LONGEST_FOUND = 3


class Carrier:
    """One query before a reasoner: its scores, and the paths that carry any answer to it.

    Args:
        thought: The reasoner and what it sees.
        head: Row of what is asked about.
        relation: Its number, in both directions.
        paths: Whether paths will be asked for.
    """

    def __init__(self, thought: Thought, head: int, relation: int, *, paths: bool = True) -> None:
        self._thought, self._head = thought, head
        self._gradients: EdgeGradients | None = None
        self._walker = walker(thought.reasoner)
        self._edges, self._names = thought.facts.edges, thought.facts.relations
        scores: Scores | None = None
        if self._walker is not None:
            self._edges, own = self._walker.aligned(thought.facts, np.array([relation]))
            self._names = self._walker.relations or self._names  # a foundation takes those of the facts
            if paths:
                from cortigraph.reasoning.reasoners.path.gradients import EdgeGradients

                self._gradients = EdgeGradients(self._walker, self._edges, head, int(own[0]))
                scores = self._gradients.scores if self._walker is thought.reasoner else None
        self.scores: Scores = (
            thought.reasoner.score(thought.facts, np.array([[head, relation]]))[0] if scores is None else scores
        )

    @property
    def edges(self) -> Structure:
        """The edges that paths are made of."""
        return self._edges

    @property
    def relations(self) -> tuple[str, ...]:
        """Their names, by the numbers that these edges have."""
        return self._names

    def gradients(self, answer: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """How the answer's score hangs on each edge, in the order of `edges.by_source`; zeros where none was taken."""
        if self._gradients is None:
            return np.zeros(len(self._edges), dtype=np.float32)
        return self._gradients.of(answer)

    def paths(self, answer: int, top: int) -> list[tuple[float | None, Rows, Scores]]:
        """The weightiest paths to an answer.

        Args:
            answer: Its row.
            top: How many.

        Returns:
            Weight of each path, the places of its edges in the order of `edges.by_source`, and their weights.
        """
        from cortigraph.reasoning.reasoners.path.beam import best_paths, short_paths

        if self._walker is None or self._gradients is None:
            found = short_paths(self._edges, self._head, answer, longest=_LONGEST_FOUND, top=top)
            return [(None, places, np.zeros(len(places), dtype=np.float32)) for places in found]
        slopes, longest = self._gradients.of(answer), self._walker.settings.layers
        best = best_paths(self._edges, slopes, self._head, answer, longest=longest, top=top)
        return [(weight, places, slopes[places]) for weight, places in best]

    def told(self, answer: int, top: int) -> tuple[Path, ...]:
        """The weightiest paths to an answer, in words, with the batches of their facts."""
        found = self.paths(answer, top)
        return tuple(self._path(weight, places, weights) for weight, places, weights in found)

    def _path(self, weight: float | None, places: Rows, weights: Scores) -> Path:
        knowledge, out = self._thought.knowledge, self._edges.by_source
        sources = self._thought.view.rows[np.searchsorted(out.first, places, side="right") - 1]
        targets = self._thought.view.rows[out.left[places]]
        names = [self._names[kind % len(self._names)] for kind in out.right[places]]
        forwards = out.right[places] < len(self._names)
        heads, tails = np.where(forwards, sources, targets), np.where(forwards, targets, sources)
        numbers = [knowledge.facts.relations.index(name) for name in names]
        brought = knowledge.batches(np.stack([heads, np.array(numbers), tails], axis=1))
        keys, entities = self._thought.batch_keys, knowledge.facts.entities
        hops = [
            Hop(
                str(entities[int(heads[i])]),
                names[i],
                str(entities[int(tails[i])]),
                bool(forwards[i]),
                None if weight is None else round(float(weights[i]), 6),
                tuple(keys[number] for number in brought[i] if number in keys),
            )
            for i in range(len(places))
        ]
        return Path(tuple(hops), None if weight is None else round(weight, 6))


def walker(reasoner: Reasoner) -> PathReasoner | None:
    """What follows paths: the path reasoner, or the one that an ensemble has.

    Args:
        reasoner: Any.
    """
    from cortigraph.reasoning.reasoners.ensemble import Ensemble
    from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner

    members: Sequence[Reasoner] = reasoner.members if isinstance(reasoner, Ensemble) else (reasoner,)
    return next((each for each in members if isinstance(each, PathReasoner)), None)
