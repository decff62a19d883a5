"""Questions: the facts of a graph, each asked for in both directions, with its own edge hidden.

On the way everywhere all queries of a batch share the graph, so the edges of all of them are hidden; on the way
outwards each query misses its own alone, as it will when it is asked. Where held-out facts join what no other fact
joins, all edges between head and answer are hidden: else it is learned that the answer is next door.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cortigraph.reasoning.reasoners.base import EXCLUDED
from cortigraph.reasoning.reasoners.evaluate import Known, Metrics, evaluate
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.pace import seconds_a_query, spread
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.structure import Rows, Structure
from cortigraph.train.clock import OnPart, ignore
from cortigraph.train.engine import Engine

__all__ = ["Questions"]

_ENOUGH = 20  # held-out facts that should join what is joined already, before it means anything that they don't


class Questions:
    """What a path reasoner is asked while it learns from one graph.

    Args:
        facts: The graph.
        valid: Held-out facts, (any, 3); none if left out.
        settings: How it is trained.
        number: Of the graph among those it learns from.
    """

    def __init__(self, facts: Facts, valid: Rows | None, settings: PathSettings, number: int = 0) -> None:
        self._facts, self._settings = facts, settings
        self._number = number
        relations = len(facts.relations)
        self._triples = np.concatenate([facts.triples, inverse(facts.triples, relations)])
        self._true = Known(facts.triples, relations)
        held = facts.triples[:0] if valid is None else valid
        self._hides_pairs = settings.hides == "pair" or (settings.hides == "auto" and _set_apart(facts, held))
        self._known = Known(np.concatenate([facts.triples, held]), relations)
        watched = np.random.default_rng([settings.seed, 2, number]).permutation(len(held))[: settings.watched]
        self._round: tuple[int, Rows] = (-1, watched)  # which it is, and its order
        self._watched = np.asarray(held[np.sort(watched)])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._triples)

    @property
    def steps(self) -> int:
        """How many batches they make."""
        return -(-len(self._triples) // self._settings.batch)

    def loss(self, reasoner: PathReasoner, step: int, share: Callable[[int], tuple[int, int]] | None = None) -> Tensor:
        """The cross-entropy over all entities; other true answers of a query are left out of it.

        Args:
            reasoner: Who is asked.
            step: Which batch, from 0; after each round they are shuffled anew. Nothing but this number says what is
                asked and what is dropped, so a training can go on from any step.
            share: Which of so many questions are asked here, the rest by others: begin and end. The losses of all
                then sum up to that of the batch.
        """
        chosen = self._chosen(step)
        begin, end = share(len(chosen)) if share is not None else (0, len(chosen))
        weight = (end - begin) / len(chosen)
        # One that has none asks one all the same, for no weight: all must come to the exchange.
        asked = self._triples[chosen[begin:end] if end > begin else chosen[:1]]
        edges, relations = reasoner.aligned(self._facts, asked[:, 1])
        heads, tails = (np.ascontiguousarray(asked[:, column]) for column in (0, 2))
        hidden = np.full_like(relations, -1) if self._hides_pairs else relations
        own = np.stack([heads, hidden, tails], axis=1)
        scores = reasoner.forward(self._visible(reasoner, edges, chosen, step), heads, relations, own)
        return weight * functional.cross_entropy(
            self._without_other_answers(scores, asked), torch.as_tensor(tails, device=scores.device),
            label_smoothing=self._settings.smoothing,
        )  # fmt: skip

    def shorten(self, reasoner: PathReasoner, seconds: float, agreed: Callable[[float], float]) -> float:
        """Watches no more held-out facts than can be ranked in so many seconds.

        Args:
            reasoner: Who is tried, to see how fast it answers.
            seconds: For one look at all of them.
            agreed: Makes of a worker's own number that of the first worker.

        Returns:
            The seconds that it will take.
        """
        if not len(self._watched):
            return 0.0
        evaluate(reasoner, self._facts, self._watched[:1], self._known)  # compiles what ranks, before time is measured
        both = 2 * agreed(seconds_a_query(reasoner, self._facts, self._watched[:, :2]))
        self._watched = spread(self._watched, seconds, both)
        return both * len(self._watched)

    def quality(self, reasoner: PathReasoner, engine: Engine, shown: OnPart = ignore) -> float | None:
        """MRR of facts that are held out, each ranked by one of the workers; None where there are none."""
        if not len(self._watched):
            return None
        mine = self._watched[slice(*engine.slice(len(self._watched)))]
        none = np.zeros((0, 2), dtype=np.int64)

        def told(done: int, whole: int) -> None:
            shown("validating, queries", done, whole)

        found = evaluate(reasoner, self._facts, mine, self._known, progress=told).ranks if len(mine) else none
        return Metrics(engine.gather(torch.from_numpy(found)).numpy()).mrr

    @cached_property
    def _pairs(self) -> Rows:
        """The pair that each of its triples joins."""
        return _pairs(self._triples, len(self._facts.entities))

    def _chosen(self, step: int) -> Rows:
        number, place = divmod(step, self.steps)
        if number != self._round[0]:
            draw = np.random.default_rng([self._settings.seed, 1, self._number, number])
            self._round = (number, draw.permutation(len(self._triples)))
        return self._round[1][place * self._settings.batch : (place + 1) * self._settings.batch]

    def _visible(self, reasoner: PathReasoner, edges: Structure, chosen: Rows, step: int) -> Structure:
        count = len(self._facts)
        keep = np.ones(2 * count, dtype=bool)
        if self._settings.edge_drop:
            draw = np.random.default_rng([self._settings.seed, 4, self._number, step])
            keep &= np.tile(draw.random(count) >= self._settings.edge_drop, 2)
        if reasoner.goes_everywhere(edges):
            if self._hides_pairs:
                keep &= ~np.isin(self._pairs, self._pairs[chosen])
            keep[chosen] = keep[(chosen + count) % (2 * count)] = False
        return edges.kept(keep)

    def _without_other_answers(self, scores: Tensor, asked: Rows) -> Tensor:
        first, answers = self._true.of(asked[:, :2])
        rows = np.repeat(np.arange(len(asked)), np.diff(first))
        other = answers != asked[rows, 2]
        places = tuple(torch.as_tensor(each[other], device=scores.device) for each in (rows, answers))
        return scores.index_put(places, scores.new_tensor(EXCLUDED))


def _pairs(triples: Rows, entities: int) -> Rows:
    """A number for each pair of head and tail, whichever is which."""
    ends = np.sort(triples[:, [0, 2]], axis=1)
    return np.asarray(ends[:, 0] * entities + ends[:, 1])


def _set_apart(facts: Facts, held: Rows) -> bool:
    """Whether held-out facts join what another fact joins much less often than the facts themselves do."""
    pairs, count = np.unique(_pairs(facts.triples, len(facts.entities)), return_counts=True)
    also = float(count[count > 1].sum() / len(facts))
    found = int(np.isin(_pairs(held, len(facts.entities)), pairs).sum())
    return also * len(held) >= _ENOUGH and found < also * len(held) / 2
