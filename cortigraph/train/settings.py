"""How a network is trained: everything that may be chosen, with defaults that suit a thousand samples."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainSettings"]


class TrainSettings(BaseModel):
    """The choices of one training.

    Args:
        epochs: At most so many passes over the data.
        batch: Samples per step, of all workers together.
        learning_rate: The largest of the schedule.
        weight_decay: Of AdamW.
        patience: Epochs without a better result before training stops.
        seed: Of the initial weights, the order of samples and all noise.
        metric: What "better" means on the split that is watched; ties are broken by `nll`.
        noise: Standard deviation of the Gaussian noise added to raw float inputs, which have a deviation of 1.
        shift: Most pixels by which raw maps are moved, in each direction.
        label_smoothing: Share of the target that is spread over all classes.
        schedule: How the learning rate goes: down a `cosine`, up and down in `one_cycle`, or `constant`.
        checkpoint_seconds: Least time between two checkpoints; 0 writes one after each epoch.
        cache_bytes: Outputs of frozen parts are kept in memory up to this size, else computed anew in each epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=0)] = 12
    batch: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-2
    patience: Annotated[int, Field(ge=1)] = 4
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    metric: Literal["accuracy", "nll"] = "accuracy"
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    shift: Annotated[int, Field(ge=0)] = 0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 1.0
    cache_bytes: Annotated[int, Field(ge=0)] = 2 << 30

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step.

        Args:
            step: From 0.
            steps: Of the whole training, had it no early stop.

        Example:
            >>> [round(TrainSettings(learning_rate=1.0).rate(step, 4), 2) for step in range(4)]
            [1.0, 0.85, 0.5, 0.15]
        """
        done = step / max(1, steps)
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "one_cycle":
            warm = 0.3
            if done < warm:
                return self.learning_rate * (0.04 + 0.96 * done / warm)
            done = (done - warm) / (1 - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
