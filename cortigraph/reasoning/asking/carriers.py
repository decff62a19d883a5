"""Carriers: the paths that carried answers, as the kind of reasoner allows.

What the graph holds rests on the fact itself, and that comes first. The path reasoner answers by paths, and the
gradients of a score say on which it hangs. A scorer of a closed graph follows none: what is shown for it, and where no
reasoner was asked, are the shortest paths in the graph that lead to the answer, and nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.reasoning.asking.answers import Hop, Path, Step
from cortigraph.reasoning.asking.join import Link
from cortigraph.reasoning.asking.knowledge import Knowledge
from cortigraph.reasoning.asking.mind import Sight, Thought
from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.gradients import EdgeGradients
    from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner

__all__ = ["Carrier", "Carriers", "walker"]

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
        thought = self._thought
        return _told(thought.knowledge, self._edges, self._names, thought.view.rows, places, weight, weights)


class Carriers:
    """Queries before a graph and a reasoner, each asked once: why answers to them hold.

    Args:
        knowledge: The graph.
        sight: What the reasoner sees of it; none where none is asked.
        paths: Whether paths will be asked for.
    """

    def __init__(self, knowledge: Knowledge, sight: Sight | None, *, paths: bool = True) -> None:
        self._knowledge, self._sight, self._paths = knowledge, sight, paths
        self._carriers: dict[tuple[int, int], Carrier | None] = {}

    def carrier(self, row: int, relation: int) -> Carrier | None:
        """A query before the reasoner; none where it knows the entity or the relation not.

        Args:
            row: Of the graph.
            relation: Its number in the graph.
        """
        if (row, relation) not in self._carriers:
            query = self._sight.query(row, relation) if self._sight is not None else None
            found = Carrier(self._sight.thought, *query, paths=self._paths) if self._sight and query else None
            self._carriers[row, relation] = found
        return self._carriers[row, relation]

    def told(self, row: int, relation: int, answer: int, top: int, *, known: bool) -> tuple[Path, ...]:
        """Why an answer holds: the fact itself, where the graph holds it, then the paths that carried it.

        Args:
            row: Of what is asked about.
            relation: Number of the relation.
            answer: Its row.
            top: How many paths.
            known: Whether the graph holds it.
        """
        if not top or not self._paths:
            return ()
        carrier, place = self.carrier(row, relation), int(self._sight.places[answer]) if self._sight else -1
        if not known:
            return carrier.told(place, top) if carrier is not None else ()
        fact = self._fact(row, relation, answer)
        if top == 1:
            return (fact,)
        others = carrier.told(place, top) if carrier is not None and place >= 0 else self._short(row, answer, top)
        own = next((path for path in others if _same(path, fact)), fact)
        return (own, *(path for path in others if path is not own))[:top]

    def step(self, link: Link, truth: float, known: bool, top: int) -> Step:
        """A fact on which an answer rests.

        Args:
            link: From what was asked about to what was found, by rows.
            truth: How true it is.
            known: Whether the graph holds it.
            top: How many paths.
        """
        assert isinstance(link.start, int)
        assert isinstance(link.end, int)
        facts = self._knowledge.facts
        count = len(facts.relations)
        ends = (link.start, link.end) if link.relation < count else (link.end, link.start)
        head, tail = (str(facts.entities[row]) for row in ends)
        # A step that the graph holds needs no more than its fact, unless a reasoner is there to say more.
        wanted = min(top, 1) if known and self._sight is None else top
        paths = self.told(link.start, link.relation, link.end, wanted, known=known)
        return Step(head, facts.relations[link.relation % count], tail, truth, known, paths)

    def _fact(self, row: int, relation: int, answer: int) -> Path:
        facts = self._knowledge.facts
        forwards = relation < len(facts.relations)
        number = relation % len(facts.relations)
        head, tail = (row, answer) if forwards else (answer, row)
        (batches,) = self._knowledge.batches(np.array([[head, number, tail]]))
        start, end = (str(facts.entities[each]) for each in (head, tail))
        return Path((Hop(start, facts.relations[number], end, forwards, None, batches),))

    def _short(self, row: int, answer: int, top: int) -> tuple[Path, ...]:
        from cortigraph.reasoning.reasoners.path.beam import short_paths

        facts = self._knowledge.facts
        rows, found = np.arange(len(facts.entities)), short_paths(facts.edges, row, answer, top=top)
        return tuple(
            _told(self._knowledge, facts.edges, facts.relations, rows, places, None, np.zeros(len(places), np.float32))
            for places in found
        )


def _same(path: Path, fact: Path) -> bool:
    """Whether a path is the fact and nothing else."""
    (one, *more), (other,) = path.hops, fact.hops
    return not more and (one.head, one.relation, one.tail) == (other.head, other.relation, other.tail)


def _told(
    knowledge: Knowledge,
    edges: Structure,
    names: Sequence[str],
    rows: Rows,
    places: Rows,
    weight: float | None,
    weights: Scores,
) -> Path:
    """A path in words: edges by their places in `edges.by_source`, with the rows of their nodes in the graph."""
    out = edges.by_source
    sources = rows[np.searchsorted(out.first, places, side="right") - 1]
    targets = rows[out.left[places]]
    told = [names[kind % len(names)] for kind in out.right[places]]
    forwards = out.right[places] < len(names)
    heads, tails = np.where(forwards, sources, targets), np.where(forwards, targets, sources)
    numbers = [knowledge.facts.relations.index(name) for name in told]
    brought = knowledge.batches(np.stack([heads, np.array(numbers), tails], axis=1))
    entities = knowledge.facts.entities
    hops = [
        Hop(
            str(entities[int(heads[i])]),
            told[i],
            str(entities[int(tails[i])]),
            bool(forwards[i]),
            None if weight is None else round(float(weights[i]), 6),
            brought[i],
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
