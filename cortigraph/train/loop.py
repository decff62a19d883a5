"""The training loop. There is one, for one process and for many.

fit      build → compute frozen parts once → epochs of steps → keep the best state → outcome
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cortigraph.graph.errors import InputError
from cortigraph.regions.pathway import Pathway
from cortigraph.regions.weights import WeightStore
from cortigraph.train.augment import augment
from cortigraph.train.checkpoint import Checkpoints, optimizer_tensors
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine
from cortigraph.train.errors import DivergedError
from cortigraph.train.evaluate import logits_of, metrics_of
from cortigraph.train.features import Features
from cortigraph.train.job import Epoch, Metrics, Outcome, TrainJob
from cortigraph.train.randomness import generator, mixed, own_randomness, permutation, threads
from cortigraph.train.samples import Samples, check_inputs, prepare

__all__ = ["fit"]

OnEpoch = Callable[[Epoch], None]


def fit(
    job: TrainJob,
    engine: Engine,
    weights: WeightStore,
    on_epoch: OnEpoch | None = None,
    torch_threads: int | None = None,
    features: Features | None = None,
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

    Returns:
        What came of it, the same on every rank. It also lies in `job.work` until that folder is removed: a caller that
        is killed before it could note the outcome gets it again.

    Raises:
        InputError: The network was composed for other data, or a split is empty.
        TrainError: The loss is not finite.
    """
    with own_randomness(job.settings.seed), threads(torch_threads):
        dataset = Dataset.open(job.dataset_folder)
        known = _finished(job, dataset, engine, weights)
        if known is not None:
            return known
        run = _Run(job, dataset, engine, weights, features)
        run.resume()
        while run.more():
            record = run.epoch()
            if on_epoch is not None and engine.rank == 0:
                on_epoch(record)
        return run.finish()


