"""Asking: `(head, relation, ?)`, `(?, relation, tail)`, and questions of several parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking.answers import Answer, Answers
from cortigraph.reasoning.asking.carriers import Carrier, walker
from cortigraph.reasoning.asking.conjunction import Conjunction
from cortigraph.reasoning.asking.mind import Mind, Thought
from cortigraph.reasoning.asking.pattern import parse_pattern, tree
from cortigraph.reasoning.asking.resolve import resolve_entity, resolve_relation
from cortigraph.reasoning.reasoners.rank import best

__all__ = ["Question", "ask"]

_FORM = "ask(head, relation), ask('?', relation, tail), or ask('?x relation key AND …')"


@dataclass(frozen=True)
class Question:
    """What is asked, and how much of an answer is wanted.

    Args:
        head: A key, a name or words; `?` where the head is sought; or a whole question, such as `?x treats disease:1`.
        relation: A key, a name or words; `inverse of NAME` asks it the other way round.
        tail: Where the head is sought.
        top: How many answers.
        paths: How many for each of the answers, or for each fact that an answer rests on; 0 is quickest.
        known: Only what the graph holds, or only what it does not; both when left out.
        reasoner: Name, key, hash or file; else the one that was trained last.
        graph: What part of the graph; else what the reasoner was trained on.
        beam: In a question of several parts: how many entities a variable in between may be.
    """

    head: str
    relation: str | None = None
    tail: str | None = None
    top: int = 10
    paths: int = 3
    known: bool | None = None
    reasoner: str | None = None
    graph: str | None = None
    beam: int = 16

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {least}, got {value}" for name, value, least in self._counts() if value < least
        ]
        sought = self.head == "?"
        if self.relation is None and (self.tail is not None or sought):
            problems.append(f"a relation is missing; expected {_FORM}")
        if self.relation is not None and sought != (self.tail is not None):
            problems.append(f"either a head is given or a tail, and `?` for the other; expected {_FORM}")
        if problems:
            raise InputError(problems)

    def _counts(self) -> tuple[tuple[str, int, int], ...]:
        return (("top", self.top, 1), ("paths", self.paths, 0), ("beam", self.beam, 1))


def ask(mind: Mind, question: Question) -> Answers:
    """Answers a question over the graph as it is now.

    Args:
        mind: Reasoners and facts.
        question: What is asked.

    Returns:
        The best answers, known and predicted, with the paths that carried them.

    Raises:
        UnknownKeyError: An entity, a relation or a reasoner is not there; names those nearest.
        AmbiguousKeyError: Words that may mean several.
        InputError: The question has another form, or the reasoner does not know what it is about.
    """
    thought = mind.thought(question.reasoner, question.graph)
    return _one(mind, thought, question) if question.relation is not None else _several(mind, thought, question)


def _one(mind: Mind, thought: Thought, question: Question) -> Answers:
    assert question.relation is not None
    count = len(thought.facts.relations)
    given = question.tail if question.tail is not None else question.head
    row, relation = _entity(mind, thought, given), _relation(mind, thought, question.relation)
    if question.tail is not None:
        relation = (relation + count) % (2 * count)
    carrier = Carrier(thought, row, relation, paths=question.paths > 0)
    known = thought.known.of(np.array([[row, relation]]))[1]
    probabilities = thought.calibration.probabilities(carrier.scores, known)
    answers = []
    for place in best(probabilities, carrier.scores, known, question.top, question.known).tolist():
        answers.append(
            Answer(
                key=str(thought.facts.entities[place]),
                name=thought.knowledge.called(int(thought.view.rows[place])),
                score=round(float(carrier.scores[place]), 6),
                probability=float(probabilities[place]),
                known=bool((known == place).any()),
                paths=carrier.told(place, question.paths) if question.paths else (),
                asked=(str(thought.facts.entities[row]), thought.facts.named(relation)),
                reasoner=thought.name,
            )
        )
    key, name = thought.facts.entities[row], thought.facts.relations[relation % count]
    told = f"{key} -{name}-> ?" if relation < count else f"? -{name}-> {key}"
    return _answers(thought, told, answers)


def _several(mind: Mind, thought: Thought, question: Question) -> Answers:
    clauses = parse_pattern(question.head)
    _, branches = tree(clauses)
    found = Conjunction(
        thought,
        branches,
        lambda text: _entity(mind, thought, text),
        lambda text: _relation(mind, thought, text),
        beam=question.beam,
    )
    order = np.argsort(-found.truth, kind="stable")
    answers: list[Answer] = []
    for row in order.tolist():
        if len(answers) == question.top or found.truth[row] <= 0:
            break
        answer = found.answer(row, 0)
        if question.known is None or answer.known == question.known:
            answers.append(found.answer(row, question.paths) if question.paths else answer)
    told = " AND ".join(map(str, clauses))
    return _answers(thought, told, answers)


def _answers(thought: Thought, told: str, answers: list[Answer]) -> Answers:
    return Answers(
        question=told,
        reasoner=thought.name,
        graph_version=thought.knowledge.version,
        answers=tuple(answers),
        paths_by="gradient" if walker(thought.reasoner) is not None else "search",
        notes=thought.notes(),
    )


def _entity(mind: Mind, thought: Thought, text: str) -> int:
    row = resolve_entity(mind.store, thought.knowledge, text)
    place = int(thought.view.places[row])
    if place < 0:
        raise InputError(
            f"{thought.knowledge.facts.entities[row]!r} is newer than {thought.name}, which knows a closed graph; "
            f"`cortigraph reason refresh {thought.name}` lets it see it, or ask a path reasoner"
        )
    return place


def _relation(mind: Mind, thought: Thought, text: str) -> int:
    if text.removeprefix("inverse of ") in thought.view.unread:
        raise InputError(
            f"the reasoner {thought.name} has not learned what {text!r} means; "
            f"`cortigraph reason refresh {thought.name}` lets it learn"
        )
    return resolve_relation(mind.store, thought.facts, text)
