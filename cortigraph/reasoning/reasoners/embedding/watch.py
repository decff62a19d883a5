"""Watching a training: what it tells, when it stops, and the best state that it had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.embedding.closed import Closed, Vectors
from cortigraph.reasoning.reasoners.embedding.settings import ClosedSettings
from cortigraph.reasoning.reasoners.evaluate import Known, evaluate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.pace import VALIDATION, seconds_a_query, spread
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock, OnPart, ignore

__all__ = ["Late", "OnEpoch", "Progress", "Watch", "never"]


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        epoch: From 1.
        epochs: At most.
        loss: Mean of the epoch.
        mrr: On validation facts, where it was measured after this epoch.
        seconds: Since the beginning.
    """

    epoch: int
    epochs: int
    loss: float
    mrr: float | None
    seconds: float


OnEpoch = Callable[[Progress], None]
Late = Callable[[int, int], bool]
"""Whether an epoch must end, after so many queries of so many."""


def never(done: int, whole: int) -> bool:
    """An epoch that may take as long as it takes."""
    return False


class Watch:
    """Goes through the epochs of a training.

    Args:
        scorer: What is trained, in place.
        facts: What it is trained on.
        valid: What it is measured on; where there is nothing, all epochs are trained and the last state stays.
        settings: When to measure and to stop.
        progress: Told after each epoch.
        checkpoint: Where the state lies after each epoch; a scorer whose state is there gets it now.
        shown: Told how far each epoch is.
    """

    def __init__(
        self,
        scorer: Closed,
        facts: Facts,
        valid: Rows,
        settings: ClosedSettings,
        progress: OnEpoch | None = None,
        checkpoint: Checkpoint | None = None,
        shown: OnPart = ignore,
    ) -> None:
        self._clock = Clock(settings.seconds)
        self._shown = shown
        self._scorer, self._facts, self._settings, self._progress = scorer, facts, settings, progress
        generator = np.random.default_rng([settings.seed, 1])
        chosen = generator.permutation(len(valid))[: settings.watched]
        self._valid = valid[np.sort(chosen)]
        self._known = Known(np.concatenate([facts.triples, valid]), len(facts.relations))
        self._best: tuple[float, Vectors, Vectors] | None = None
        self._worse = self._done = 0
        self._over = False
        self._epoch = self._done
        self._closing = 0.0  # seconds that the last validation takes
        self._checkpoint = checkpoint
        self._memory: dict[str, Vectors] = {"entity": scorer.entity, "relation": scorer.relation}
        self._generator: np.random.Generator | None = None
        self._found = checkpoint.load() if checkpoint is not None else None
        self._fill(self._memory)

    def holds(self, memory: Mapping[str, Vectors], generator: np.random.Generator) -> None:
        """Says what else belongs to the state; where there is a checkpoint, these get their values from it.

        Args:
            memory: Arrays that training changes in place.
            generator: Of all draws.
        """
        self._memory |= memory
        self._generator = generator
        self._fill(memory)
        if self._found is None:
            return
        tensors, told = self._found
        generator.bit_generator.state = told["random"]
        self._worse, self._done = told["worse"], told["epoch"]
        self._clock = Clock(self._settings.seconds, spent=told["seconds"])
        if told["best"] is not None:
            self._best = (told["best"], tensors["best.entity"].numpy(), tensors["best.relation"].numpy())
        self._found = None

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs to be trained, from 1."""
        self._shown("compiling", 0, 0)
        self._shorten()
        self._over = self._clock.left <= 0
        for epoch in range(self._done + 1, self._settings.epochs + 1):
            if self._over or self._worse >= self._settings.patience:
                return
            self._epoch = epoch
            yield epoch

    def late(self, done: int, whole: int) -> bool:
        """Whether an epoch must end here, because there is only time to validate.

        Args:
            done: Queries that the epoch has asked.
            whole: Of so many.
        """
        self._shown("compiling", 1, 1)
        self._clock.tell(self._shown, "queries", (self._epoch - 1) * whole + done, self._settings.epochs * whole)
        return self._clock.left <= self._closing

    def done(self, epoch: int, loss: float) -> None:
        """Notes that an epoch was trained.

        Args:
            epoch: Which.
            loss: Its mean.
        """
        # Asked once: an epoch after which there is none is always measured.
        self._over = self._clock.left <= self._closing
        last = self._over or epoch == self._settings.epochs
        mrr = self._measure() if len(self._valid) and (last or epoch % self._settings.every == 0) else None
        if self._progress is not None:
            self._progress(Progress(epoch, self._settings.epochs, loss, mrr, self._clock.elapsed))
        self._keep(epoch)

    def finish(self) -> None:
        """Gives the scorer the best state that was measured."""
        if self._best is not None:
            _, self._scorer.entity[:], self._scorer.relation[:] = self._best

    def _fill(self, memory: Mapping[str, Vectors]) -> None:
        if self._found is not None:
            for name, array in memory.items():
                array[:] = self._found[0][name].numpy()

    def _keep(self, epoch: int) -> None:
        if self._checkpoint is None or self._generator is None:
            return
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in self._memory.items()}
        if self._best is not None:
            tensors |= {f"best.{name}": torch.from_numpy(array) for name, array in self._best_tables()}
        told = {
            "epoch": epoch,
            "worse": self._worse,
            "best": None if self._best is None else self._best[0],
            "seconds": self._clock.elapsed,
            "random": self._generator.bit_generator.state,
        }
        self._checkpoint.save(tensors, told)

    def _best_tables(self) -> list[tuple[str, Vectors]]:
        assert self._best is not None
        return list(zip(("entity", "relation"), self._best[1:], strict=True))

    def _measure(self) -> float:
        def told(done: int, whole: int) -> None:
            self._shown("validating, queries", done, whole)

        mrr = evaluate(self._scorer, self._facts, self._valid, self._known, progress=told).mrr
        if self._best is None or mrr > self._best[0]:
            self._best, self._worse = (mrr, self._scorer.entity.copy(), self._scorer.relation.copy()), 0
        else:
            self._worse += 1
        return mrr

    def _shorten(self) -> None:
        """Where time decides, a validation may take but a small part of it."""
        seconds = self._settings.seconds
        if seconds is None or not len(self._valid):
            return
        evaluate(self._scorer, self._facts, self._valid[:1], self._known)  # compiles what ranks
        both = 2 * seconds_a_query(self._scorer, self._facts, self._valid[:, :2])
        self._valid = spread(self._valid, VALIDATION * seconds, both)
        self._closing = both * len(self._valid)
