"""Training an ensemble by name: its members one after the other, then how much each is worth, relation by relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings, DistanceSettings
from cortigraph.reasoning.reasoners.ensemble import Ensemble, train_ensemble
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.settings import FoundationSettings, PathSettings
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import Told, train
from cortigraph.train.clock import Clock, OnPart, ignore

__all__ = ["EnsembleSettings", "train_members"]

_WEIGHING = 0.1  # share of a limited time in which it is learned how much each member is worth
_LEAST_SECONDS = 0.1


class EnsembleSettings(BaseModel):
    """The choices of an ensemble; those of a member by `kind.name`, such as `path.layers=3`.

    Args:
        members: Kinds, joined by commas; one may come twice, each with a seed of its own.
        path: Of members of this kind.
        foundation: Of members of this kind.
        complex: Of members of this kind.
        rotate: Of members of this kind.
        transe: Of members of this kind.
        seconds: For all of them together; members share alike what there is, unless a member has `seconds` of its own.
        seed: Of the first member; the next ones have the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Annotated[
        tuple[Literal["path", "foundation", "complex", "rotate", "transe"], ...], Field(min_length=1)
    ] = ("path", "complex")
    path: PathSettings = PathSettings()
    foundation: FoundationSettings = FoundationSettings()
    complex: ComplExSettings = ComplExSettings()
    rotate: DistanceSettings = DistanceSettings()
    transe: DistanceSettings = DistanceSettings()
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="before")
    @classmethod
    def _read(cls, told: dict[str, Any]) -> dict[str, Any]:
        """`path.layers=3` is a setting of a member, and a text names members by commas."""
        read: dict[str, Any] = {}
        for name, value in told.items():
            kind, dot, own = name.partition(".")
            if dot:
                read[kind] = {**read.get(kind, {}), own: value}
            elif name == "members" and isinstance(value, str):
                read[name] = [part.strip() for part in value.split(",")]
            elif isinstance(value, Mapping):
                read[name] = {**value, **read.get(name, {})}
            else:
                read[name] = value
        return read

    def each(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kind and settings of each member."""
        for number, kind in enumerate(self.members):
            own: BaseModel = getattr(self, kind)
            yield kind, {**own.model_dump(), "seed": self.seed + number}


def train_members(
    facts: Facts,
    valid: Rows,
    settings: EnsembleSettings,
    progress: Callable[[Told], None] | None = None,
    *,
    start: Ensemble | None = None,
    checkpoint: Checkpoint | None = None,
    shown: OnPart = ignore,
) -> Ensemble:
    """Trains an ensemble.

    Args:
        facts: What its members learn from.
        valid: Held-out facts, (any, 3), that say when members stop, and what each is worth.
        settings: All choices.
        progress: Told by each member.
        start: Goes on from its members.
        checkpoint: Where members keep their state, each beside it; those that are done are not trained again.
        shown: Told how far each member is.

    Raises:
        InputError: There are no facts, or `start` has other members.
    """
    if start is not None and tuple(member.name for member in start.members) != settings.members:
        there = ",".join(member.name for member in start.members)
        raise InputError(f"the members are {','.join(settings.members)} here, {there} there; they must be the same")
    members, kept, clock = [], [], Clock(settings.seconds)
    for number, (kind, own) in enumerate(settings.each()):
        place = None
        if checkpoint is not None:
            path = checkpoint.path.with_name(f"{checkpoint.path.name}.{number}")
            place = Checkpoint(path, f"{checkpoint.training}.{number}")
            kept.append(place)
        begun = start.members[number] if start is not None else None
        if settings.seconds is not None and own["seconds"] is None:
            shared = clock.left - _WEIGHING * settings.seconds
            own["seconds"] = max(_LEAST_SECONDS, shared / (len(settings.members) - number))
        members.append(train(kind, facts, valid, own, progress, start=begun, checkpoint=place, shown=shown))
    seconds = None if settings.seconds is None else max(_LEAST_SECONDS, min(clock.left, _WEIGHING * settings.seconds))
    ensemble = train_ensemble(members, facts, valid, seed=settings.seed, seconds=seconds)
    for each in kept:
        each.done()
    return ensemble
