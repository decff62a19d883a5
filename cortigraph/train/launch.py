"""Trainers: run jobs in this process, or in a group of processes that is started once for all of them.

with trainer("horovod", workers=2, weights=store) as t:
    outcome = t.fit(job, on_epoch=print)
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from pydantic import JsonValue

from cortigraph.graph.errors import InputError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock
from cortigraph.train.cluster import Cluster
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.errors import DivergedError, TrainError
from cortigraph.train.evaluate import Evaluation, evaluate
from cortigraph.train.features import FEATURES, Features
from cortigraph.train.group import Group, cores
from cortigraph.train.job import Epoch, Outcome, TrainJob
from cortigraph.train.loop import fit
from cortigraph.train.randomness import threads as torch_threads
from cortigraph.train.regroup import Regrouping
from cortigraph.train.single import SingleEngine
from cortigraph.train.tasks import find_task

__all__ = ["Trainer", "trainer"]

OnEpoch = Callable[[Epoch], None]
OnLine = Callable[[str], None]


class Trainer(ABC):
    """Runs jobs. A context manager: whatever it started is ended on every way out.

    Args:
        cluster: Who trains together.
        threads: Of each worker.
        weights: Where weights are read and written.
        modules: Imported by each worker first.
    """

    def __init__(self, cluster: Cluster, threads: int, weights: WeightStore, modules: Sequence[str]) -> None:
        self.cluster = cluster
        self.engine = cluster.chosen()
        self.workers = cluster.workers
        self.threads = threads
        self.weights = weights
        self.modules = list(modules)

    @abstractmethod
    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None, clock: Clock | None = None) -> Outcome:
        """Trains; see `loop.fit`.

        Raises:
            InputError: The network was composed for other data, or a split is empty.
            TrainError: The loss is not finite, or a worker died.
        """

    @abstractmethod
    def evaluate(self, blueprint: Blueprint, dataset_folder: Path, split: str) -> Evaluation:
        """Metrics and probabilities of a network on a split; see `evaluate.evaluate`."""

    @abstractmethod
    def call(
        self, task: str, arguments: Mapping[str, JsonValue], on_line: OnLine | None = None
    ) -> dict[str, JsonValue]:
        """Runs a registered task on all ranks; see `tasks`.

        Args:
            task: Its name; one of `modules` registers it.
            arguments: For every rank, as JSON.
            on_line: Given each line that rank 0 reports.

        Returns:
            Rank 0's answer.
        """

    def close(self) -> None:  # noqa: B027 - a trainer may have nothing to end
        """Ends what was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _InProcess(Trainer):
    """Runs jobs in this process."""

    def __init__(self, cluster: Cluster, threads: int, weights: WeightStore, modules: Sequence[str]) -> None:
        super().__init__(cluster, threads, weights, modules)
        self._features = Features(FEATURES)

    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None, clock: Clock | None = None) -> Outcome:
        job = _with_exchange(job, self.cluster)
        return fit(job, SingleEngine(), self.weights, on_epoch, self.threads, self._features, clock=clock)

    def evaluate(self, blueprint: Blueprint, dataset_folder: Path, split: str) -> Evaluation:
        with torch_threads(self.threads):
            return evaluate(blueprint.build(self.weights), Dataset.open(dataset_folder), split)

    def call(
        self, task: str, arguments: Mapping[str, JsonValue], on_line: OnLine | None = None
    ) -> dict[str, JsonValue]:
        for module in self.modules:
            importlib.import_module(module)
        with torch_threads(self.threads):
            return dict(find_task(task)(SingleEngine(), arguments, on_line or (lambda line: None)))


