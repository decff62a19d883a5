"""Solutions: what `solve` gives back, and what it costs to have got there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cortigraph.regions.blueprint import Blueprint

__all__ = ["Solution", "Step"]


@dataclass(frozen=True)
class Step:
    """One candidate, for people and plots.

    Args:
        index: From 0; reference points, which need no training, are negative.
        choice: Slot → what was chosen, in words.
        accuracy: On validation data.
        nll: On validation data, in nats.
        seconds: That it took.
        reason: Why it failed, or empty.
        counts: Whether it is one of the budget's trials; a region that can't serve is none.
    """

    index: int
    choice: Mapping[str, str]
    accuracy: float
    nll: float | None
    seconds: float
    reason: str = ""
    counts: bool = True


@dataclass(frozen=True)
class Solution:
    """A scene, solved.

    Args:
        pathway: Key of the chosen pathway: `brain.predict(solution.pathway, …)`.
        scene: Key of the scene.
        search: Key of the search.
        blueprint: The pathway, with its trained weights; `build()` gives a plain module.
        accuracy: On test data, which guided no choice: each input's best branch alone, `late_fusion` of these, and the
            `pathway`.
        valid: The same on validation data, by which the pathway was chosen.
        steps: Every candidate, in order.
        seconds: Of all trials, over all sessions.
        recalled: How many pathways and weights memory gave to begin with.
        resumed: How many trials were there already.
        notes: What is worth knowing: why it was searched anew, or may be worth it.
    """

    pathway: str
    scene: str
    search: str
    blueprint: Blueprint
    accuracy: Mapping[str, float]
    valid: Mapping[str, float]
    steps: Sequence[Step]
    seconds: float
    recalled: Mapping[str, int] = field(default_factory=dict)
    resumed: int = 0
    notes: Sequence[str] = ()

    @property
    def tried(self) -> int:
        """How many trials of the budget were made."""
        return sum(step.index >= 0 and step.counts for step in self.steps)

    def trials_to(self, level: float) -> int | None:
        """How many trials it took until a candidate reached a level on validation data; nothing if none did."""
        for step in self.steps:
            if step.index >= 0 and step.accuracy >= level:
                return step.index + 1
        return None

    def seconds_to(self, level: float) -> float | None:
        """The seconds of those trials."""
        count = self.trials_to(level)
        return None if count is None else sum(step.seconds for step in self.steps if 0 <= step.index < count)

    def to_json(self) -> str:
        """JSON text that `from_json` takes."""
        told: dict[str, Any] = {**asdict(self), "blueprint": json.loads(self.blueprint.to_json())}
        return json.dumps(told, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, **changes: Any) -> Solution:
        """Reads what `to_json` wrote."""
        told = json.loads(text)
        told["blueprint"] = Blueprint.from_json(json.dumps(told["blueprint"]))
        told["steps"] = [Step(**step) for step in told["steps"]]
        return cls(**{**told, **changes})
