"""The training loop. There is one, for one process and for many.

fit      build → compute frozen parts once → epochs of steps → keep the best state → outcome
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine
from cortigraph.train.errors import DivergedError, PausedError
from cortigraph.train.features import Features
from cortigraph.train.job import Epoch, Metrics, Outcome, TrainJob
from cortigraph.train.learner import Learner
from cortigraph.train.limit import Limit
from cortigraph.train.randomness import own_randomness, permutation, threads

__all__ = ["fit"]

_LOG = logging.getLogger(__name__)

OnEpoch = Callable[[Epoch], None]


def fit(
    job: TrainJob,
    engine: Engine,
    weights: WeightStore,
    on_epoch: OnEpoch | None = None,
    torch_threads: int | None = None,
    features: Features | None = None,
    paused: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Trains a network, or goes on where a killed run of the same job left off.

    With N ranks the result is that of one, up to the order of summation, if the network treats each sample on its own
    (no batch normalisation) and draws no random numbers itself (no dropout).

    Args:
        job: What to train, on what, how.
        engine: Whose ranks all call this with the same job.
        weights: Where initial weights lie and where the best state goes.
        on_epoch: Called on rank 0 after each epoch.
        torch_threads: Threads of this process while it trains; None leaves them as they are.
        features: Outputs of frozen parts that earlier jobs computed, of which this one takes and leaves some.
        paused: Asked on rank 0 at each commit whether to stop there.
        clock: Training ends, within an epoch if need be, while there is time to measure and keep what was learned; what
            comes of it then depends on how fast the machine is.

    Returns:
        What came of it, the same on every rank. Unless time ended it, it also lies in `job.work` until that folder is
        removed: a caller that is killed before it could note the outcome gets it again.

    Raises:
        InputError: The network was composed for other data, or a split is empty.
        DivergedError: The loss is not finite.
        PausedError: It was asked to stop; called again, it goes on from there.
    """
    with own_randomness(job.settings.seed), threads(torch_threads):
        dataset = Dataset.open(job.dataset_folder)
        known = _finished(job, dataset, engine, weights)
        if known is not None:
            return known
        run = _Run(job, dataset, engine, weights, features, paused, clock or Clock())
        run.resume()
        while run.more():
            record = run.epoch()
            if on_epoch is not None and engine.rank == 0:
                on_epoch(record)
        return run.finish()


