"""A learner for networks too large for one rank: each rank has a stage of it, and the parts of a batch flow through."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from cortigraph.graph.errors import InputError
from cortigraph.regions.pathway import Pathway
from cortigraph.regions.weights import WeightStore
from cortigraph.train.averaging import Averaging, EveryStep
from cortigraph.train.checkpoint import Checkpoints
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.features import Features
from cortigraph.train.learner import Learner, fill, set_rate, together
from cortigraph.train.pipeline import Pipeline
from cortigraph.train.randomness import mixed
from cortigraph.train.samples import Samples, batches, prepare
from cortigraph.train.single import SingleEngine
from cortigraph.train.stages import Cost, cost, plan

__all__ = ["StagedLearner"]


class StagedLearner(Learner):
    """This rank's stage of the network; it has parameters, gradients and optimizer state of that alone."""

    def _build(self, weights: WeightStore) -> Pathway:
        blueprint, engine = self.job.blueprint, self.engine
        problems = blueprint.problems()
        if problems:
            raise InputError(problems)
        self.plan = plan(blueprint, self._costs(weights), engine.size)[engine.rank]
        modules = {}
        for node in blueprint.nodes:  # all, so that first weights are drawn as for the whole network
            module = node.region.build(weights)
            if node.name in self.plan.nodes:
                modules[node.name] = module
        pathway = Pathway(blueprint, modules)
        self.pipeline = Pipeline(pathway, self.plan, engine, self.job.exchange.schedule)
        return pathway

    def _costs(self, weights: WeightStore) -> dict[str, Cost]:
        # One node at a time is in memory. What they draw leaves no trace.
        with torch.random.fork_rng(devices=[]):
            return {
                node.name: cost(self.job.blueprint, node.name, node.region.build(weights))
                for node in self.job.blueprint.nodes
            }

    def _agree(self) -> None:
        """Nothing: no two ranks have a parameter in common."""

    def _averaging(self) -> Averaging:
        return EveryStep(SingleEngine(), self._optimizer(), self.named, self.job.exchange)

    def _samples(self, dataset: Dataset, split: str, features: Features | None) -> Samples:
        if not len(dataset.rows(split)):
            raise InputError(f"the {split} split of {dataset.folder} is empty")
        return prepare(self.pathway, dataset, split, self.engine, cache_bytes=0)

    @property
    def size(self) -> int:
        """Numbers that training changes, of the whole network."""
        if not hasattr(self, "_size"):
            self._size = int(self.engine.reduce_sum(torch.tensor(super().size)))
        return self._size

    def learn(self, batch: Tensor, epoch: int, step: int, rate: float) -> Tensor:
        """Learns from one batch; gives its summed loss on the last stage, elsewhere 0."""
        clean = self.fitted.take(batch) if self.plan.reads else {}
        moved = self._augmented(clean, slice(0, len(batch)), len(batch), epoch, step) if self.plan.reads else {}
        parts = torch.arange(len(batch)).tensor_split(min(self.job.exchange.micro_batches, len(batch)))
        torch.manual_seed(mixed(self.settings.seed, epoch, step, self.engine.rank))  # for modules that draw
        if self.averaging is not None:
            set_rate(self.averaging.optimizer, rate)
            self.averaging.optimizer.zero_grad()

        def loss(logits: Tensor, number: int) -> Tensor:
            return self.loss(logits, batch[parts[number]]) / len(batch)

        values = [{name: moved[name][part] for name in self.plan.reads} for part in parts]
        as_is = [{name: clean[name][part] for name in self.plan.reads} for part in parts]
        total = self.pipeline.learn(values, as_is, [len(part) for part in parts], loss)
        if self.averaging is not None:
            self.averaging.step()
        return total * len(batch)

    def settle(self) -> None:
        """Nothing: no two ranks have anything in common."""

    def logits(self, samples: Samples) -> Tensor:
        """(samples, classes), the same on every rank."""
        self.pathway.eval()
        found = []
        for number, positions in enumerate(batches(0, len(samples))):
            values = samples.take(positions) if self.plan.reads else {}
            mine = {name: values[name] for name in self.plan.reads}
            answer = self.pipeline.answer(mine, len(positions), number)
            found += [] if answer is None else [answer]
        blueprint = self.job.blueprint
        classes = blueprint.ports[blueprint.output].sizes[0] or 1
        return self.engine.gather(torch.cat(found) if found else torch.zeros(0, classes))

    def checkpoints(self, key: str) -> Checkpoints:
        """Every rank writes its stage."""
        return Checkpoints(self.job.work, key, self.settings.checkpoint_seconds, part=self.engine.rank)

    def resume(self, checkpoints: Checkpoints | None, targets: dict[str, Tensor]) -> dict[str, Any] | None:
        """Takes up the last commit that all stages have."""
        assert checkpoints is not None
        found = {(told["epoch"], told["step"]): (tensors, told) for tensors, told in checkpoints.all()}
        had = [{tuple(place) for place in json.loads(text)} for text in self.engine.share_all(json.dumps(list(found)))]
        common = set.intersection(*had)
        if not common:
            return None
        tensors, told = found[max(common)]
        fill(targets, tensors)
        same: dict[str, Any] = json.loads(self.engine.share(json.dumps(told)))  # but for the seconds that epochs took
        return same

    def keep(self, weights: WeightStore) -> dict[str, str]:
        """Each rank keeps the weights of its nodes."""
        return together(self.engine.share_all(self._keep_mine(weights)))
