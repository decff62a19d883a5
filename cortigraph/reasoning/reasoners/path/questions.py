"""Questions: the facts of a graph, each asked for in both directions, with its own edge hidden.

On the way everywhere all queries of a batch share the graph, so the edges of all of them are hidden; on the way
outwards each query misses its own alone, as it will when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["Questions"]


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
        self._random = np.random.default_rng([settings.seed, 1, number])
        relations = len(facts.relations)
        self._triples = np.concatenate([facts.triples, inverse(facts.triples, relations)])
        self._true = Known(facts.triples, relations)
        held = facts.triples[:0] if valid is None else valid
        self._known = Known(np.concatenate([facts.triples, held]), relations)
        watched = np.random.default_rng([settings.seed, 2, number]).permutation(len(held))[: settings.watched]
        self._watched = np.asarray(held[np.sort(watched)])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._triples)

    def batches(self) -> Iterator[Rows]:
        """Which of them are asked in each step, without end; each round in an order of its own."""
        while True:
            order = self._random.permutation(len(self._triples))
            for start in range(0, len(order), self._settings.batch):
                yield order[start : start + self._settings.batch]

    def loss(self, reasoner: PathReasoner, chosen: Rows) -> Tensor:
        """The cross-entropy over all entities; other true answers of a query are left out of it.

        Args:
            reasoner: Who is asked.
            chosen: Which questions.
        """
        asked = self._triples[chosen]
        edges, relations = reasoner.aligned(self._facts, asked[:, 1])
        heads, tails = (np.ascontiguousarray(asked[:, column]) for column in (0, 2))
        own = np.stack([heads, relations, tails], axis=1)
        scores = reasoner.forward(self._visible(reasoner, edges, chosen), heads, relations, own)
        return functional.cross_entropy(
            self._without_other_answers(scores, asked), torch.from_numpy(tails),
            label_smoothing=self._settings.smoothing,
        )  # fmt: skip

    def quality(self, reasoner: PathReasoner) -> float | None:
        """MRR of facts that are held out; None where there are none."""
        if not len(self._watched):
            return None
        return evaluate(reasoner, self._facts, self._watched, self._known).mrr

    def _visible(self, reasoner: PathReasoner, edges: Structure, chosen: Rows) -> Structure:
        count = len(self._facts)
        keep = np.ones(2 * count, dtype=bool)
        if self._settings.edge_drop:
            keep &= np.tile(self._random.random(count) >= self._settings.edge_drop, 2)
        if reasoner.goes_everywhere(edges):
            keep[chosen] = keep[(chosen + count) % (2 * count)] = False
        return edges.kept(keep)

    def _without_other_answers(self, scores: Tensor, asked: Rows) -> Tensor:
        first, answers = self._true.of(asked[:, :2])
        rows = np.repeat(np.arange(len(asked)), np.diff(first))
        other = answers != asked[rows, 2]
        places = (torch.from_numpy(rows[other]), torch.from_numpy(answers[other]))
        return scores.index_put(places, scores.new_tensor(-1e9))