@dataclass
class _Progress:
    """What has happened so far; goes into checkpoints as it is.

    Args:
        epoch: How many are over.
        step: How many steps of the next one are.
        total: Summed loss of those steps.
        best_epoch: From 1.
        best: Metrics on the watched split after it.
        history: Every epoch.
    """

    epoch: int = 0
    step: int = 0
    total: float = 0.0
    best_epoch: int = 0
    best: Metrics = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class _Run:
    """One job on one rank."""

    def __init__(
        self,
        job: TrainJob,
        dataset: Dataset,
        engine: Engine,
        weights: WeightStore,
        features: Features | None,
        paused: Callable[[], bool] | None,
        clock: Clock,
    ) -> None:
        self.job, self.settings, self.engine, self.weights = job, job.settings, engine, weights
        self.paused = paused or (lambda: False)
        self.began = time.perf_counter()
        self.learner = _learner(job)(job, dataset, engine, weights, features)
        self.key = job.key(dataset.fingerprint)
        self.checkpoints = self.learner.checkpoints(self.key)
        self.progress = _Progress()
        self.best_state = _copied(self.learner.state)
        self.done, self.training_seconds = 0, 0.0
        self.limit = Limit(clock, engine)
        engine.exchanged = 0

    @property
    def steps(self) -> int:
        """Per epoch."""
        return -(-len(self.learner.fitted) // self.settings.batch)

    def more(self) -> bool:
        """Whether another epoch is worth running."""
        if not self.learner.size or self.progress.epoch >= self.settings.epochs or self.limit.over:
            return False
        return self.learner.watched is None or self.progress.epoch - self.progress.best_epoch < self.settings.patience

    def epoch(self) -> Epoch:
        """One pass over the samples, or what is left of it, then a look at the watched split."""
        began = time.perf_counter()
        epoch = self.progress.epoch + 1
        loss, rate = self._pass(epoch)
        self.training_seconds += time.perf_counter() - began
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss} in epoch {epoch}; lower settings.learning_rate (now {self.settings.learning_rate})"
            )
        watch = self.learner.measure(self.learner.watched) if self.learner.watched is not None else {}
        progress = self.progress
        progress.epoch, progress.step, progress.total = epoch, 0, 0.0
        if self.learner.watched is None or _better(watch, progress.best, self.settings.metric):
            progress.best, progress.best_epoch = watch, epoch
            self.best_state = _copied(self.learner.state)
        seconds = time.perf_counter() - began
        record = Epoch(epoch=epoch, loss=loss, watch=watch, rate=rate, seconds=seconds)
        progress.history.append(record.model_dump())
        self._commit()
        return record

    def _pass(self, epoch: int) -> tuple[float, float]:
        self.learner.begin()
        order = permutation(len(self.learner.fitted), self.settings.seed, epoch)
        # Of all ranks, where the pass was interrupted: it stands with rank 0 from then on.
        total = torch.tensor(self.progress.total if self.engine.rank == 0 else 0.0)
        rate, every = self.settings.learning_rate, self.job.exchange.commit_steps
        seen = self.progress.step * self.settings.batch
        for step in range(self.progress.step, self.steps):
            batch = order[step * self.settings.batch : (step + 1) * self.settings.batch]
            rate = self.settings.rate((epoch - 1) * self.steps + step, self.settings.epochs * self.steps)
            total += self.learner.learn(batch, epoch, step, rate)
            seen, self.done = seen + len(batch), self.done + len(batch)
            if self.limit.reached(len(batch), self._to_measure()):
                break
            if every and (step + 1) % every == 0 and step + 1 < self.steps:
                self.learner.settle()
                self.progress.step, self.progress.total = step + 1, float(self.engine.reduce_sum(total))
                total.fill_(self.progress.total if self.engine.rank == 0 else 0.0)
                self._commit()
        self.learner.settle()
        return float(self.engine.reduce_sum(total)) / seen, rate

    def _to_measure(self) -> int:
        """Samples that are measured once training has ended: the watched ones, after the epoch and as they are kept."""
        return 2 * len(self.learner.watched) if self.learner.watched is not None else len(self.learner.fitted)

    def _commit(self) -> None:
        """Writes a checkpoint if it is time for one, and stops here if that is asked; ranks are settled."""
        # Rank 0 says for all, so that all stop at the same commit, and write the same one.
        stop, due = 0.0, 0.0
        if self.engine.rank == 0 and self.checkpoints is not None:
            stop, due = float(self.paused()), float(self.checkpoints.due())
        stop, due = self.engine.reduce_sum(torch.tensor([stop, due])).tolist()
        if self.checkpoints is not None and (stop or due):
            self.checkpoints.write(self._everything(), vars(self.progress))
        if stop:
            raise PausedError("the job was asked to stop; given again, it goes on from here")

    def resume(self) -> None:
        """Takes up the last commit, if there is one."""
        if not self.learner.size:
            return
        told = self.learner.resume(self.checkpoints, self._everything())
        if told is not None:
            self.progress = _Progress(**told)

    def _everything(self) -> dict[str, Tensor]:
        best = {f"best.{name}": value for name, value in self.best_state.items()}
        return self.learner.tensors() | best

    def finish(self) -> Outcome:
        """Goes back to the best state, measures it and keeps it."""
        learner = self.learner
        for name, tensor in learner.state.items():
            tensor.copy_(self.best_state[name])
        metrics = {}
        if learner.watched is None or not self.limit.over:
            metrics[self.job.fit_split] = learner.measure(learner.fitted)
        if learner.watched is not None and self.job.watch_split is not None:
            metrics[self.job.watch_split] = learner.measure(learner.watched)
        outcome = Outcome(
            metrics=metrics,
            best_epoch=self.progress.best_epoch,
            epochs=self.progress.epoch,
            seconds=time.perf_counter() - self.began,
            samples_per_second=self.done / self.training_seconds if self.training_seconds else 0.0,
            weights=learner.keep(self.weights),
            history=[Epoch(**record) for record in self.progress.history],
            workers=self.engine.size,
            parameters=learner.size,
            exchanged=self.engine.exchanged,
            cut=self.limit.over,
        )
        if self.engine.rank == 0 and not outcome.cut:
            _note(self.job, self.key, outcome)
        if self.checkpoints is not None and not outcome.cut:
            self.checkpoints.clear()  # one that was cut goes on from there, if it is given more time
        return outcome


def _learner(job: TrainJob) -> type[Learner]:
    if job.exchange.split == "network":
        from cortigraph.train.staged import StagedLearner

        return StagedLearner
    return Learner


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _better(new: Metrics, best: Metrics, metric: str) -> bool:
    if not best:
        return True
    if metric == "nll" or new["accuracy"] == best["accuracy"]:
        return new["nll"] < best["nll"]
    return new["accuracy"] > best["accuracy"]


def _note(job: TrainJob, key: str, outcome: Outcome) -> None:
    partial = job.work / "outcome.partial"
    try:
        job.work.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"key": key, "outcome": outcome.to_json()}), encoding="utf-8")
        partial.replace(job.work / "outcome.json")
    except OSError as error:  # the weights are safe and the outcome is about to be returned
        _LOG.warning("the outcome was not noted in %s: %s", job.work, error.strerror or error)


def _finished(job: TrainJob, dataset: Dataset, engine: Engine, weights: WeightStore) -> Outcome | None:
    text = ""
    if engine.rank == 0:
        try:
            told = json.loads((job.work / "outcome.json").read_text(encoding="utf-8"))
            outcome = Outcome.from_json(told["outcome"])
            same = told["key"] == job.key(dataset.fingerprint) and all(map(weights.has, outcome.weights.values()))
            text = outcome.to_json() if same else ""
        except (OSError, ValueError, KeyError, TypeError):
            text = ""
    text = engine.share(text)
    return Outcome.from_json(text) if text else None