class _InGroup(Trainer):
    """Runs jobs in a group, started with the first job, and again with the next if it came to an end."""

    def __init__(self, cluster: Cluster, threads: int, weights: WeightStore, modules: Sequence[str]) -> None:
        super().__init__(cluster, threads, weights, modules)
        self._regrouping = Regrouping(cluster, self.engine, threads, weights.root.resolve().parent)

    @property
    def group(self) -> Group | None:
        """The one that is running, if any."""
        return self._regrouping.group

    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None, clock: Clock | None = None) -> Outcome:
        def told(line: str) -> None:
            if on_epoch is not None:
                on_epoch(Epoch.from_json(line))

        job = _with_exchange(job, self.cluster)
        job = job.model_copy(update={"dataset_folder": job.dataset_folder.resolve(), "work": job.work.resolve()})
        face = clock.face() if clock is not None else []
        number, result = self._ask({"kind": "fit", "job": job.to_json(), "clock": face}, told)
        self._clear(number)
        return Outcome.from_json(result["outcome"])

    def evaluate(self, blueprint: Blueprint, dataset_folder: Path, split: str) -> Evaluation:
        dataset = Dataset.open(dataset_folder)
        rows = dataset.rows(split)
        place = str(dataset_folder.resolve())
        asked = {"kind": "evaluate", "blueprint": blueprint.to_json(), "dataset": place, "split": split}
        number, result = self._ask(asked)
        assert self.group is not None
        probabilities = np.load(self.group.spool.file(number, "probabilities.npy"), allow_pickle=False)
        self._clear(number)
        return Evaluation(result["metrics"], probabilities, np.array(dataset.target[rows]), rows)

    def call(
        self, task: str, arguments: Mapping[str, JsonValue], on_line: OnLine | None = None
    ) -> dict[str, JsonValue]:
        number, result = self._ask({"kind": "call", "task": task, "arguments": dict(arguments)}, on_line)
        self._clear(number)
        answer: dict[str, JsonValue] = result["answer"]
        return answer

    def _ask(self, request: dict[str, Any], on_line: OnLine | None = None) -> tuple[int, dict[str, Any]]:
        common = {"weights": str(self.weights.root.resolve()), "threads": self.threads, "modules": self.modules}
        number, result = self._regrouping.ask({**common, **request}, on_line)
        errors = {"input_error": InputError, "diverged": DivergedError, "error": TrainError}
        for kind, error in errors.items():
            if kind in result:
                self._clear(number)
                raise error(result[kind])
        return number, result

    def _clear(self, number: int) -> None:
        if self.group is not None:
            self.group.spool.clear(number)

    def close(self) -> None:
        self._regrouping.close()


def _with_exchange(job: TrainJob, cluster: Cluster) -> TrainJob:
    """A job that says nothing of the exchange takes the cluster's."""
    return job if "exchange" in job.model_fields_set else job.model_copy(update={"exchange": cluster.exchange})


def trainer(
    engine: str | Cluster = "single",
    workers: int = 1,
    *,
    weights: WeightStore,
    threads: int | None = None,
    modules: Sequence[str] = (),
    silence: float = 30.0,
) -> Trainer:
    """What runs jobs.

    Args:
        engine: `single`, `horovod` or `torch`; or a cluster, which says the rest as well.
        workers: Processes that train together; 1 with `single`.
        weights: Where weights are read and written.
        threads: Of each worker; left out, the cores are shared out.
        modules: Imported by each worker first, for builders and tasks that are registered there and not by an entry
            point.
        silence: Seconds without a sign of life after which a worker is taken for dead.

    Returns:
        A context manager. The group's processes start with the first job.

    Raises:
        InputError: There is no such engine, or the number of workers does not fit it.
        SetupError: Horovod is asked for and not built.

    Example:
        >>> with trainer(weights=WeightStore(Path("w"))) as t:
        ...     t.engine, t.workers
        ('single', 1)
    """
    cluster = engine if isinstance(engine, Cluster) else Cluster(workers, engine, threads=threads, silence=silence)
    chosen = cluster.chosen()
    share = cluster.threads or max(1, cores() // cluster.most)
    if chosen == "single":
        return _InProcess(cluster, share, weights, modules)
    if chosen == "horovod":
        from cortigraph.train.horovod import import_horovod

        import_horovod()
    return _InGroup(cluster, share, weights, modules)
