"""Trainers: run jobs in this process, or in a group of Horovod processes that is started once for all of them.

with trainer("horovod", workers=2, weights=store) as t:
    outcome = t.fit(job, on_epoch=print)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.engine import ENGINES
from cortigraph.train.errors import DivergedError, TrainError
from cortigraph.train.evaluate import Evaluation, evaluate
from cortigraph.train.features import FEATURES, Features
from cortigraph.train.group import HorovodGroup, cores
from cortigraph.train.horovod import import_horovod
from cortigraph.train.job import Epoch, Outcome, TrainJob
from cortigraph.train.loop import fit
from cortigraph.train.randomness import threads as torch_threads
from cortigraph.train.single import SingleEngine

__all__ = ["Trainer", "trainer"]

OnEpoch = Callable[[Epoch], None]


class Trainer(ABC):
    """Runs jobs. A context manager: whatever it started is ended on every way out.

    Args:
        engine: Name of the engine.
        workers: Processes that train together.
        threads: Of each.
        weights: Where weights are read and written.
    """

    def __init__(self, engine: str, workers: int, threads: int, weights: WeightStore) -> None:
        self.engine = engine
        self.workers = workers
        self.threads = threads
        self.weights = weights

    @abstractmethod
    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None) -> Outcome:
        """Trains; see `loop.fit`.

        Raises:
            InputError: The network was composed for other data, or a split is empty.
            TrainError: The loss is not finite, or a worker died.
        """

    @abstractmethod
    def evaluate(self, blueprint: Blueprint, dataset_folder: Path, split: str) -> Evaluation:
        """Metrics and probabilities of a network on a split; see `evaluate.evaluate`."""

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

    def __init__(self, threads: int, weights: WeightStore) -> None:
        super().__init__("single", 1, threads, weights)
        self._features = Features(FEATURES)

    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None) -> Outcome:
        return fit(job, SingleEngine(), self.weights, on_epoch, self.threads, self._features)

    def evaluate(self, blueprint: Blueprint, dataset_folder: Path, split: str) -> Evaluation:
        with torch_threads(self.threads):
            return evaluate(blueprint.build(self.weights), Dataset.open(dataset_folder), split)


class _InGroup(Trainer):
    """Runs jobs in a Horovod group, started with the first job, and again with the next if it came to an end."""

    def __init__(
        self, workers: int, threads: int, weights: WeightStore, modules: Sequence[str], silence: float
    ) -> None:
        super().__init__("horovod", workers, threads, weights)
        self._modules = list(modules)
        self._silence = silence
        self.group: HorovodGroup | None = None

    def fit(self, job: TrainJob, on_epoch: OnEpoch | None = None) -> Outcome:
        def told(line: str) -> None:
            if on_epoch is not None:
                on_epoch(Epoch.from_json(line))

        job = job.model_copy(update={"dataset_folder": job.dataset_folder.resolve(), "work": job.work.resolve()})
        number, result = self._ask({"kind": "fit", "job": job.to_json()}, told)
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

    def _ask(
        self, request: dict[str, Any], on_progress: Callable[[str], None] | None = None
    ) -> tuple[int, dict[str, Any]]:
        if self.group is None:
            self.group = HorovodGroup(self.workers, self.threads, self._silence)
        common = {"weights": str(self.weights.root.resolve()), "threads": self.threads, "modules": self._modules}
        try:
            number, result = self.group.ask({**common, **request}, on_progress)
        except BaseException:
            self.group = None  # it has ended itself; its logs stay where the error says they are
            raise
        if "input_error" in result:
            self._clear(number)
            raise InputError(result["input_error"])
        if "diverged" in result:
            self._clear(number)
            raise DivergedError(result["diverged"])
        if "error" in result:
            self._clear(number)
            raise TrainError(result["error"])
        return number, result

    def _clear(self, number: int) -> None:
        if self.group is not None:
            self.group.spool.clear(number)

    def close(self) -> None:
        if self.group is not None:
            self.group.close()
            self.group = None


def trainer(
    engine: str = "single",
    workers: int = 1,
    *,
    weights: WeightStore,
    threads: int | None = None,
    modules: Sequence[str] = (),
    silence: float = 30.0,
) -> Trainer:
    """What runs jobs.

    Args:
        engine: `single` or `horovod`.
        workers: Processes that train together; 1 with `single`.
        weights: Where weights are read and written.
        threads: Of each worker; left out, the cores are shared out.
        modules: Imported by each worker first, for builders that are registered there and not by an entry point.
        silence: Seconds without a sign of life after which a worker is taken for dead.

    Returns:
        A context manager. Horovod's processes start with the first job.

    Raises:
        InputError: There is no such engine, or the number of workers does not fit it.
        SetupError: Horovod is asked for and not built.

    Example:
        >>> with trainer(weights=WeightStore(Path("w"))) as t:
        ...     t.engine, t.workers
        ('single', 1)
    """
    if engine not in ENGINES:
        raise UnknownKeyError("engine", engine, ENGINES)
    if workers < 1:
        raise InputError(f"workers: expected at least 1, got {workers}")
    share = threads or max(1, cores() // workers)
    if engine == "single":
        if workers != 1:
            raise InputError(f"the single engine has 1 worker, got {workers}; choose the horovod engine for more")
        return _InProcess(share, weights)
    import_horovod()
    return _InGroup(workers, share, weights, modules, silence)
