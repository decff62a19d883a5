"""Training of the path reasoner: each fact asked for in both directions, its own edge hidden.

The loss is the cross-entropy over all entities; other true answers of the query are left out of it. On the way
everywhere all queries of a batch share the graph, so the edges of all of them are hidden; on the way outwards each
query misses its own alone, as it will when it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
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
    facts: Facts,
    valid: Rows | None = None,
    settings: PathSettings | None = None,
    progress: OnCheck | None = None,
    *,
    start: PathReasoner | None = None,
    checkpoint: Checkpoint | None = None,
) -> PathReasoner:
    """Trains a path reasoner.

    Args:
        facts: What it learns from.
        valid: Held-out facts, (any, 3), that say which state was the best; the last one where there are none.
        settings: How.
        progress: Told at each validation.
        start: Goes on from what this one has learned of the relations that both know.
        checkpoint: Where the state lies after each epoch; what is there already is gone on from.

    Returns:
        The reasoner in its best state.

    Example:
        >>> import pyarrow as pa
        >>> rows = {"head": ["a", "b"], "relation": ["to", "to"], "tail": ["b", "c"]}
        >>> reasoner = train_path(Facts.of(pa.table(rows)), settings=PathSettings(width=4, layers=2, epochs=1))
        >>> reasoner.relations
        ('to',)
    """
    training = _Training(facts, valid, settings or PathSettings(), progress)
    if start is not None:
        training.reasoner.take(start)
    return training.run(checkpoint)


@dataclass
class _State:
    """How far a training has come, and the best weights so far."""

    weights: dict[str, Tensor]
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    waited: int = 0

    def judge(self, mrr: float | None, reasoner: PathReasoner) -> None:
        if mrr is None or mrr > self.best:
            self.best, self.waited = mrr or self.best, 0
            self.weights = {name: value.clone() for name, value in reasoner.state().items()}
        else:
            self.waited += 1

    def told(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "weights"}


class _Training:
    def __init__(self, facts: Facts, valid: Rows | None, settings: PathSettings, progress: OnCheck | None) -> None:
        self._facts, self._settings, self._progress = facts, settings, progress or (lambda told: None)
        self.reasoner = PathReasoner(facts.relations, settings)
        self._random = np.random.default_rng([settings.seed, 1])
        relations = len(facts.relations)
        self._triples = np.concatenate([facts.triples, inverse(facts.triples, relations)])
        self._true = Known(facts.triples, relations)
        self._valid = self._watched(valid)
        self._known = Known(np.concatenate([facts.triples, *([] if valid is None else [valid])]), relations)
        self._steps = settings.epochs * max(1, -(-len(self._triples) // settings.batch))
        self._share = 0.0  # of the training that is over
        network = self.reasoner.network
        self._optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)

    def run(self, checkpoint: Checkpoint | None = None) -> PathReasoner:
        """All epochs, or until it gets no better or time is over."""
        keep_memory()
        settings, losses = self._settings, list[float]()
        every = max(1, self._steps // (settings.epochs * settings.checks))
        state = _State(dict(self.reasoner.state()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + 1)
            if checkpoint is not None:
                state = self._restored(checkpoint, state)
            began = time.monotonic() - state.seconds
            for last, chosen in self._batches(state.epoch):
                losses.append(self._step(chosen))
                state.step += 1
                state.seconds = time.monotonic() - began
                late = state.seconds / settings.seconds if settings.seconds else 0.0
                self._share = max(state.step / self._steps, late)
                if state.step % every == 0 or self._share >= 1:
                    mrr = self._validate()
                    self._progress(Progress(state.step, self._steps, float(np.mean(losses)), mrr, state.seconds))
                    losses.clear()
                    state.judge(mrr, self.reasoner)
                if state.waited >= settings.patience or self._share >= 1:
                    break
                if last:
                    state.epoch += 1
                    self._keep(checkpoint, state)
        self.reasoner.network.load_state_dict(state.weights)
        return self.reasoner

    def _batches(self, done: int) -> Iterator[tuple[bool, Rows]]:
        """Which facts are asked for in each step, and whether it is an epoch's last; each has an order of its own."""
        for _ in range(done, self._settings.epochs):
            order = self._random.permutation(len(self._triples))
            for start in range(0, len(order), self._settings.batch):
                yield start + self._settings.batch >= len(order), order[start : start + self._settings.batch]

    def _keep(self, checkpoint: Checkpoint | None, state: _State) -> None:
        if checkpoint is None:
            return
        tensors = {f"now.{name}": value for name, value in self.reasoner.state().items()}
        tensors |= {f"best.{name}": value for name, value in state.weights.items()}
        for number, own in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in own.items()}
        tensors["random"] = torch.get_rng_state()
        told = {**state.told(), "share": self._share, "rate": self._optimizer.param_groups[0]["lr"]}
        told["random"] = self._random.bit_generator.state
        checkpoint.save(tensors, told)

    def _restored(self, checkpoint: Checkpoint, state: _State) -> _State:
        found = checkpoint.load()
        if found is None:
            return state
        tensors, told = found
        self.reasoner.network.load_state_dict(_part(tensors, "now."))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            number, what = name.split(".", 1)
            slots.setdefault(int(number), {})[what] = value
        self._share = told.pop("share")
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self._optimizer.param_groups[0]["lr"] = told.pop("rate")
        self._random.bit_generator.state = told.pop("random")
        torch.set_rng_state(tensors["random"])
        return _State(_part(tensors, "best."), **told)

    def _step(self, chosen: Rows) -> float:
        network = self.reasoner.network.train()
        asked = self._triples[chosen]
        heads, relations, tails = (np.ascontiguousarray(column) for column in asked.T)
        scores = self.reasoner.forward(self._edges(chosen), heads, relations, asked)
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
        if self.reasoner.goes_everywhere(edges):
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
        return evaluate(self.reasoner, self._facts, self._valid, self._known).mrr

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


def _part(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
