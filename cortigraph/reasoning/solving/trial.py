"""Trials: a candidate blueprint is trained and scored. Branches are trained once each and shared by all candidates that
use them; the fusion is trained on what the frozen branches give."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from cortigraph.graph.errors import StoreError, brief
from cortigraph.reasoning.pathway.compose import FUSION, Decisions, Space
from cortigraph.reasoning.solving.problem import Problem
from cortigraph.reasoning.solving.survey import rehearse
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.clock import Clock
from cortigraph.train.errors import DivergedError, PausedError, WorkerLostError
from cortigraph.train.job import Epoch, Outcome, TrainJob
from cortigraph.train.launch import Trainer
from cortigraph.train.provenance import now, provenance

__all__ = ["Bench", "Run", "Silent", "Trial", "Watcher"]

_LATE = "time was over before all of it was trained"


@dataclass(frozen=True)
class Run:
    """One training, as the graph keeps it.

    Args:
        key: Decided by everything that decides the outcome, so that the same training is never kept twice.
        slot: The input that the branch serves.
        blueprint: With the trained weights.
        metrics: On validation data.
        seconds: Wall-clock.
        properties: Provenance and cost.
    """

    key: str
    slot: str
    blueprint: Blueprint
    metrics: Mapping[str, float]
    seconds: float
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A candidate and what came of it.

    Args:
        index: Its place in the search, from 0.
        blueprint: With the trained weights, if it could be trained.
        accuracy: On validation data; 0 for one that failed.
        nll: Mean negative log likelihood, in nats.
        seconds: That the trial took, branches included.
        reason: Why it failed, or empty.
        runs: Slot → key of its branch's run.
        slot: Where it failed: the choice of this slot is not tried again.
        counts: Whether it is one of the budget's trials. A region that can't serve costs nothing, and is none.
    """

    index: int
    blueprint: Blueprint
    accuracy: float
    nll: float
    seconds: float
    reason: str = ""
    runs: Mapping[str, str] | None = None
    slot: str = ""
    counts: bool = True

    @classmethod
    def without_score(
        cls, index: int, blueprint: Blueprint, reason: str, *, slot: str = "", counts: bool = True
    ) -> Trial:
        """One that could not be trained: the least accurate there is, and the least likely."""
        return cls(index, blueprint, 0.0, float("inf"), 0.0, reason=reason, slot=slot, counts=counts)

    @property
    def failed(self) -> tuple[str, Any] | None:
        """Slot and choice that failed, if one did."""
        return (self.slot, self.decisions[self.slot]) if self.slot else None

    @property
    def decisions(self) -> Decisions:
        """What was decided."""
        return dict(self.blueprint.decisions)


class Watcher(Protocol):
    """Told what happens while a scene is solved."""

    def started(self, problem: Problem, done: int) -> None: ...

    def training(self, what: str, epoch: Epoch, epochs: int) -> None: ...

    def tried(self, trial: Trial) -> None: ...


class Silent:
    """A watcher that does nothing."""

    def started(self, problem: Problem, done: int) -> None:
        """The search begins, or goes on after `done` trials."""

    def training(self, what: str, epoch: Epoch, epochs: int) -> None:
        """An epoch of a branch or a fusion is over."""

    def tried(self, trial: Trial) -> None:
        """A candidate has its score."""


class RunStore(Protocol):
    """Where finished branches are kept."""

    def find(self, key: str) -> Run | None: ...

    def keep(self, run: Run) -> None: ...


