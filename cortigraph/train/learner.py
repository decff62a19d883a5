"""A learner: the network of a job on one rank, and how it learns from a batch. The loop knows nothing else of it."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from cortigraph.graph.errors import InputError
from cortigraph.regions.pathway import Pathway
from cortigraph.regions.weights import WeightStore
from cortigraph.train.augment import augment
from cortigraph.train.averaging import Averaging, averaging
from cortigraph.train.checkpoint import Checkpoints, optimizer_tensors
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import Engine
from cortigraph.train.errors import TrainError
from cortigraph.train.evaluate import logits_of, metrics_of
from cortigraph.train.features import Features
from cortigraph.train.job import Metrics, TrainJob
from cortigraph.train.randomness import generator, mixed
from cortigraph.train.samples import Samples, check_inputs, prepare
from cortigraph.train.speed import Speed

__all__ = ["Learner"]


class Learner:
    """The whole network on this rank, which learns from its part of every batch.

    Args:
        job: What to train.
        dataset: On what.
        engine: This rank.
        weights: Where initial weights lie.
        features: Outputs of frozen parts that earlier jobs computed.
    """

    def __init__(
        self, job: TrainJob, dataset: Dataset, engine: Engine, weights: WeightStore, features: Features | None
    ) -> None:
        self.job, self.settings, self.engine = job, job.settings, engine
        self.speed = Speed(engine, job.exchange.adapt)
        self.pathway = self._build(weights)
        check_inputs(self.pathway, dataset)
        self._agree()
        self.named = [(name, value) for name, value in self.pathway.named_parameters() if value.requires_grad]
        self.averaging: Averaging | None = self._averaging() if self.named else None
        self.state = self._trained_state()  # only now, because an engine may lay parameters out anew
        self.fitted = self._samples(dataset, job.fit_split, features)
        self.watched = self._samples(dataset, job.watch_split, features) if job.watch_split else None

    def _build(self, weights: WeightStore) -> Pathway:
        return self.job.blueprint.build(weights)

    def _agree(self) -> None:
        """All ranks set out from the same state."""
        self.engine.broadcast(list(self._trained_state().values()))

    def _trained_state(self) -> dict[str, Tensor]:
        # The tensors themselves, not copies, of all that training may change.
        frozen = tuple(f"regions.{name}." for name in self.pathway.frozen)
        return {name: value for name, value in self.pathway.state_dict().items() if not name.startswith(frozen)}

    def _averaging(self) -> Averaging:
        return averaging(self.engine, self._optimizer(), self.named, self.job.exchange)

    def _optimizer(self) -> Optimizer:
        plain = all(parameter.dtype == torch.float32 for _, parameter in self.named)
        return AdamW(
            [parameter for _, parameter in self.named],
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            fused=plain and self.job.exchange.fused,
            foreach=False if plain and not self.job.exchange.fused else None,
        )

    def _samples(self, dataset: Dataset, split: str, features: Features | None) -> Samples:
        if not len(dataset.rows(split)):
            raise InputError(f"the {split} split of {dataset.folder} is empty")
        return prepare(self.pathway, dataset, split, self.engine, self.settings.cache_bytes, features)

    @property
    def size(self) -> int:
        """Numbers that training changes, of the whole network."""
        return sum(parameter.numel() for _, parameter in self.named)

    def begin(self) -> None:
        """Before an epoch."""
        self.pathway.train()

    def learn(self, batch: Tensor, epoch: int, step: int, rate: float) -> Tensor:
        """Learns from one batch of all ranks; gives the summed loss of this rank's part.

        Args:
            batch: Positions of samples, the same on every rank.
            epoch: From 1.
            step: In the epoch, from 0.
            rate: Learning rate.
        """
        assert self.averaging is not None
        part = slice(*self.engine.slice(len(batch)))
        mine = part.stop - part.start
        weight = 1.0 if mine else 0.0
        if not mine:  # fewer samples than ranks: this one takes part in the exchange with a gradient of zero
            part = slice(0, 1)
        with self.speed.working(mine):
            values = self._values(batch, part, epoch, step)
            torch.manual_seed(mixed(self.settings.seed, epoch, step, self.engine.rank))  # for modules that draw
            logits = self.pathway.run(values)[self.job.blueprint.output]
            loss = weight * self.loss(logits, batch[part])
            set_rate(self.averaging.optimizer, rate)
            self.averaging.optimizer.zero_grad()
            torch.autograd.backward(loss * self.averaging.weight(mine, len(batch)))
        self.averaging.step()
        self.speed.step()
        return loss.detach()

    def loss(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Summed over samples."""
        target = self.fitted.target[positions]
        smoothing = self.settings.label_smoothing
        return functional.cross_entropy(logits, target, reduction="sum", label_smoothing=smoothing)

    def _values(self, batch: Tensor, part: slice, epoch: int, step: int) -> dict[str, Tensor]:
        values = self.fitted.take(batch[part])
        missing = [ref for ref in self.pathway.needed() if "." in ref and ref not in values]
        if missing:  # not kept in memory; from inputs as they are, as they would have been
            with torch.no_grad():
                known = self.pathway.run(values, missing)
            values |= {reference: known[reference] for reference in missing}
        return self._augmented(values, part, len(batch), epoch, step)

    def _augmented(
        self, values: dict[str, Tensor], part: slice, whole: int, epoch: int, step: int
    ) -> dict[str, Tensor]:
        draw = generator(self.settings.seed, epoch, step)
        return augment(dict(values), self.fitted.raw, self.settings, draw, part, whole)

    def settle(self) -> None:
        """Makes all ranks hold the same network."""
        if self.averaging is not None:
            self.averaging.settle()
        # Running statistics differ between ranks; all go on from their mean, and measure the same network.
        if self.engine.size > 1:
            for name, buffer in self.pathway.named_buffers():
                if buffer.is_floating_point() and name in self.state:
                    buffer.copy_(self.engine.reduce_sum(buffer) / self.engine.size)

    def measure(self, samples: Samples) -> Metrics:
        """Metrics on samples, the same on every rank."""
        return metrics_of(self.logits(samples), samples.target)

    def logits(self, samples: Samples) -> Tensor:
        """(samples, classes), the same on every rank."""
        return logits_of(self.pathway, samples, self.engine)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, the tensors themselves; ranks must be settled."""
        now = {f"now.{name}": value for name, value in self.state.items()}
        if self.averaging is None:
            return now
        adam = optimizer_tensors(self.averaging.optimizer, self.named)
        return now | adam | {f"averaging.{name}": value for name, value in self.averaging.tensors().items()}

    def checkpoints(self, key: str) -> Checkpoints | None:
        """Where this rank writes what it knows at a commit; None if another writes it for all."""
        if self.engine.rank:
            return None
        return Checkpoints(self.job.work, key, self.settings.checkpoint_seconds)

    def resume(self, checkpoints: Checkpoints | None, targets: dict[str, Tensor]) -> dict[str, Any] | None:
        """Takes up the last commit, if there is one.

        Args:
            checkpoints: This rank's.
            targets: Filled: everything that a commit holds.

        Returns:
            What else it told, the same on every rank.
        """
        found = checkpoints.read() if checkpoints is not None else None
        told: dict[str, Any] | None = json.loads(self.engine.share(json.dumps(found[1] if found else None)))
        if told is None:
            return None
        if found is not None:
            fill(targets, found[0])
        self.engine.broadcast(list(targets.values()))
        if self.averaging is not None:
            self.averaging.begin()
        return told

    def keep(self, weights: WeightStore) -> dict[str, str]:
        """Keeps the weights of every node that was trained; gives node → hash, the same on every rank."""
        mine = self._keep_mine(weights) if self.engine.rank == 0 else ""
        return together([self.engine.share(mine)])

    def _keep_mine(self, weights: WeightStore) -> str:
        """Node → hash, or what went wrong, as JSON: every rank must learn of it, or the others would wait for ever."""
        try:
            return json.dumps({"kept": self._saved(weights)})
        except OSError as error:
            why = f"trained weights can't be written to {weights.root}: {error.strerror or error}"
            return json.dumps({"problem": f"{why}; mend that and give the job again: it goes on from its last commit"})

    def _saved(self, weights: WeightStore) -> dict[str, str]:
        hashes = {}
        for node in self.job.blueprint.nodes:
            if node.name in self.pathway.regions and not node.frozen:
                module = self.pathway.regions[node.name]
                if any(True for _ in module.parameters()):
                    hashes[node.name] = weights.save(module.state_dict())
        return hashes


def together(told: list[str]) -> dict[str, str]:
    """What ranks have kept, as one.

    Raises:
        TrainError: One of them could not.
    """
    kept: dict[str, str] = {}
    for one in map(json.loads, told):
        if "problem" in one:
            raise TrainError(one["problem"])
        kept |= one["kept"]
    return kept


def fill(targets: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Copies what was read into the tensors that train."""
    for name, target in targets.items():
        target.copy_(found[name])


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Sets the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate
