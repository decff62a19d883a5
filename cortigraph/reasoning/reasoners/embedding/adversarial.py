"""Training RotatE and TransE: drawn negatives, of which the nearest count most, by Adagrad on the rows in use.

Each fact is asked in both directions, and each query is set against negatives of its own, drawn evenly from all
entities for it alone: as many are scored as are chosen, none is shared and none left out. See Sun et al. (2019).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.embedding.closed import Vectors
from cortigraph.reasoning.reasoners.embedding.distance import Distance
from cortigraph.reasoning.reasoners.embedding.names import Names
from cortigraph.reasoning.reasoners.embedding.settings import DistanceSettings
from cortigraph.reasoning.reasoners.embedding.watch import Late, OnEpoch, Watch, never
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.threads import compiled
from cortigraph.train.clock import OnPart, ignore

__all__ = ["AdversarialSteps", "train_distance"]

_Kind = TypeVar("_Kind", bound=Distance)


def train_distance(
    kind: type[_Kind],
    facts: Facts,
    valid: Rows,
    settings: DistanceSettings | None = None,
    *,
    start: _Kind | None = None,
    progress: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
    shown: OnPart = ignore,
) -> _Kind:
    """Trains RotatE or TransE.

    Args:
        kind: Which.
        facts: What is known; all of its entities get vectors.
        valid: (any, 3): held out, to find when to stop.
        settings: All choices.
        start: Goes on from the vectors that this one has of what the facts name.
        progress: Told after each epoch.
        checkpoint: Where the state lies after each epoch; what is there already is gone on from.
        shown: Told how far each epoch is.

    Raises:
        InputError: There are no facts.

    Example:
        >>> import pyarrow as pa
        >>> from cortigraph.reasoning.reasoners.embedding.distance import RotatE
        >>> table = pa.table({"head": ["a", "b"], "relation": ["likes", "likes"], "tail": ["b", "c"]})
        >>> facts = Facts.of(table)
        >>> scorer = train_distance(RotatE, facts, facts.triples[:0], DistanceSettings(rank=8, epochs=100))
        >>> int(scorer.score(facts, np.array([[0, 0]])).argmax())
        1
    """
    settings = settings or DistanceSettings()
    if not len(facts):
        raise InputError("there are no facts to train on")
    scorer = _fresh(kind, facts, settings)
    if start is not None:
        scorer.take(start)
    watch = Watch(scorer, facts, valid, settings, progress, checkpoint, shown)
    both = np.concatenate([facts.triples, inverse(facts.triples, len(facts.relations))])
    steps = AdversarialSteps(scorer, settings)
    generator = np.random.default_rng([settings.seed, 2])
    watch.holds(steps.memory, generator)
    for epoch in watch.epochs():
        watch.done(epoch, steps.run(both, generator, watch.late))
    watch.finish()
    return scorer


def _fresh(kind: type[_Kind], facts: Facts, settings: DistanceSettings) -> _Kind:
    generator = np.random.default_rng([settings.seed, 0])
    width = settings.rank * (2 if kind.pairs else 1)
    reach = (settings.margin + 2) / settings.rank
    angle = np.pi if kind.pairs else reach
    entity = generator.uniform(-reach, reach, (len(facts.entities), width)).astype(np.float32)
    relation = generator.uniform(-angle, angle, (len(facts.relations), settings.rank)).astype(np.float32)
    return kind(Names.of(facts), entity, relation)


class AdversarialSteps:
    """Steps of Adagrad on the tables of a scorer, in place.

    Args:
        scorer: Which.
        settings: All choices.
    """

    def __init__(self, scorer: Distance, settings: DistanceSettings) -> None:
        self._scorer, self._settings = scorer, settings
        self.squares = np.zeros_like(scorer.entity), np.zeros_like(scorer.relation)
        # Vectors are spread over `reach`; angles over π: one rate is meant for both, in proportion.
        self._reach = (settings.margin + 2) / settings.rank

    @property
    def memory(self) -> dict[str, Vectors]:
        """What Adagrad remembers."""
        return dict(zip(("entity.squares", "relation.squares"), self.squares, strict=True))

    def run(self, triples: Rows, generator: np.random.Generator, late: Late = never) -> float:
        """One epoch.

        Args:
            triples: (any, 3), in all directions that shall be asked.
            generator: Draws order and negatives.
            late: Whether it must end, after so many queries of so many.

        Returns:
            Mean loss of a query.
        """
        order, batch = generator.permutation(len(triples)), self._settings.batch
        losses, done = 0.0, 0
        for begin in range(0, len(order), batch):
            taken = triples[order[begin : begin + batch]]
            shape = (len(taken), self._settings.negatives)
            losses += self.step(taken, generator.integers(0, len(self._scorer.entity), shape))
            done += len(taken)
            if late(done, len(order)):
                break
        return losses / max(1, done)

    def step(self, triples: Rows, negatives: Rows) -> float:
        """One step.

        Args:
            triples: (queries, 3).
            negatives: (queries, any).

        Returns:
            The sum of their losses.
        """
        steps, scorer, settings = _steps(), self._scorer, self._settings
        heads, (rows, signs) = np.ascontiguousarray(triples[:, 0]), scorer.signed(triples[:, 1])
        moves = signs * scorer.relation[rows]
        asked = scorer.move(scorer.entity[heads], moves)
        drawn = np.concatenate([triples[:, 2:], negatives], axis=1)
        weights, to_asked = np.empty(drawn.shape, dtype=np.float32), np.empty_like(asked)
        loss = np.empty(len(asked), dtype=np.float32)
        margin, temperature = np.float32(settings.margin), np.float32(settings.temperature)
        steps.weigh(asked, scorer.entity, drawn, scorer.pairs, margin, temperature, weights, to_asked, loss)
        to_heads, to_moves = scorer.slopes(moves, asked, to_asked)
        rate, share = np.float32(settings.learning_rate * self._reach), np.float32(1 / len(asked))
        groups = steps.grouped(np.concatenate([drawn.ravel(), heads]), len(scorer.entity))
        steps.push(*groups, weights, asked, to_heads, scorer.entity, self.squares[0], scorer.pairs, rate, share)
        self._relations(rows, signs * to_moves, share)
        return float(loss.sum(dtype=np.float64))

    def _relations(self, rows: Rows, to_moves: Vectors, share: np.float32) -> None:
        steps = _steps()
        spread = np.pi if self._scorer.pairs else self._reach
        rate = np.float32(self._settings.learning_rate * spread)
        groups = steps.grouped(rows, len(self._scorer.relation))
        steps.adagrad(*groups, to_moves, self._scorer.relation, self.squares[1], rate, share)


def _steps() -> Any:
    return compiled("cortigraph.reasoning.reasoners.embedding._distance_steps")
