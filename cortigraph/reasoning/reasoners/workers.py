"""Training on several workers at once: the same training in each rank of a group, which share out every batch."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue

from cortigraph.graph.errors import InputError
from cortigraph.graph.keys import Keys
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.training import Progress
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import train
from cortigraph.regions.weights import WeightStore
from cortigraph.train.clock import Clock, OnPart, ignore
from cortigraph.train.engine import Engine
from cortigraph.train.launch import trainer
from cortigraph.train.tasks import Report, task

if TYPE_CHECKING:
    from cortigraph.train.cluster import Cluster

__all__ = ["TOGETHER", "train_together"]

_REPORT_SECONDS = 0.5

TOGETHER = ("foundation", "path")  # the kinds that several workers can train


def train_together(
    cluster: Cluster,
    name: str,
    graphs: Sequence[tuple[Facts, Rows]],
    choices: Mapping[str, Any],
    progress: Callable[[Progress], None],
    start: Reasoner | None,
    checkpoint: Checkpoint | None,
    shown: OnPart = ignore,
    clock: Clock | None = None,
) -> Reasoner:
    """Trains a reasoner in a group of workers; the same as one worker makes of it, up to the order of summation.

    Args:
        cluster: Who trains.
        name: Of the kind.
        graphs: What it learns from, with what is held out; several for a foundation.
        choices: All settings.
        progress: Told at each validation.
        start: One to go on from.
        checkpoint: Where the state lies after each validation. A lost worker costs what was learned since.
        shown: Told how far it is, now and then.
        clock: As for `train`.

    Raises:
        InputError: This kind is trained by one worker.
        TrainError: A worker was lost.
    """
    if name not in TOGETHER:
        raise InputError(f"{name} is trained by one worker, got {cluster.most}; {' and '.join(TOGETHER)} by several")
    near = checkpoint.path.parent if checkpoint is not None else None  # a place that other hosts see
    if near is not None:
        near.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reasoner-", dir=near) as scratch:
        folder = Path(scratch).resolve()
        for number, (facts, valid) in enumerate(graphs):
            _write(folder / str(number), facts, valid)
        if start is not None:
            artefact.save(start, folder / "start")
        arguments: dict[str, JsonValue] = {
            "folder": str(folder),
            "name": name,
            "graphs": len(graphs),
            "choices": dict(choices),
            "start": start is not None,
            "clock": [*clock.face()] if clock is not None else [],
            "checkpoint": None if checkpoint is None else [str(checkpoint.path.resolve()), checkpoint.training],
        }
        with trainer(cluster, weights=WeightStore(folder / "weights"), modules=[__name__]) as training:
            training.call("reason.train", arguments, lambda line: _pass_on(json.loads(line), progress, shown))
        return artefact.load(folder / "trained").reasoner


def _pass_on(told: Any, progress: Callable[[Progress], None], shown: OnPart) -> None:
    if isinstance(told, list):
        shown(*told)
    else:
        progress(Progress(**told))


def _seldom(report: Report) -> OnPart:
    """Reports how far it is, at most twice a second: each report is a line in a file."""
    last = 0.0

    def shown(what: str, done: int, whole: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPORT_SECONDS:
            last = time.monotonic()
            report(json.dumps([what, done, whole]))

    return shown


@task("reason.train")
def _train(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """In each rank; the first one keeps what came of it."""
    asked: Any = arguments
    folder = Path(asked["folder"])
    (facts, valid), *also = [_read(folder / str(number)) for number in range(asked["graphs"])]
    trained = train(
        asked["name"], facts, valid, asked["choices"],
        lambda told: report(json.dumps(vars(told))),
        start=artefact.load(folder / "start").reasoner if asked["start"] else None,
        checkpoint=Checkpoint(*asked["checkpoint"]) if asked["checkpoint"] else None,
        also=also,
        engine=engine,
        shown=_seldom(report),
        clock=Clock.like(asked["clock"]),
    )  # fmt: skip
    if engine.rank == 0:
        artefact.save(trained, folder / "trained")
    return {}


def _write(folder: Path, facts: Facts, valid: Rows) -> None:
    folder.mkdir()
    np.savez(folder / "facts.npz", triples=facts.triples, valid=valid)
    names = {"entities": list(facts.entities), "relations": list(facts.relations)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")


def _read(folder: Path) -> tuple[Facts, Rows]:
    import pyarrow as pa

    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    with np.load(folder / "facts.npz", allow_pickle=False) as held:
        triples, valid = held["triples"], held["valid"]
    return Facts(Keys(pa.array(names["entities"], pa.string()), "entity"), tuple(names["relations"]), triples), valid