@dataclass
class _Progress:
    """What has happened so far; goes into checkpoints as it is."""

    epoch: int = 0
    best_epoch: int = 0
    best: Metrics = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class _Run:
    """One job on one rank."""

    def __init__(
        self, job: TrainJob, dataset: Dataset, engine: Engine, weights: WeightStore, features: Features | None
    ) -> None:
        self.job, self.settings, self.engine, self.weights = job, job.settings, engine, weights
        self.began = time.perf_counter()
        self.pathway = job.blueprint.build(weights)
        check_inputs(self.pathway, dataset)
        self.state = _trained_state(self.pathway)
        engine.broadcast(list(self.state.values()))
        named = [(name, value) for name, value in self.pathway.named_parameters() if value.requires_grad]
        self.parameters = [parameter for _, parameter in named]
        self.optimizer = self._optimizer(named) if named else None
        self.state = _trained_state(self.pathway)  # again, because an engine may lay parameters out anew
        self.fitted = self._samples(dataset, job.fit_split, features)
        self.watched = self._samples(dataset, job.watch_split, features) if job.watch_split else None
        self.checkpoints = Checkpoints(job.work, job.key(dataset.fingerprint), self.settings.checkpoint_seconds)
        self.progress = _Progress()
        self.best_state = _copied(self.state)
        self.done, self.training_seconds = 0, 0.0

    def _samples(self, dataset: Dataset, split: str, features: Features | None) -> Samples:
        if not len(dataset.rows(split)):
            raise InputError(f"the {split} split of {dataset.folder} is empty")
        return prepare(self.pathway, dataset, split, self.engine, self.settings.cache_bytes, features)

    def _optimizer(self, named: list[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW(
            [parameter for _, parameter in named],
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=all(parameter.dtype == torch.float32 for _, parameter in named),
        )
        return self.engine.distribute(optimizer, named)

    @property
    def steps(self) -> int:
        """Per epoch."""
        return -(-len(self.fitted) // self.settings.batch)

    def more(self) -> bool:
        """Whether another epoch is worth running."""
        if self.optimizer is None or self.progress.epoch >= self.settings.epochs:
            return False
        return self.watched is None or self.progress.epoch - self.progress.best_epoch < self.settings.patience

    def epoch(self) -> Epoch:
        """One pass over the samples, then a look at the watched split."""
        began = time.perf_counter()
        self.progress.epoch += 1
        loss, rate = self._pass(self.progress.epoch)
        self.training_seconds += time.perf_counter() - began
        self.done += len(self.fitted)
        if not torch.isfinite(torch.tensor(loss)):
            raise DivergedError(
                f"the loss is {loss} in epoch {self.progress.epoch}; lower settings.learning_rate "
                f"(now {self.settings.learning_rate})"
            )
        watch = self._measure(self.watched) if self.watched is not None else {}
        if self.watched is None or _better(watch, self.progress.best, self.settings.metric):
            self.progress.best, self.progress.best_epoch = watch, self.progress.epoch
            self.best_state = _copied(self.state)
        seconds = time.perf_counter() - began
        record = Epoch(epoch=self.progress.epoch, loss=loss, watch=watch, rate=rate, seconds=seconds)
        self.progress.history.append(record.model_dump())
        if self.engine.rank == 0 and self.checkpoints.due():
            self._save()
        return record

    def _pass(self, epoch: int) -> tuple[float, float]:
        self.pathway.train()
        order = permutation(len(self.fitted), self.settings.seed, epoch)
        total = torch.zeros(())
        rate = self.settings.learning_rate
        for step in range(self.steps):
            batch = order[step * self.settings.batch : (step + 1) * self.settings.batch]
            rate = self.settings.rate((epoch - 1) * self.steps + step, self.settings.epochs * self.steps)
            total += self._step(batch, epoch, step, rate)
        self._align_buffers()
        return float(self.engine.reduce_sum(total)) / len(self.fitted), rate

    def _step(self, batch: Tensor, epoch: int, step: int, rate: float) -> Tensor:
        """Learns from one batch of all ranks; gives the summed loss of this rank's part."""
        assert self.optimizer is not None
        part = slice(*self.engine.slice(len(batch)))
        weight = 1.0 if part.stop > part.start else 0.0
        if not weight:  # fewer samples than ranks: this one takes part in the exchange with a gradient of zero
            part = slice(0, 1)
        values = self.fitted.take(batch[part])
        draw = generator(self.settings.seed, epoch, step)
        values = augment(values, self.fitted.raw, self.settings, draw, part, len(batch))
        torch.manual_seed(mixed(self.settings.seed, epoch, step, self.engine.rank))  # for modules that draw themselves
        logits = self.pathway.run(values)[self.job.blueprint.output]
        smoothing = self.settings.label_smoothing
        target = self.fitted.target[batch[part]]
        loss = weight * functional.cross_entropy(logits, target, reduction="sum", label_smoothing=smoothing)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        # Ranks' gradients are averaged; scaled so, their mean is the gradient of the mean over the whole batch.
        torch.autograd.backward(loss * (self.engine.size / len(batch)))
        self.optimizer.step()
        return loss.detach()

    def _align_buffers(self) -> None:
        # Running statistics differ between ranks; all go on from their mean, and measure the same network.
        if self.engine.size > 1:
            for name, buffer in self.pathway.named_buffers():
                if buffer.is_floating_point() and name in self.state:
                    buffer.copy_(self.engine.reduce_sum(buffer) / self.engine.size)

    def _measure(self, samples: Samples) -> Metrics:
        return metrics_of(logits_of(self.pathway, samples, self.engine), samples.target)

    def _save(self) -> None:
        assert self.optimizer is not None
        tensors = {f"now.{name}": value for name, value in self.state.items()}
        tensors |= {f"best.{name}": value for name, value in self.best_state.items()}
        adam = optimizer_tensors(self.optimizer, self.parameters)
        self.checkpoints.write(tensors | {f"adam.{name}": value for name, value in adam.items()}, vars(self.progress))

    def resume(self) -> None:
        """Takes up the last checkpoint, if rank 0 has one, on every rank."""
        if self.optimizer is None:
            return
        found = self.checkpoints.read() if self.engine.rank == 0 else None
        told = self.engine.share(json.dumps(found[1] if found else None))
        if json.loads(told) is None:
            return
        self.progress = _Progress(**json.loads(told))
        targets = {f"now.{name}": value for name, value in self.state.items()}
        targets |= {f"best.{name}": value for name, value in self.best_state.items()}
        adam = optimizer_tensors(self.optimizer, self.parameters)
        targets |= {f"adam.{name}": value for name, value in adam.items()}
        if found is not None:
            for name, target in targets.items():
                target.copy_(found[0][name])
        self.engine.broadcast(list(targets.values()))

    def finish(self) -> Outcome:
        """Goes back to the best state, measures it and keeps it."""
        for name, tensor in self.state.items():
            tensor.copy_(self.best_state[name])
        metrics = {self.job.fit_split: self._measure(self.fitted)}
        if self.watched is not None and self.job.watch_split is not None:
            metrics[self.job.watch_split] = self._measure(self.watched)
        outcome = Outcome(
            metrics=metrics,
            best_epoch=self.progress.best_epoch,
            epochs=self.progress.epoch,
            seconds=time.perf_counter() - self.began,
            samples_per_second=self.done / self.training_seconds if self.training_seconds else 0.0,
            weights=self._keep(),
            history=[Epoch(**record) for record in self.progress.history],
            workers=self.engine.size,
            parameters=sum(parameter.numel() for parameter in self.parameters),
        )
        if self.engine.rank == 0:
            _note(self.job, self.checkpoints, outcome)
        return outcome

    def _keep(self) -> dict[str, str]:
        hashes = {}
        if self.engine.rank == 0:
            for node in self.job.blueprint.nodes:
                module = self.pathway.regions[node.name]
                if not node.frozen and any(True for _ in module.parameters()):
                    hashes[node.name] = self.weights.save(module.state_dict())
        kept: dict[str, str] = json.loads(self.engine.share(json.dumps(hashes)))
        return kept


def _trained_state(pathway: Pathway) -> dict[str, Tensor]:
    # The tensors themselves, not copies, of all that training may change.
    frozen = tuple(f"regions.{name}." for name in pathway.frozen)
    return {name: value for name, value in pathway.state_dict().items() if not name.startswith(frozen)}


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _better(new: Metrics, best: Metrics, metric: str) -> bool:
    if not best:
        return True
    if metric == "nll" or new["accuracy"] == best["accuracy"]:
        return new["nll"] < best["nll"]
    return new["accuracy"] > best["accuracy"]


def _note(job: TrainJob, checkpoints: Checkpoints, outcome: Outcome) -> None:
    job.work.mkdir(parents=True, exist_ok=True)
    partial = job.work / "outcome.partial"
    partial.write_text(json.dumps({"key": checkpoints.key, "outcome": outcome.to_json()}), encoding="utf-8")
    partial.replace(job.work / "outcome.json")
    checkpoints.clear()


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
