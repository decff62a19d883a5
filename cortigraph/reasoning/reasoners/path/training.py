"""Training of path reasoners, on one graph or on several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.allocator import keep_memory
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.pace import VALIDATION
from cortigraph.reasoning.reasoners.path.questions import Questions
from cortigraph.reasoning.reasoners.path.reasoner import FoundationReasoner, PathReasoner
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings, PathSettings
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock, OnPart, ignore
from cortigraph.train.engine import Engine
from cortigraph.train.single import SingleEngine

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
    facts: Facts,
    valid: Rows | None = None,
    settings: PathSettings | None = None,
    progress: OnCheck | None = None,
    *,
    start: PathReasoner | None = None,
    checkpoint: Checkpoint | None = None,
    engine: Engine | None = None,
    shown: OnPart = ignore,
) -> PathReasoner:
    """Trains a path reasoner.

    Args:
        facts: What it learns from.
        valid: Held-out facts, (any, 3), that say which state was the best; the last one where there are none.
        settings: How.
        progress: Told at each validation.
        start: Goes on from what this one has learned of the relations that both know.
        checkpoint: Where the state lies after each validation; what is there already is gone on from.
        engine: The rank that this process is, if several train it together; all of them call this alike.
        shown: Told of every step.

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
    settings = (settings or PathSettings()).for_graph(len(facts.entities))
    reasoner = PathReasoner(facts.relations, settings)
    if start is not None:
        reasoner.take(start)
    _Training(reasoner, [(facts, valid)], settings, progress, checkpoint, engine, shown).run()
    return reasoner


def train_foundation(
    graphs: Sequence[tuple[Facts, Rows | None]],
    settings: FoundationSettings | None = None,
    progress: OnCheck | None = None,
    *,
    start: FoundationReasoner | None = None,
    checkpoint: Checkpoint | None = None,
    engine: Engine | None = None,
    shown: OnPart = ignore,
) -> FoundationReasoner:
    """Trains a reasoner on several graphs at once, that will serve for others with relations of their own.

    Args:
        graphs: Facts, and held-out facts, of each. Larger ones are asked more often, by the square root of their size.
        settings: How.
        progress: Told at each validation.
        start: Goes on from what this one has learned.
        checkpoint: Where the state lies after each validation; what is there already is gone on from.
        engine: The rank that this process is, if several train it together; all of them call this alike.
        shown: Told of every step.

    Returns:
        The reasoner in its best state.

    Raises:
        InputError: A graph has no facts, or there is no graph.
    """
    settings = (settings or FoundationSettings()).for_graph(max([0, *(len(facts.entities) for facts, _ in graphs)]))
    reasoner = FoundationReasoner(settings)
    if start is not None:
        reasoner.take(start)
    _Training(reasoner, graphs, settings, progress, checkpoint, engine, shown).run()
    return reasoner


@dataclass
class _State:
    """How far a training has come, and the best weights so far."""

    weights: dict[str, Tensor]
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    waited: int = 0
    share: float = 0.0  # of the training that is over

    def judge(self, mrr: float | None, reasoner: PathReasoner) -> None:
        if mrr is None or mrr > self.best:
            self.best, self.waited = mrr or self.best, 0
            self.weights = {name: value.clone() for name, value in reasoner.state().items()}
        else:
            self.waited += 1


