"""How the path reasoner is built and trained: everything that may be chosen."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["FoundationSettings", "PathSettings"]

_MOST, _MOST_ASKED = 400, 2000  # of FB15k-237 and WN18RR more find little, and take long

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, lt=1)]
_Count = Annotated[int, Field(ge=1)]


class PathSettings(BaseModel):
    """The choices of one training.

    Args:
        width: Channels of a state.
        layers: Steps that a path may have.
        way: `everywhere` keeps states of all entities, `outwards` only of those that a query has reached; `auto`
            goes everywhere on graphs of up to `everywhere_up_to` entities.
        everywhere_up_to: See `way`.
        most: On the way outwards, how many newly reached entities a step keeps for each query. If it is left out, 400
            where the graph has more than `everywhere_up_to` entities, and 2,000 when it is asked, else all.
        most_asked: The same when it is asked, and not trained; else `most`. Wider is slower, and finds more.
        dropout: Share of what a layer adds that is hidden while training.
        edge_drop: Share of facts that are hidden in each training step.
        hides: What a question hides while training: `fact`, its own edge alone; `pair`, all edges between its head and
            its answer; `auto`, the pair where held-out facts hardly ever join what another edge joins already, as in
            FB15k-237, from which such were removed: else it is learned from what will not be there.
        epochs: At most so many passes over the facts, in both directions.
        seconds: No step begins after so long; the result then depends on the machine's speed.
        batch: Queries of a step.
        learning_rate: The largest of the schedule, which goes up for a tenth of the steps and then down to nothing.
        weight_decay: Of AdamW.
        smoothing: Share of the target that is spread over all entities.
        checks: How many times in an epoch it is validated.
        patience: Validations without a better MRR before training stops.
        watched: At most so many validation facts are ranked, drawn by the seed.
        device: Where it is trained, and asked where it is asked much; `auto` is the GPU, where there is one. Several
            workers that train together do so on CPUs.
        seed: Of first weights, order and all noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: _Count = 32
    layers: _Count = 5
    way: Literal["auto", "everywhere", "outwards"] = "auto"
    everywhere_up_to: _Count = 6000
    most: _Count | None = None
    most_asked: _Count | None = None
    dropout: _Share = 0.1
    edge_drop: _Share = 0.0
    hides: Literal["auto", "fact", "pair"] = "auto"
    epochs: _Count = 10
    seconds: _Positive | None = None
    batch: _Count = 32
    learning_rate: _Positive = 5e-3
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-4
    smoothing: _Share = 0.0
    checks: _Count = 1
    patience: _Count = 4
    watched: Annotated[int, Field(ge=0)] = 2000
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _learned_to_choose(self) -> Self:
        if self.most_asked is not None and self.most is None:
            raise ValueError("most_asked needs most: only what is trained with some learns which to choose")
        return self

    def for_graph(self, entities: int) -> Self:
        """With what is left out settled for a graph of so many entities."""
        if self.most is not None or self.way == "everywhere" or entities <= self.everywhere_up_to:
            return self
        return self.model_copy(update={"most": _MOST, "most_asked": _MOST_ASKED})


class FoundationSettings(PathSettings):
    """The choices of a training on several graphs.

    Args:
        relation_steps: Over the graph of relations.
    """

    relation_steps: _Count = 4
