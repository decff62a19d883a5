"""A training job and its outcome, as plain data: what is sent to a worker, and what comes back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cortigraph.graph.errors import InputError
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.exchange import Exchange
from cortigraph.train.settings import TrainSettings

__all__ = ["Epoch", "Metrics", "Outcome", "TrainJob"]

Metrics = dict[str, float]  # accuracy (share of samples), nll (mean negative log likelihood, nats)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            InputError: It is something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            told = [f"{cls.__name__}, {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            raise InputError(told) from None

    def to_json(self) -> str:
        """JSON text that `from_json` takes."""
        return self.model_dump_json()


class TrainJob(_Record):
    """One network to be trained on one data set.

    Args:
        blueprint: The network; weights that it names are where training starts.
        dataset_folder: Of a `Dataset`.
        settings: How.
        work: Folder for checkpoints. A job that finds its own there goes on from it; one that finds its outcome there
            returns it at once. Whoever started the job removes the folder once the outcome is safe.
        fit_split: What is learned from: a split, or several joined by `+`.
        watch_split: What decides when to stop and which state is best; None keeps the last state.
        exchange: How workers exchange what they learn.
    """

    blueprint: Blueprint
    dataset_folder: Path
    settings: TrainSettings = TrainSettings()
    work: Path
    fit_split: str = "train"
    watch_split: str | None = "valid"
    exchange: Exchange = Exchange()

    def key(self, fingerprint: str) -> str:
        """A hash of all that decides the outcome; where files lie does not.

        Args:
            fingerprint: Of the data set.
        """
        settings = self.settings.model_dump(exclude={"checkpoint_seconds", "cache_bytes"})
        exchange = self.exchange.model_dump(exclude={"commit_steps"})
        parts = [self.blueprint.to_json(), fingerprint, settings, self.fit_split, self.watch_split, exchange]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Epoch(_Record):
    """What happened in one epoch.

    Args:
        epoch: From 1.
        loss: Mean training loss, in nats.
        watch: Metrics on the watched split after it; empty when none is watched.
        rate: The last learning rate.
        seconds: That it took.
    """

    epoch: int
    loss: float
    watch: Metrics
    rate: float
    seconds: float


class Outcome(_Record):
    """What came of a job.

    Args:
        metrics: Split → metrics of the best state, for the splits that the job fitted and watched.
        best_epoch: From 1; 0 when nothing was trained.
        epochs: How many were run.
        seconds: Wall-clock time, without what was done before a resume.
        samples_per_second: While training, of all workers together.
        weights: Node → hash of its best state, for each node that was trained.
        history: Every epoch.
        workers: How many trained together.
        parameters: How many were trained.
        exchanged: Bytes of gradients and parameters that each worker gave to be averaged, since the last resume.
        cut: Time ended it: with more, it would have gone on. Metrics of the split that it learned from are left out.
    """

    metrics: dict[str, Metrics]
    best_epoch: int
    epochs: int
    seconds: float
    samples_per_second: float
    weights: dict[str, str]
    history: list[Epoch]
    workers: int
    parameters: int
    exchanged: int = 0
    cut: bool = False

    @property
    def trained(self) -> dict[str, Any]:
        """The part that is the same for every run of the job on one worker: no times."""
        history = [epoch.model_dump(exclude={"seconds"}) for epoch in self.history]
        return {**self.model_dump(exclude={"seconds", "samples_per_second"}), "history": history}