class Bench:
    """Trains and scores candidates of one search.

    Args:
        problem: What is solved.
        space: The space, with what memory says.
        search: The search's key: runs belong to it.
        trainer: What trains.
        runs: Where branches are found and kept.
        work: Folder for jobs under way.
        watcher: Told of every epoch.
        clock: When training must be over; a branch or a fusion that it ends is measured and kept as it is.
    """

    def __init__(
        self,
        problem: Problem,
        space: Space,
        search: str,
        trainer: Trainer,
        runs: RunStore,
        work: Path,
        watcher: Watcher,
        clock: Clock | None = None,
    ) -> None:
        self.problem, self.space, self.search = problem, space, search
        self.trainer, self.runs, self.work, self.watcher = trainer, runs, work, watcher
        self.clock = clock or Clock()
        self._paid: set[str] = set()

    def branch(self, decisions: Decisions, slot: str, clock: Clock | None = None) -> Run:
        """The trained branch of a slot: found if it was trained before, else trained, as the clock allows, and kept."""
        port = self.problem.port[slot]
        grown = self.space.branch(decisions, slot)
        blueprint = grown.blueprint(port, self.space.classes, {slot: decisions[slot]})
        key = self._key(blueprint)
        known = self.runs.find(key)
        if known is not None:
            return known
        # Candidates share branches: workers of one machine wait for each other rather than train one twice.
        self.work.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._folder(key)}.lock"):
            return self.runs.find(key) or self._trained(slot, key, blueprint, clock or self.clock)

    def _trained(self, slot: str, key: str, blueprint: Blueprint, clock: Clock) -> Run:
        started = now()
        outcome = self._train(f"{slot} {blueprint.nodes[0].region.name}", key, blueprint, clock)
        run = Run(
            key=key,
            slot=slot,
            blueprint=blueprint.with_weights(outcome.weights),
            metrics=outcome.metrics["valid"],
            seconds=outcome.seconds,
            properties={
                **provenance(self.problem.scene.seed),
                "started_at": started,
                "began_with": blueprint.nodes[0].region.weights,
                "epochs": outcome.epochs,
                "workers": outcome.workers,
                "parameters": outcome.parameters,
                "samples_per_second": outcome.samples_per_second,
                "cut": outcome.cut or None,
            },
        )
        self.runs.keep(run)
        self._clear(key)
        return run

    def fuse(self, decisions: Decisions, hashes: Mapping[str, str]) -> tuple[Blueprint, Mapping[str, float], float]:
        """Joins trained branches by the cell that was decided: the pathway, its metrics on validation data, seconds."""
        blueprint = self.space.compose(decisions).with_weights(hashes)
        key = self._key(blueprint)
        cell = blueprint.nodes[-1].region
        self.work.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._folder(key)}.lock"):  # a worker that has lost its claim may still be at it
            outcome = self._train(f"{FUSION} {cell.name}", key, blueprint, self.clock)
            self._clear(key)
        return blueprint.with_weights(outcome.weights), outcome.metrics["valid"], outcome.seconds

    def attempt(self, index: int, blueprint: Blueprint, *, first: bool = False) -> Trial:
        """Trains and scores a candidate. One that can't be built or trained is a failed trial, not an error.

        Args:
            index: Its place in the search.
            blueprint: The candidate.
            first: There is no other yet: its parts share what time there is, so that something comes of all of it.
        """
        decisions: Decisions = dict(blueprint.decisions)
        slot = ""
        runs: dict[str, Run] = {}
        parts = len(self.space.slots) + (FUSION in decisions)
        try:
            for number, slot in enumerate(self.space.slots):
                if number and self._late(first):
                    return Trial.without_score(index, blueprint, _LATE, counts=False)
                runs[slot] = self.branch(decisions, slot, self.clock.split(parts - number) if first else None)
            # A branch that an earlier candidate trained costs nothing now, but is not free: its share was paid then.
            seconds = sum(run.seconds for run in runs.values() if run.key not in self._paid)
            self._paid.update(run.key for run in runs.values())
            hashes = weights_of(*(run.blueprint for run in runs.values()))
            if len(runs) == 1:
                only = next(iter(runs.values()))
                trained, metrics, extra = only.blueprint, only.metrics, 0.0
            elif self._late(first or index < 0):  # what has no place in the search has nothing to learn
                return Trial.without_score(index, blueprint, _LATE, counts=False)
            else:
                slot = FUSION
                trained, metrics, extra = self.fuse(decisions, hashes)
        # The store, the disk, or a worker that was lost: no fault of the candidate.
        except (StoreError, OSError, WorkerLostError, PausedError):
            raise
        # A region may be anybody's: whatever its forward raises, or its size asks of memory, the search goes on.
        except Exception as error:
            # What came as declared can't serve here; what diverged took its time, and other arguments may do.
            counts = isinstance(error, DivergedError) or bool(decisions[slot]["arguments"])
            return Trial.without_score(index, blueprint, brief(error), slot=slot, counts=counts)
        keys = {slot: run.key for slot, run in runs.items()}
        return Trial(index, trained, metrics["accuracy"], metrics["nll"], seconds + extra, runs=keys)

    def _late(self, needed: bool) -> bool:
        """Whether time is over, and nothing is lost by leaving it at that."""
        return not needed and not self.clock.left

    def resume(self, runs: set[str]) -> None:
        """Says which branches earlier trials of this search have paid for."""
        self._paid = runs

    def _train(self, what: str, key: str, blueprint: Blueprint, clock: Clock) -> Outcome:
        settings = self.problem.scene.training.model_copy(update={"seed": self.problem.scene.seed})
        if self.trainer.engine != "single":
            # What one worker of many raises ends them all: it is looked for here first.
            rehearse(blueprint, self.problem.dataset, self.trainer.weights)
        job = TrainJob(
            blueprint=blueprint, dataset_folder=self.problem.dataset.folder, settings=settings, work=self._folder(key)
        )
        outcome = self.trainer.fit(
            job, on_epoch=lambda epoch: self.watcher.training(what, epoch, settings.epochs), clock=clock
        )
        if not all(map(math.isfinite, outcome.metrics["valid"].values())):
            raise DivergedError("what it gives on validation data is NaN or infinite")
        return outcome

    def _key(self, blueprint: Blueprint) -> str:
        return hashlib.sha256(json.dumps([self.search, blueprint.key]).encode()).hexdigest()[:20]

    def _folder(self, key: str) -> Path:
        return self.work / key

    def _clear(self, key: str) -> None:
        shutil.rmtree(self._folder(key), ignore_errors=True)


def weights_of(*blueprints: Blueprint) -> dict[str, str]:
    """Node → hash, of all nodes that have weights."""
    return {node.name: node.region.weights for b in blueprints for node in b.nodes if node.region.weights}
