"""Estimates: what a training will take, told before it begins, from a few of its own steps on its own facts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import Told, checked_settings, train

__all__ = ["Estimate", "estimate"]

_TRIED_SECONDS = 1.0
_TRIED_BATCHES = 20


@dataclass(frozen=True)
class Estimate:
    """What a training will take on this machine.

    Args:
        seconds: At most, to the last epoch or the time that the settings allow; it ends before where it gets no better.
        epochs: So many at most.
        bytes: Of memory, of the whole process; None where the settings say the time, so that no step was tried.
    """

    seconds: float
    epochs: int
    bytes: int | None

    def __str__(self) -> str:
        minutes, hours = self.seconds / 60, self.seconds / 3600
        told = f"{self.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"
        memory = "" if self.bytes is None else f", and {self.bytes / 2**30:.1f} GB of memory"
        return f"at most about {told} for {self.epochs} epochs{memory}"


def estimate(
    name: str,
    facts: Facts,
    valid: Rows,
    choices: Mapping[str, Any] | None = None,
    also: Sequence[tuple[Facts, Rows]] = (),
) -> Estimate:
    """Tries a few steps and says what all of them will take; where the settings say that, nothing is tried.

    Args:
        name: Kind of reasoner.
        facts: What it will learn from.
        valid: What it will be watched on.
        choices: As for `train`.
        also: As for `train`; they are taken to go as fast as the first.

    Raises:
        UnknownKeyError: There is no such reasoner.
        InputError: Settings are wrong; all of them are listed.
    """
    settings: Any = checked_settings(name, choices)
    members = list(settings.each()) if name == "ensemble" else []
    if settings.seconds:
        epochs = sum(own["epochs"] for _, own in members) if members else settings.epochs
        return Estimate(settings.seconds, epochs, None)
    if members:
        each = [estimate(kind, facts, valid, own) for kind, own in members]
        return Estimate(sum(one.seconds for one in each), sum(one.epochs for one in each), each[-1].bytes)
    both, batch = 2 * sum(map(len, (facts, *(each for each, _ in also)))), settings.batch
    nothing = facts.triples[:0]
    if name in ("path", "foundation"):
        # The first steps compile and fill caches; the second trial is what the rest will be like.
        for seconds in (1e-3, _TRIED_SECONDS):
            told, tried = _tried(name, facts, nothing, {**settings.model_dump(), "seconds": seconds})
        steps = settings.epochs * max(1, -(-both // batch))
        step = told[-1].seconds / max(1, getattr(told[-1], "step", 1)) if told else 0.0
        checks = settings.epochs * settings.checks
    else:
        some = facts.triples[:: max(1, both // (2 * _TRIED_BATCHES * batch))]
        few = replace(facts, triples=some)
        for _ in range(2):
            told, tried = _tried(name, few, nothing, {**settings.model_dump(), "epochs": 1, "seconds": None})
        steps = settings.epochs * len(facts) / max(1, len(some))
        step = told[-1].seconds if told else 0.0
        checks = settings.epochs // settings.every
    seconds = steps * step + checks * _watching(tried, facts, valid[: settings.watched])
    return Estimate(seconds, settings.epochs, _peak())


def _tried(name: str, facts: Facts, valid: Rows, settings: Mapping[str, Any]) -> tuple[list[Told], Reasoner]:
    told: list[Told] = []
    trained = train(name, facts, valid, settings, told.append)
    return told, trained


def _watching(reasoner: Reasoner, facts: Facts, valid: Rows) -> float:
    """Seconds of one validation."""
    if not len(valid):
        return 0.0
    queries = np.ascontiguousarray(valid[: reasoner.batch, :2])
    reasoner.score(facts, queries[:1])
    began = time.perf_counter()
    reasoner.score(facts, queries)
    return (time.perf_counter() - began) * 2 * len(valid) / len(queries)


def _peak() -> int:
    """The most memory that this process has used."""
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
