"""Watch: a search as the graph has it just now, whoever works on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.graph.store import Store

__all__ = ["Glance", "Standing", "glance"]

# The latest of a scene, or the one of that key.
_SEARCH = """
MATCH (s:Search)-[:FOR_SCENE]->(scene:Scene) WHERE s.key = $name OR scene.key = $name
RETURN s.key AS search, scene.key AS scene, s.state AS state, s.strategy AS strategy, s.declared AS declared
ORDER BY s.started_at DESC, search LIMIT 1
"""
_CANDIDATES = """
MATCH (c:Candidate)-[:IN_SEARCH]->(:Search {key: $search}) WHERE c.index >= 0
RETURN c {.index, .state, .decisions, .accuracy, .seconds, .reason, .host, .pid, .attempts, .doing, .counts} AS told,
       c.until - timestamp() AS left
ORDER BY c.index
"""
_NAMES = "MATCH (s:Search)-[:FOR_SCENE]->(scene:Scene) UNWIND [s.key, scene.key] AS key RETURN DISTINCT key"


@dataclass(frozen=True)
class Standing:
    """A candidate, as it stands.

    Args:
        index: Its place in the search.
        state: `running`, `done`, `failed`, or `left` once its lease has run out and nobody has taken it up yet.
        regions: Slot → region.
        accuracy: On validation data, once it has one.
        seconds: That it took.
        worker: `host:process` of who has it, or had it.
        attempts: How often it was begun.
        doing: What is being trained just now, or why it failed.
        counts: Whether it is one of the budget's trials; a region that can't serve is none.
    """

    index: int
    state: str
    regions: Mapping[str, str]
    accuracy: float | None
    seconds: float | None
    worker: str
    attempts: int
    doing: str
    counts: bool = True


@dataclass(frozen=True)
class Glance:
    """A search, as it stands.

    Args:
        search: Its key.
        scene: The scene's.
        state: `running` or `done`.
        strategy: By which it goes.
        trials: How many candidates there may be.
        best: The best accuracy so far.
        workers: How many have a candidate just now.
        candidates: By place.
    """

    search: str
    scene: str
    state: str
    strategy: str
    trials: int | None
    best: float | None
    workers: int
    candidates: tuple[Standing, ...]


def glance(store: Store, name: str) -> Glance:
    """How a search stands.

    Args:
        store: The store; only read.
        name: Its key, or that of a scene: then the latest of it.

    Raises:
        UnknownKeyError: There is no such search or scene.
    """
    rows = store.read(_SEARCH, name=name)
    if not rows:
        raise UnknownKeyError("search or scene", name, store.columns(_NAMES)["key"])
    told = rows[0]
    found = tuple(_standing(row) for row in store.read(_CANDIDATES, search=told["search"]))
    budget = json.loads(told["declared"] or "{}").get("budget", {})
    return Glance(
        search=told["search"],
        scene=told["scene"],
        state=told["state"],
        strategy=told["strategy"],
        trials=budget.get("trials"),
        best=max((one.accuracy for one in found if one.accuracy is not None and one.state == "done"), default=None),
        workers=len({one.worker for one in found if one.state == "running"}),
        candidates=found,
    )


def _standing(row: Mapping[str, Any]) -> Standing:
    told = row["told"]
    state = told["state"]
    if state == "running" and (row["left"] is None or row["left"] < 0):
        state = "left"
    host, pid = told.get("host"), told.get("pid")
    return Standing(
        index=told["index"],
        state=state,
        regions={slot: choice["region"] for slot, choice in json.loads(told["decisions"]).items()},
        accuracy=told.get("accuracy"),
        seconds=told.get("seconds"),
        worker=f"{host}:{pid}" if host else "",
        attempts=told.get("attempts") or 1,
        doing=(told.get("reason") if state == "failed" else told.get("doing")) or "",
        counts=told.get("counts") is not False,
    )
