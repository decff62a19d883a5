"""How scorers of closed graphs are trained: everything that may be chosen, with defaults that suit 300,000 facts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ClosedSettings", "ComplExSettings", "DistanceSettings"]

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


class ClosedSettings(BaseModel):
    """What all of them have.

    Args:
        rank: Complex numbers (TransE: real numbers) of a vector.
        epochs: At most so many passes over the facts.
        seconds: No epoch begins after so long; the result then depends on the machine's speed.
        batch: Queries of a step.
        learning_rate: Of Adagrad.
        every: Epochs from one validation to the next.
        patience: Validations without a better MRR before training stops.
        watched: At most so many validation facts are ranked, drawn by the seed.
        seed: Of first vectors, order and draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: _Count = 256
    epochs: Annotated[int, Field(ge=0)] = 100
    seconds: _Positive | None = None
    batch: _Count = 256
    learning_rate: _Positive = 0.1
    every: _Count = 3
    patience: _Count = 3
    watched: Annotated[int, Field(ge=0)] = 5000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class ComplExSettings(ClosedSettings):
    """Choices for ComplEx.

    Args:
        regularization: Weight of N3, the cubes of the absolute values of all numbers that a fact uses.
        relation_weight: Weight of telling the relation of a fact from its head and tail, which helps where there are
            many relations (Chen et al. 2021); 0 leaves it out.
        together: At most so many facts of one query come in one step; more are faster, fewer learn more an epoch.
        precision: Of the large matrix products. `bfloat16` is twice as fast where processors have it and sums in full
            precision; vectors and their updates are in full precision always. `auto` takes it where it is fast, so
            that results differ a little from machine to machine.
    """

    regularization: _Share = 0.05
    relation_weight: _Share = 0.0
    together: _Count = 8
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class DistanceSettings(ClosedSettings):
    """Choices for RotatE and TransE.

    Args:
        negatives: Drawn for each query, for itself alone, from all entities.
        margin: Distance beyond which an answer is held to be false.
        temperature: How much more the nearest negatives count.
    """

    rank: _Count = 200
    batch: _Count = 512
    negatives: _Count = 64
    margin: _Positive = 9.0
    temperature: _Share = 1.0
