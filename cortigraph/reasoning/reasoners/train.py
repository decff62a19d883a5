"""Training by name: each kind of reasoner with its own settings, behind one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.pace import in_time
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock, OnPart, ignore

if TYPE_CHECKING:
    from cortigraph.train.cluster import Cluster
    from cortigraph.train.engine import Engine

__all__ = ["Told", "checked_settings", "train", "trainable"]


class Told(Protocol):
    """What every training says of itself now and then."""

    @property
    def loss(self) -> float:
        """Mean since it was told last."""

    @property
    def mrr(self) -> float | None:
        """On validation facts, where it was measured now."""

    @property
    def seconds(self) -> float:
        """Since the beginning."""


def trainable() -> Mapping[str, type[BaseModel]]:
    """Name → its settings.

    Example:
        >>> sorted(trainable())
        ['complex', 'ensemble', 'foundation', 'path', 'rotate', 'transe']
    """
    from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings, DistanceSettings
    from cortigraph.reasoning.reasoners.path.settings import FoundationSettings, PathSettings
    from cortigraph.reasoning.reasoners.together import EnsembleSettings

    return {
        "path": PathSettings,
        "foundation": FoundationSettings,
        "complex": ComplExSettings,
        "rotate": DistanceSettings,
        "transe": DistanceSettings,
        "ensemble": EnsembleSettings,
    }


def train(
    name: str,
    facts: Facts,
    valid: Rows,
    choices: Mapping[str, Any] | None = None,
    progress: Callable[[Told], None] | None = None,
    *,
    start: Reasoner | None = None,
    checkpoint: Checkpoint | None = None,
    also: Sequence[tuple[Facts, Rows]] = (),
    cluster: Cluster | None = None,
    engine: Engine | None = None,
    shown: OnPart = ignore,
    clock: Clock | None = None,
) -> Reasoner:
    """Trains a reasoner.

    Args:
        name: `path`, `foundation`, `complex`, `rotate`, `transe` or `ensemble`.
        facts: What it learns from.
        valid: Held-out facts that say which state was the best: (any, 3).
        choices: Settings that differ from the defaults; text is read as the setting's type.
        progress: Told now and then.
        start: One of the same kind, to go on from what it knows.
        checkpoint: Where the state lies after each epoch; what is there already is gone on from.
        also: Other graphs that a foundation learns from, with what is held out of each.
        cluster: Has several workers train it together; here alone, if left out.
        engine: Where this process is one of those workers, its rank.
        shown: Told all the time how far it is.
        clock: Of more than the training, which then leaves some of the time to calibrate and to save in.

    Raises:
        UnknownKeyError: There is none of that name.
        InputError: A setting is unknown or out of its range (all of them are listed); there are several graphs, and the
            reasoner is no foundation; or what it shall go on from is of another kind.
    """
    settings: Any = checked_settings(name, choices)
    if also and name != "foundation":
        raise InputError(f"{name!r} learns from one graph, got {len(also) + 1}; choose 'foundation' for several")
    if start is not None and start.name != name:
        raise InputError(f"{name!r} can go on from one of its kind only, got {start.name!r}")
    graphs = [(facts, valid), *also]
    if cluster is not None and cluster.chosen() != "single":
        from cortigraph.reasoning.reasoners.workers import train_together

        told: Any = progress or (lambda told: None)
        return train_together(cluster, name, graphs, settings.model_dump(), told, start, checkpoint, shown, clock)
    fit = _fit(name)  # imports torch, which is part of the time that there is
    common = {"progress": progress, "start": start, "checkpoint": checkpoint, "shown": shown}
    return fit(graphs, in_time(settings, clock), engine, common)


def _fit(name: str) -> Callable[..., Reasoner]:
    """What trains a kind: given graphs, settings, engine and what all take alike."""
    if name == "path":
        from cortigraph.reasoning.reasoners.path.training import train_path

        return lambda graphs, settings, engine, common: train_path(
            graphs[0][0], graphs[0][1], settings, engine=engine, **common
        )
    if name == "foundation":
        from cortigraph.reasoning.reasoners.path.training import train_foundation

        return lambda graphs, settings, engine, common: train_foundation(graphs, settings, engine=engine, **common)
    if name == "ensemble":
        from cortigraph.reasoning.reasoners.together import train_members

        return lambda graphs, settings, engine, common: train_members(graphs[0][0], graphs[0][1], settings, **common)
    if name == "complex":
        from cortigraph.reasoning.reasoners.embedding.softmax import train_complex

        return lambda graphs, settings, engine, common: train_complex(graphs[0][0], graphs[0][1], settings, **common)
    from cortigraph.reasoning.reasoners.embedding.adversarial import train_distance
    from cortigraph.reasoning.reasoners.embedding.distance import Distance, RotatE, TransE

    kind: type[Distance] = RotatE if name == "rotate" else TransE
    return lambda graphs, settings, engine, common: train_distance(kind, graphs[0][0], graphs[0][1], settings, **common)


def checked_settings(name: str, choices: Mapping[str, Any] | None = None) -> BaseModel:
    """The settings of a reasoner.

    Args:
        name: Its kind.
        choices: Those that differ from the defaults; text is read as the setting's type.

    Raises:
        UnknownKeyError: There is none of that name.
        InputError: A setting is unknown or out of its range; all of them are listed.
    """
    known = trainable()
    if name not in known:
        raise UnknownKeyError("reasoner", name, known)
    try:
        return known[name].model_validate(dict(choices or {}))
    except ValidationError as error:
        raise InputError([_said(problem, known[name]) for problem in error.errors()]) from None


def _said(problem: Any, settings: type[BaseModel]) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return str(UnknownKeyError("setting", name, settings.model_fields))
    if not name:  # of several settings together
        return f"settings: {problem['msg'].removeprefix('Value error, ')}"
    return f"setting {name!r}: {problem['msg']}, got {problem['input']!r}"
