"""Learning: a reasoner trained on the store's graph, calibrated, kept, and taken up again when the graph has grown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.knowledge import check, know
from cortigraph.reasoning.asking.selection import Selection
from cortigraph.reasoning.asking.shelf import Shelved
from cortigraph.reasoning.reasoners import artefact
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.calibration import calibrate
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint, training_name
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.pace import VALIDATION
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.train import Told, checked_settings, train
from cortigraph.train.clock import Clock, OnPart, ignore

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.train.cluster import Cluster

__all__ = ["learn", "refresh", "split"]

_HELD_OUT, _MOST_HELD_OUT = 0.05, 5000
Begun = Callable[[Facts, Rows], None]


def learn(
    store: Store,
    home: Home,
    kind: str = "path",
    *,
    name: str | None = None,
    selection: Selection | None = None,
    choices: Mapping[str, Any] | None = None,
    begun: Begun | None = None,
    progress: Callable[[Told], None] | None = None,
    start: tuple[Reasoner, str] | None = None,
    cluster: Cluster | None = None,
    shown: OnPart = ignore,
    waited: float = 0.0,
) -> Shelved:
    """Trains a reasoner on the graph as it is now, and keeps it.

    A twentieth of the facts is held out, to find when to stop and what scores are worth; the same facts each time,
    however the graph grows. A training that was killed goes on after its last epoch. Where the settings say `seconds`,
    these are for all of it: reading the graph, training, validation and calibration.

    Args:
        store: Whose graph, and where the reasoner is registered.
        home: Where it is kept.
        kind: `path`, `foundation`, `complex`, `rotate` or `transe`.
        name: What it shall be called; else its kind.
        selection: What part of the graph; else all of it.
        choices: Settings that differ from the defaults.
        begun: Told what is learned from and what is held out, before training begins.
        progress: Told now and then.
        start: A reasoner of the same kind to go on from, and its hash.
        cluster: Several workers train it together; this process alone, if left out.
        shown: Told all the time how far it is.
        waited: Seconds of those allowed that are over already.

    Raises:
        InputError: Settings are wrong, or the graph has no facts.
        UnknownKeyError: There is no such kind of reasoner, or nothing has a label or type of the selection.
    """
    settings = checked_settings(kind, choices).model_dump()
    clock = Clock.begun(settings["seconds"], waited)
    if selection is not None and start is None:
        check(store, selection)
    knowledge = know(store, home, selection)
    facts, held_out = split(knowledge.facts)
    if not len(facts):
        raise InputError(f"the graph has no facts in {knowledge.selection}; ingest some, or choose another part of it")
    if begun is not None:
        begun(facts, held_out)
    training = training_name(kind, settings, [(facts, held_out)], start[1] if start else "")
    checkpoint = Checkpoint(home.work / "reason" / f"{training[:32]}.safetensors", training)
    best = 0.0

    def watch(told: Told) -> None:
        nonlocal best
        best = max(best, told.mrr or 0.0)
        if progress is not None:
            progress(told)

    reasoner = train(
        kind, facts, held_out, settings, watch, start=start[0] if start else None,
        checkpoint=checkpoint, cluster=cluster, shown=shown, clock=clock,
    )  # fmt: skip
    calibration = calibrate(reasoner, facts, held_out, seconds=clock.part(VALIDATION), shown=shown)
    about = {
        "graph": str(knowledge.selection),
        "graph_version": knowledge.version,
        "entities": len(facts.entities),
        "relations": len(facts.relations),
        "facts": len(knowledge.facts),
        "held_out": len(held_out),
        "valid_mrr": round(best, 4),
        "seconds": round(clock.elapsed, 2),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "started_from": start[1] if start else "",
        "settings": settings,
        "calibration": calibration.to_json(),
    }
    kept = shelf.keep(store, home, reasoner, name or kind, about)
    checkpoint.done()
    return kept


def refresh(
    store: Store,
    home: Home,
    which: str,
    *,
    choices: Mapping[str, Any] | None = None,
    begun: Begun | None = None,
    progress: Callable[[Told], None] | None = None,
    shown: OnPart = ignore,
    waited: float = 0.0,
) -> Shelved:
    """Trains a reasoner further on the graph as it is now, from where it was.

    What it knows of relations (and, a scorer of closed graphs, of entities) carries over; what is new begins afresh.

    Args:
        store: Whose graph.
        home: Where it is kept.
        which: Its name or key.
        choices: Settings that differ from those it was trained with, such as `epochs`.
        begun: As for `learn`.
        progress: As for `learn`.
        shown: As for `learn`.
        waited: As for `learn`.

    Raises:
        UnknownKeyError: The graph knows no such reasoner.
        InputError: Settings are wrong, or change its shape.
    """
    known = shelf.shelved(store)
    kept = shelf.named(known, which)
    found = artefact.load(shelf.file_of(home, kept.weights))
    return learn(
        store,
        home,
        kept.reasoner,
        name=kept.id,
        selection=Selection.parse(kept.graph),
        choices={**found.about["settings"], **(choices or {})},
        begun=begun,
        progress=progress,
        start=(found.reasoner, kept.weights),
        shown=shown,
        waited=waited,
    )


def split(facts: Facts) -> tuple[Facts, Rows]:
    """Facts to learn from, and facts held out: about a twentieth, chosen by what they say and nothing else.

    Args:
        facts: All of them.
    """
    if len(facts) < 2 / _HELD_OUT:
        return facts, facts.triples[:0]
    marks = _marks(facts)
    order = np.argsort(marks, kind="stable")[:_MOST_HELD_OUT]
    chosen = order[marks[order] < _HELD_OUT]
    kept = np.ones(len(facts), dtype=bool)
    kept[chosen] = False
    return replace(facts, triples=facts.triples[kept]), facts.triples[np.sort(chosen)]


def _marks(facts: Facts) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A number from 0 to 1 for each fact, which only its own keys decide."""
    from pandas.util import hash_array

    entities = hash_array(np.array(list(facts.entities), dtype=object))
    relations = hash_array(np.array(facts.relations, dtype=object))
    heads, kinds, tails = facts.triples.T
    with np.errstate(over="ignore"):
        mixed = (entities[heads] * np.uint64(31) + relations[kinds]) * np.uint64(0x9E3779B97F4A7C15) + entities[tails]
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    return np.asarray(mixed / 2.0**64)
