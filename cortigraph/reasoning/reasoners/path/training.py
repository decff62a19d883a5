"""Training of path reasoners, on one graph or on several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.questions import Questions
from cortigraph.reasoning.reasoners.path.reasoner import FoundationReasoner, PathReasoner
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings, PathSettings
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Progress", "train_foundation", "train_path"]

_FIRST = 0.1  # share of the steps in which the learning rate rises
_CLIP = 1.0


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        step: From 1.
        steps: At most.
        loss: Mean since it was told last.
        mrr: On validation facts, where it was measured now; the mean over graphs.
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

    Raises:
        InputError: There are no facts.

    Example:
        >>> import pyarrow as pa
        >>> rows = {"head": ["a", "b"], "relation": ["to", "to"], "tail": ["b", "c"]}
        >>> reasoner = train_path(Facts.of(pa.table(rows)), settings=PathSettings(width=4, layers=2, epochs=1))
        >>> reasoner.relations
        ('to',)
    """
    if not len(facts):
        raise InputError("there are no facts to train on")
    settings = settings or PathSettings()
    reasoner = PathReasoner(facts.relations, settings)
    _Training(reasoner, [Questions(facts, valid, settings)], settings, progress or (lambda told: None)).run()
    return reasoner


def train_foundation(
    graphs: Sequence[tuple[Facts, Rows | None]],
    settings: FoundationSettings | None = None,
    progress: OnCheck | None = None,
) -> FoundationReasoner:
    """Trains a reasoner on several graphs at once, that will serve for others with relations of their own.

    Args:
        graphs: Facts, and held-out facts, of each. Larger ones are asked more often, by the square root of their size.
        settings: How.
        progress: Told at each validation.

    Returns:
        The reasoner in its best state.

    Raises:
        InputError: A graph has no facts, or there is no graph.
    """
    if not graphs or not all(len(facts) for facts, _ in graphs):
        raise InputError("there are no facts to train on")
    settings = settings or FoundationSettings()
    reasoner = FoundationReasoner(settings)
    questions = [Questions(facts, valid, settings, number) for number, (facts, valid) in enumerate(graphs)]
    _Training(reasoner, questions, settings, progress or (lambda told: None)).run()
    return reasoner


class _Training:
    def __init__(
        self, reasoner: PathReasoner, graphs: Sequence[Questions], settings: PathSettings, progress: OnCheck
    ) -> None:
        self._reasoner, self._graphs, self._settings, self._progress = reasoner, graphs, settings, progress
        self._steps = settings.epochs * max(1, sum(-(-len(graph) // settings.batch) for graph in graphs))
        self._share = 0.0  # of the training that is over
        network = reasoner.network
        self._optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)

    def run(self) -> None:
        """All epochs, or until it gets no better or time is over; leaves the reasoner in its best state."""
        keep_memory()
        began, step, losses = time.monotonic(), 0, list[float]()
        best, best_state, waited = -1.0, dict(self._reasoner.state()), 0
        settings, every = self._settings, max(1, self._steps // (self._settings.epochs * self._settings.checks))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + 1)
            for graph, chosen in self._batches():
                losses.append(self._step(graph, chosen))
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

    def _batches(self) -> Iterator[tuple[Questions, Rows]]:
        """Which graph is asked what, step by step."""
        draw = np.random.default_rng([self._settings.seed, 3])
        weights = np.sqrt([len(graph) for graph in self._graphs])
        rounds = [graph.batches() for graph in self._graphs]
        for _ in range(self._steps):
            chosen = int(draw.choice(len(self._graphs), p=weights / weights.sum()))
            yield self._graphs[chosen], next(rounds[chosen])

    def _step(self, graph: Questions, chosen: Rows) -> float:
        network = self._reasoner.network.train()
        loss = graph.loss(self._reasoner, chosen)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())

    def _validate(self) -> float | None:
        found = [mrr for graph in self._graphs if (mrr := graph.quality(self._reasoner)) is not None]
        return float(np.mean(found)) if found else None

    def _rate(self, _: int) -> float:
        """Up in a straight line, then down along a cosine; by time where time is what ends it."""
        if self._share < _FIRST:
            return max(0.02, self._share / _FIRST)
        return float(0.5 * (1 + np.cos(np.pi * min(1.0, (self._share - _FIRST) / (1 - _FIRST)))))
