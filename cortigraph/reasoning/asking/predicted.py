"""Predictions in the graph: what a reasoner concludes as `PREDICTED` relationships, for whoever asks by Cypher.

    (a)-[:PREDICTED {relation, score, probability, reasoner, at, run}]->(b)

A run writes all of its own beside those of the run before, then says in one transaction that it counts, and then takes
the others away. So a run that was killed has either not begun to count, or it does and something is left to be cleared;
the next run of the reasoner first clears up either. Facts and snapshots leave them out: nothing is learned from them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import RelType
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.asking.mind import Mind, Thought
from cortigraph.reasoning.reasoners.structure import Rows

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
    """What a run wrote.

    Args:
        reasoner: Its name.
        run: Its own name.
        questions: How many were asked.
        written: Relationships.
        cleared: Relationships of runs before it.
    """

    reasoner: str
    run: str
    questions: int
    written: int
    cleared: int


def materialise(
    mind: Mind,
    *,
    reasoner: str | None = None,
    relations: Sequence[str] | None = None,
    top: int = 3,
    least: float = 0.5,
    every: bool = False,
    progress: Progress | None = None,
) -> Materialised:
    """Writes what a reasoner predicts, instead of what it predicted before.

    Args:
        mind: Reasoners and facts.
        reasoner: Its name; else the one that was trained last.
        relations: Only these; else all.
        top: Answers for each question, at most.
        least: Probability below which nothing is written.
        every: Asks for every entity; else only for those that have a fact of the relation already.
        progress: Told what is done, how much of it, and of how much.

    Raises:
        UnknownKeyError: There is no such reasoner or relation.
        InputError: A number is out of its range, or the reasoner is not one of the graph's.
    """
    if top < 1 or not 0 <= least <= 1:
        raise InputError(f"top must be at least 1 and least from 0 to 1, got {top} and {least}")
    thought = mind.thought(reasoner)
    kept = next((each for each in shelf.shelved(mind.store) if each.id == thought.name), None)
    if kept is None:
        raise InputError(f"{thought.name} is no reasoner of the graph; predictions carry the name of one that is")
    cleared = _cleared(mind.store, kept.id, _counting(mind.store, kept.key))
    run, at = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
    questions = _questions(thought, relations, every)
    told = progress or (lambda what, done, whole: None)
    same = {"reasoner": kept.id, "run": run, "at": at}
    written, rows = 0, list[tuple[int, dict[str, Any]]]()
    for done, found in _predicted(thought, questions, top, least):
        rows += [(tail, {**row, **same}) for tail, row in found]
        if len(rows) >= _MOST or done == len(questions):
            written += _write(mind.store, thought, rows, run)
            rows.clear()
        told("questions", done, len(questions))
    said = mind.store.write(_SAY, key=kept.key, run=run, at=at).rows[0]["said"]
    assert said == 1
    cleared += _cleared(mind.store, kept.id, run)
    return Materialised(kept.id, run, len(questions), written, cleared)


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


def _questions(thought: Thought, relations: Sequence[str] | None, every: bool) -> Rows:
    facts = thought.facts
    numbers = [facts.relation(name) for name in relations] if relations is not None else range(len(facts.relations))
    if every:
        heads = np.arange(len(facts.entities))
        return np.concatenate([np.stack([heads, np.full(len(heads), number)], axis=1) for number in numbers])
    pairs = np.unique(facts.edges.source * (2 * len(facts.relations)) + facts.edges.relation)
    asked = np.stack([pairs // (2 * len(facts.relations)), pairs % (2 * len(facts.relations))], axis=1)
    return np.ascontiguousarray(asked[np.isin(asked[:, 1], list(numbers))])


def _predicted(
    thought: Thought, questions: Rows, top: int, least: float
) -> Iterator[tuple[int, list[tuple[int, dict[str, Any]]]]]:
    """Questions done so far, and the predictions of each batch: a tail, and what is said of it."""
    facts, batch = thought.facts, thought.reasoner.batch
    for start in range(0, len(questions), batch):
        some = questions[start : start + batch]
        scores = thought.reasoner.score(facts, some)
        first, answers = thought.known.of(some)
        found = []
        for row, (head, number) in enumerate(some.tolist()):
            known = answers[first[row] : first[row + 1]]
            likely = thought.calibration.probabilities(scores[row], known)
            likely[known] = -1.0
            for tail in np.argsort(-likely, kind="stable")[:top].tolist():
                if likely[tail] >= max(least, 0.0):
                    told = {"head": head, "number": number, "score": float(scores[row, tail])}
                    found.append((tail, {**told, "probability": float(likely[tail])}))
        yield start + len(some), found


def _write(store: Store, thought: Thought, rows: Sequence[tuple[int, dict[str, Any]]], run: str) -> int:
    from cortigraph.graph.write import merge_edges

    facts, whole = thought.facts, thought.view.rows
    count = len(facts.relations)
    groups: dict[tuple[str, str], dict[tuple[str, str, str], dict[str, Any]]] = {}
    for tail, told in rows:
        row = dict(told)
        head, number = row.pop("head"), row.pop("number")
        start, end = (head, tail) if number < count else (tail, head)
        (start_label, start_key), (end_label, end_key) = (
            thought.knowledge.node(int(whole[each])) for each in (start, end)
        )
        name = facts.relations[number % count]
        row |= {"start": start_key, "end": end_key, "relation": name, "key": f"{run}/{name}"}
        own = groups.setdefault((start_label, end_label), {})
        # Asked from both ends, one fact may be predicted twice: the likelier says more.
        other = own.get((start_key, name, end_key))
        if other is None or other["probability"] < row["probability"]:
            own[start_key, name, end_key] = row
    counts = [
        merge_edges(store, RelType.PREDICTED, start_label, end_label, own.values())
        for (start_label, end_label), own in groups.items()
    ]
    return sum(each.created for each in counts)
