"""History: the searches of a scene, and which of them an asked scene means.

A scene that was solved is not searched again, whatever regions have come since: the same command gives the same result.
A search is made anew, under a number of its own, when it is asked for, when it failed, or when a region that it could
draw is another one now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cortigraph.graph.store import Store, Transaction
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.solving.problem import Problem

__all__ = ["Opened", "Past", "opened", "past"]

# The first search of a scene, and those that were made anew: `scene/digest`, `scene/digest-2`, …
_PAST = """
MATCH (s:Search)-[:FOR_SCENE]->(:Scene {key: $scene}) WHERE s.key = $base OR s.key STARTS WITH $base + '-'
RETURN s {.key, .state, .plan, .report, .catalogue, .finished_at} AS told
"""
_SINCE = """
MATCH (run:Run) WHERE run.finished_at > $at AND (run.search IS NULL OR NOT run.search STARTS WITH $base)
RETURN count(run) AS count
"""
_NAMED = 3


@dataclass(frozen=True)
class Past:
    """A search as the graph has it.

    Args:
        key: Its key.
        state: `running`, `done`, `failed`, or `stale` once another took its place before it was done.
        memory: What was recalled when it began.
        report: Its solution, once it is done.
        catalogue: The regions that it may draw: key → what each was.
        finished_at: When it was done.
    """

    key: str
    state: str
    memory: Memory
    report: str | None
    catalogue: Mapping[str, str]
    finished_at: str | None

    def overwritten(self, problem: Problem) -> list[str]:
        """The regions that it may draw and that are others now."""
        now = problem.catalogue
        return sorted(key for key, made in self.catalogue.items() if now.get(key, made) != made)

    def gone(self, problem: Problem) -> list[str]:
        """The regions that it may draw and that are there no more."""
        return sorted(self.catalogue.keys() - problem.catalogue.keys())

    def come(self, problem: Problem) -> list[str]:
        """The regions that may serve now, and that it did not know."""
        return sorted(problem.catalogue.keys() - self.catalogue.keys())


@dataclass(frozen=True)
class Opened:
    """The search that is meant.

    Args:
        key: Its key.
        problem: With the regions that it may draw.
        past: As the graph has it; nothing for one that begins now.
        replaced: Key of the one that it takes the place of.
        notes: What is worth knowing about it, for whoever asked.
    """

    key: str
    problem: Problem
    past: Past | None = None
    replaced: str | None = None
    notes: tuple[str, ...] = field(default=())


def past(target: Store | Transaction, scene: str, base: str) -> list[Past]:
    """The searches of a scene that began as `base` did, in their order."""
    found = [row["told"] for row in target.read(_PAST, scene=scene, base=base)]
    return [
        Past(
            key=told["key"],
            state=told["state"],
            memory=Memory.from_json(told["plan"]),
            report=told["report"],
            catalogue=json.loads(told["catalogue"] or "{}"),
            finished_at=told["finished_at"],
        )
        for told in sorted(found, key=lambda told: _number(told["key"]))
    ]


def opened(store: Store, problem: Problem, base: str, again: bool) -> Opened:
    """The search that a scene means: the latest, unless it is to be made anew.

    Args:
        store: Only read.
        problem: The scene, read.
        base: The key of its first search.
        again: Whether one that is done is to be made anew; one that was stopped goes on.
    """
    known = past(store, problem.scene.key, base)
    if not known:
        return Opened(base, problem)
    latest = known[-1]
    why = _why_anew(latest, problem, again)
    if why is not None:
        key = f"{base}-{_number(latest.key) + 1}"
        return Opened(key, problem, replaced=latest.key, notes=(why,) if why else ())
    return Opened(latest.key, problem.among(latest.catalogue), latest, notes=_worth(store, latest, problem, base))


def _why_anew(latest: Past, problem: Problem, again: bool) -> str | None:
    """Why a search is made anew, in words or, where that was asked for, in none; nothing where it is not."""
    overwritten = latest.overwritten(problem)
    if overwritten:
        told = "was overwritten" if len(overwritten) == 1 else "were overwritten"
        return f"searched anew: {_some(overwritten)} {told} since the last search"
    gone = latest.gone(problem)
    if gone and latest.state != "done":
        return f"searched anew: {_some(gone)} could serve when the last search began, and can't any more"
    return "" if latest.state == "failed" or (again and latest.state == "done") else None


def _worth(store: Store, latest: Past, problem: Problem, base: str) -> tuple[str, ...]:
    """What speaks for searching again."""
    if latest.state != "done":
        return ()
    come = latest.come(problem)
    since = int(store.read(_SINCE, at=latest.finished_at, base=base)[0]["count"]) if latest.finished_at else 0
    reasons = [f"{len(come)} region{'s' * (len(come) > 1)} came since ({_some(come)})"] if come else []
    reasons += (
        [f"{since} run{'s' * (since > 1)} of other searches since then say more about what suits"] if since else []
    )
    return (f"this result was in the graph; {', and '.join(reasons)}: --again searches anew",) if reasons else ()


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")


def _number(search: str) -> int:
    return int(search.rpartition("/")[2].partition("-")[2] or 1)