class _Training:
    def __init__(
        self,
        reasoner: PathReasoner,
        graphs: Sequence[tuple[Facts, Rows | None]],
        settings: PathSettings,
        progress: OnCheck | None,
        checkpoint: Checkpoint | None,
        engine: Engine | None,
        shown: OnPart,
    ) -> None:
        self._clock = Clock(settings.seconds)
        if not graphs or not all(len(facts) for facts, _ in graphs):
            raise InputError("there are no facts to train on")
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "device=cuda needs a GPU that torch can use, and there is none; leave it out, or say device=cpu"
            )
        self._reasoner, self._settings, self._checkpoint = reasoner, settings, checkpoint
        self._engine = engine or SingleEngine()
        self._progress, self._shown = progress or (lambda told: None), shown
        self._graphs = [Questions(facts, valid, settings, number) for number, (facts, valid) in enumerate(graphs)]
        self._steps = settings.epochs * sum(graph.steps for graph in self._graphs)
        weights = np.sqrt([len(graph) for graph in self._graphs])
        draw = np.random.default_rng([settings.seed, 3])
        self._turns = draw.choice(len(weights), size=self._steps, p=weights / weights.sum())  # whose each step is
        self._optimizer = torch.optim.AdamW(
            reasoner.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._state = _State(dict(reasoner.state()))

    def run(self) -> None:
        """All epochs, or until it gets no better or time is over; leaves the reasoner in its best state."""
        keep_memory()
        with self._reasoner.on_device() if self._engine.size == 1 else nullcontext():
            self._run()
        self._reasoner.network.load_state_dict(self._state.weights)

    def _run(self) -> None:
        settings, state, losses = self._settings, self._state, list[float]()
        every = max(1, self._steps // (settings.epochs * settings.checks))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + 1)
            self._restore()
            clock = Clock(settings.seconds, spent=state.seconds + self._clock.elapsed)
            self._shown("compiling", 0, 0)
            closing = self._shorten()
            asked = np.bincount(self._turns[: state.step], minlength=len(self._graphs))
            while state.step < self._steps and state.share < 1 and state.waited < settings.patience:
                graph = int(self._turns[state.step])
                losses.append(self._step(self._graphs[graph], int(asked[graph])))
                asked[graph] += 1
                state.step += 1
                state.seconds = self._agreed(clock.elapsed)
                # What is left when the last validation must begin is what there is to learn in.
                late = state.seconds / max(settings.seconds - closing, 1e-9) if settings.seconds else 0.0
                state.share = min(1.0, max(state.step / self._steps, late))
                self._shown("compiling", 1, 1)
                clock.tell(self._shown, "steps", state.step, self._steps)
                if state.step % every == 0 or state.share >= 1:
                    mrr = self._validate()
                    self._progress(Progress(state.step, self._steps, float(np.mean(losses)), mrr, state.seconds))
                    losses.clear()
                    state.judge(mrr, self._reasoner)
                    self._keep()

    def _step(self, graph: Questions, number: int) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        network = self._reasoner.network.train()
        loss = graph.loss(self._reasoner, number, self._engine.slice)
        self._optimizer.zero_grad(set_to_none=True)
        # A rank's loss is its part of the whole batch's, of which the engine takes the mean.
        torch.autograd.backward(loss * self._engine.size)
        self._engine.average_gradients(list(network.parameters()))
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        self._optimizer.step()
        return float(self._engine.reduce_sum(loss.detach()))

    def _shorten(self) -> float:
        """The seconds of a validation, where time decides: then it may take but a small part of it."""
        if not self._settings.seconds:
            return 0.0
        share = VALIDATION * self._settings.seconds / len(self._graphs)
        return sum(graph.shorten(self._reasoner, share, self._agreed) for graph in self._graphs)

    def _agreed(self, seconds: float) -> float:
        """The first rank's time, where time decides: all must stop at the same step."""
        if self._engine.size == 1 or not self._settings.seconds:
            return seconds
        told = torch.tensor([seconds], dtype=torch.float64)
        self._engine.broadcast([told])
        return float(told)

    def _validate(self) -> float | None:
        found = [
            mrr
            for graph in self._graphs
            if (mrr := graph.quality(self._reasoner, self._engine, self._shown)) is not None
        ]
        return float(np.mean(found)) if found else None

    def _rate(self) -> float:
        """Up in a straight line, then down along a cosine; by time where time is what ends it."""
        share, highest = self._state.share, self._settings.learning_rate
        if share < _FIRST:
            return highest * max(0.02, share / _FIRST)
        return highest * float(0.5 * (1 + np.cos(np.pi * min(1.0, (share - _FIRST) / (1 - _FIRST)))))

    def _keep(self) -> None:
        if self._checkpoint is None or self._engine.rank:
            return
        tensors = {f"now.{name}": value for name, value in self._reasoner.state().items()}
        tensors |= {f"best.{name}": value for name, value in self._state.weights.items()}
        for number, own in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in own.items()}
        tensors["random"] = torch.get_rng_state()
        told: dict[str, Any] = {name: value for name, value in vars(self._state).items() if name != "weights"}
        self._checkpoint.save({name: tensor.cpu() for name, tensor in tensors.items()}, told)

    def _restore(self) -> None:
        found = self._checkpoint.load() if self._checkpoint is not None else None
        if found is None:
            return
        tensors, told = found
        self._reasoner.network.load_state_dict(_part(tensors, "now."))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            number, what = name.split(".", 1)
            slots.setdefault(int(number), {})[what] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        vars(self._state).update(told, weights=_part(tensors, "best."))


def _part(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
