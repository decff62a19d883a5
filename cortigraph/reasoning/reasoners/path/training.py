"""Training of the path reasoner: each fact asked for in both directions, its own edge hidden.

The loss is the cross-entropy over all entities; other true answers of the query are left out of it. On the way
everywhere all queries of a batch share the graph, so the edges of all of them are hidden; on the way outwards each
query misses its own alone, as it will when it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["Progress", "train_path"]

_FIRST = 0.1  # share of the steps in which the learning rate rises
_CLIP = 1.0


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        step: From 1.
        steps: At most.
        loss: Mean since it was told last.
        mrr: On validation facts, where it was measured now.
        seconds: Since the beginning.
    """

    step: int
    steps: int
    loss: float
    mrr: float | None
    seconds: float


OnCheck = Callable[[Progress], None]


def train_path(
    facts: Facts, valid: Rows | None = None, settings: PathSettings | None = None, progress: OnCheck | None = None
) -> PathReasoner:
    """Trains a path reasoner.

    Args:
        facts: What it learns from.
        valid: Held-out facts, (any, 3), that say which state was the best; the last one where there are none.
        settings: How.
        progress: Told at each validation.

    Returns:
        The reasoner in its best state.

    Example:
        >>> import pyarrow as pa
        >>> rows = {"head": ["a", "b"], "relation": ["to", "to"], "tail": ["b", "c"]}
        >>> reasoner = train_path(Facts.of(pa.table(rows)), settings=PathSettings(width=4, layers=2, epochs=1))
        >>> reasoner.relations
        ('to',)
    """
    return _Training(facts, valid, settings or PathSettings(), progress).run()


class _Training:
    def __init__(self, facts: Facts, valid: Rows | None, settings: PathSettings, progress: OnCheck | None) -> None:
        self._facts, self._settings, self._progress = facts, settings, progress or (lambda told: None)
        self._reasoner = PathReasoner(facts.relations, settings)
        self._random = np.random.default_rng([settings.seed, 1])
        relations = len(facts.relations)
        self._triples = np.concatenate([facts.triples, inverse(facts.triples, relations)])
        self._true = Known(facts.triples, relations)
        self._valid = self._watched(valid)
        self._known = Known(np.concatenate([facts.triples, *([] if valid is None else [valid])]), relations)
        self._steps = settings.epochs * max(1, -(-len(self._triples) // settings.batch))
        self._share = 0.0  # of the training that is over
        network = self._reasoner.network
        self._optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)

    def run(self) -> PathReasoner:
        """All epochs, or until it gets no better or time is over."""
        keep_memory()
        began, step, losses = time.monotonic(), 0, list[float]()
        best, best_state, waited = -1.0, dict(self._reasoner.state()), 0
        settings, every = self._settings, max(1, self._steps // (self._settings.epochs * self._settings.checks))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + 1)
            for chosen in self._batches():
                losses.append(self._step(chosen))
                step += 1
                seconds = time.monotonic() - began
                self._share = max(step / self._steps, seconds / settings.seconds if settings.seconds else 0.0)
                if step % every and self._share < 1:
                    continue
                mrr = self._validate()
                self._progress(Progress(step, self._steps, float(np.mean(losses)), mrr, seconds))
                losses.clear()
                if mrr is None or mrr > best:
                    best, waited = mrr or best, 0
                    best_state = {name: value.clone() for name, value in self._reasoner.state().items()}
                else:
                    waited += 1
                if waited >= settings.patience or self._share >= 1:
                    break
        self._reasoner.network.load_state_dict(best_state)
        return self._reasoner

    def _batches(self) -> Iterator[Rows]:
        """Which facts are asked for in each step, of all epochs; each epoch in an order of its own."""
        for _ in range(self._settings.epochs):
            order = self._random.permutation(len(self._triples))
            for start in range(0, len(order), self._settings.batch):
                yield order[start : start + self._settings.batch]

    def _step(self, chosen: Rows) -> float:
        network = self._reasoner.network.train()
        asked = self._triples[chosen]
        heads, relations, tails = (np.ascontiguousarray(column) for column in asked.T)
        scores = self._reasoner.forward(self._edges(chosen), heads, relations, asked)
        loss = functional.cross_entropy(
            self._without_other_answers(scores, asked), torch.from_numpy(tails),
            label_smoothing=self._settings.smoothing,
        )  # fmt: skip
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())

    def _edges(self, chosen: Rows) -> Structure:
        edges, count = self._facts.edges, len(self._facts)
        keep = np.ones(2 * count, dtype=bool)
        if self._settings.edge_drop:
            keep &= np.tile(self._random.random(count) >= self._settings.edge_drop, 2)
        if self._reasoner.goes_everywhere(edges):
            keep[chosen] = keep[(chosen + count) % (2 * count)] = False
        return edges.kept(keep)

    def _without_other_answers(self, scores: Tensor, asked: Rows) -> Tensor:
        first, answers = self._true.of(asked[:, :2])
        rows = np.repeat(np.arange(len(asked)), np.diff(first))
        other = answers != asked[rows, 2]
        places = (torch.from_numpy(rows[other]), torch.from_numpy(answers[other]))
        return scores.index_put(places, scores.new_tensor(-1e9))

    def _validate(self) -> float | None:
        if not len(self._valid):
            return None
        return evaluate(self._reasoner, self._facts, self._valid, self._known).mrr

    def _watched(self, valid: Rows | None) -> Rows:
        if valid is None or not len(valid):
            return self._triples[:0]
        chosen = np.random.default_rng([self._settings.seed, 2]).permutation(len(valid))[: self._settings.watched]
        return np.asarray(valid[np.sort(chosen)])

    def _rate(self, _: int) -> float:
        """Up in a straight line, then down along a cosine; by time where time is what ends it."""
        if self._share < _FIRST:
            return max(0.02, self._share / _FIRST)
        return float(0.5 * (1 + np.cos(np.pi * min(1.0, (self._share - _FIRST) / (1 - _FIRST)))))
