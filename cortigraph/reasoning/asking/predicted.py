"""Predictions in the graph: what a reasoner concludes as `PREDICTED` relationships, for whoever asks by Cypher.

    (a)-[:PREDICTED {relation, score, probability, reasoner, at, run}]->(b)

A run writes all of its own beside those of the run before, then says in one transaction that it counts, and then takes
the others away. So a run that was killed has either not begun to count, or it does and something is left to be cleared;
the next run of the reasoner first clears up either. Facts and snapshots leave them out: nothing is learned from them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import RelType
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.candidates import Candidates
from cortigraph.reasoning.asking.learn import split
from cortigraph.reasoning.asking.mind import Mind, Thought
from cortigraph.reasoning.asking.missing import missing
from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.view import view
from cortigraph.train.clock import Clock

if TYPE_CHECKING:
    from cortigraph.graph.store import Store

__all__ = ["Materialised", "clear", "materialise"]

_COUNTS = """
MATCH (r:Region {key: $key}) RETURN r.predictions AS run"""
_SAY = """
MATCH (r:Region {key: $key}) SET r.predictions = $run, r.predicted_at = $at RETURN count(r) AS said"""
# Small transactions: many thousands of relationships in one would take the server's memory.
_CLEAR = """
MATCH ()-[p:PREDICTED {reasoner: $reasoner}]->() WHERE $run IS NULL OR p.run <> $run
WITH p LIMIT $most DELETE p RETURN count(p) AS gone"""
_MOST = 10_000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Materialised:
    """What a run wrote, and how good it is by facts that were held out when the reasoner was trained.

    Args:
        reasoner: Its name.
        run: Its own name.
        questions: How many were asked.
        share: Of those that there were to ask; less than 1 where there was no time for all.
        written: Relationships.
        cleared: Relationships of runs before it.
        mean_probability: Of those written.
        precision: Share of those written that is true, as held-out facts say; None where none would be written.
        expected_calibration_error: How far probabilities are from shares that are true, in the mean.
        held_out: Facts that this was learned from, and measured on.
        found: Share of these that would have been written, had they been missing.
        missing: How many facts the graph is thought to lack.
        relations: The same by relation.
    """

    reasoner: str
    run: str
    questions: int
    share: float
    written: int
    cleared: int
    mean_probability: float | None
    precision: float | None
    expected_calibration_error: float | None
    held_out: int
    found: float
    missing: int
    relations: list[dict[str, Any]]


def materialise(
    mind: Mind,
    *,
    reasoner: str | None = None,
    relations: Sequence[str] | None = None,
    top: int = 3,
    least: float = 0.5,
    every: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Materialised:
    """Writes what is likely missing, as a reasoner sees it, instead of what it predicted before.

    Args:
        mind: Reasoners and facts.
        reasoner: Its name; else the one that was trained last.
        relations: Only these; else all.
        top: Answers for each question, at most.
        least: Probability below which nothing is written.
        every: Asks for every entity; else for those that are likely to lack an answer.
        progress: Told what is done, how much of it, and of how much.
        clock: When it must be over; fewer are asked where there is no time for all.

    Raises:
        UnknownKeyError: There is no such reasoner or relation.
        InputError: A number is out of its range, the reasoner is not one of the graph's, or too little was held out.
    """
    if top < 1 or not 0 <= least <= 1:
        raise InputError(f"top must be at least 1 and least from 0 to 1, got {top} and {least}")
    thought = mind.thought(reasoner)
    kept = next((each for each in shelf.shelved(mind.store) if each.id == thought.name), None)
    if kept is None:
        raise InputError(f"{thought.name} is no reasoner of the graph; predictions carry the name of one that is")
    count = len(thought.facts.relations)
    names = relations if relations is not None else thought.facts.relations
    numbers = np.unique([thought.facts.relation(name) % count for name in names]).astype(np.int64)
    cleared = _cleared(mind.store, kept.id, _counting(mind.store, kept.key))
    rest, held = _parts(thought)
    kinds = thought.knowledge.kind[thought.view.rows]
    found = missing(
        thought.reasoner, thought.facts, rest, held, kinds,
        relations=numbers, top=top, least=least, every=every, progress=progress, clock=clock,
    )  # fmt: skip
    run, at = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
    chosen = np.flatnonzero(found.probabilities >= least)
    written = 0
    for start in range(0, len(chosen), _MOST):
        some = chosen[start : start + _MOST]
        same = {"reasoner": kept.id, "run": run, "at": at}
        written += _write(mind.store, thought, found.found.of(some), found.probabilities[some], same)
        if progress is not None:
            progress("predictions", start + len(some), len(chosen))
    said = mind.store.write(_SAY, key=kept.key, run=run, at=at).rows[0]["said"]
    assert said == 1
    cleared += _cleared(mind.store, kept.id, run)
    quality, whole = found.quality, found.found.triples[chosen, 1]
    return Materialised(
        reasoner=kept.id,
        run=run,
        questions=found.questions,
        share=round(found.share, 4),
        written=written,
        cleared=cleared,
        mean_probability=_rounded(found.probabilities[chosen].mean()) if len(chosen) else None,
        precision=_rounded(quality.precision),
        expected_calibration_error=_rounded(quality.gap),
        held_out=found.held_out,
        found=round(quality.found, 4),
        missing=round(found.expected),
        relations=[
            {
                "relation": thought.facts.relations[number],
                "written": int((whole == number).sum()),
                "mean_probability": _rounded(found.probabilities[chosen][whole == number].mean()),
                "precision": _rounded(quality.by_relation.get(number, (None, 0))[0]),
                "held_out": int((held[:, 1] == number).sum()),
                "held_out_found": quality.by_relation.get(number, (None, 0))[1],
            }
            for number in np.unique(whole).tolist()
        ],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _parts(thought: Thought) -> tuple[Facts, Rows]:
    """What the reasoner was trained on, and what was held out, by the rows of what it sees."""
    rest, held = split(thought.knowledge.facts)
    limits = thought.reasoner.limits()
    return view(rest, limits).facts, view(replace(rest, triples=held), limits).facts.triples


def clear(store: Store, reasoner: str) -> int:
    """Takes all predictions of a reasoner away; returns how many."""
    return _cleared(store, reasoner, None)


def _counting(store: Store, key: str) -> str:
    rows = store.read(_COUNTS, key=key)
    return str(rows[0]["run"] or "none") if rows else "none"


def _cleared(store: Store, reasoner: str, run: str | None) -> int:
    """Takes away what does not count."""
    total = 0
    while gone := store.write(_CLEAR, reasoner=reasoner, run=run, most=_MOST).rows[0]["gone"]:
        total += int(gone)
    return total


def _write(store: Store, thought: Thought, some: Candidates, probabilities: Floats, same: dict[str, Any]) -> int:
    from cortigraph.graph.write import merge_edges

    whole, nodes = thought.view.rows, thought.knowledge.node
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (head, number, tail), score, likely in zip(some.triples.tolist(), some.scores, probabilities, strict=True):
        (start_label, start), (end_label, end) = nodes(int(whole[head])), nodes(int(whole[tail]))
        name = thought.facts.relations[number]
        row = {"start": start, "end": end, "relation": name, "key": f"{same['run']}/{name}", **same}
        row |= {"score": float(score), "probability": float(likely)}
        groups.setdefault((start_label, end_label), []).append(row)
    counts = [merge_edges(store, RelType.PREDICTED, *labels, rows) for labels, rows in groups.items()]
    return sum(each.created for each in counts)
