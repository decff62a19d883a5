"""Asking: `(head, relation, ?)`, `(?, relation, tail)`, and questions of several parts.

What the graph holds is an answer, whether a reasoner sees it or not, and all of it is found; what a reasoner predicts
comes after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.asking.answers import Answer, Answers, Step
from cortigraph.reasoning.asking.conjunction import Conjunction
from cortigraph.reasoning.asking.inquiry import Inquiry
from cortigraph.reasoning.asking.join import Join, Link
from cortigraph.reasoning.asking.mind import Mind, Sight
from cortigraph.reasoning.asking.pattern import Branch, Clause, asked_for, parse_pattern, tree
from cortigraph.reasoning.reasoners.rank import best
from cortigraph.reasoning.reasoners.structure import Rows

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
        reasoner: Name, key, hash or file; else the one that was trained last of those that know the relation.
        graph: What part of the graph; else all of it for what is known, and for predictions what the reasoner was
            trained on.
        beam: In a question of several parts: from how many entities facts are predicted for a variable in between.
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

    @classmethod
    def of(cls, head: str, relation: str | None, tail: str | None, wanted: Mapping[str, Any]) -> Question:
        """A question, and what of an answer is wanted, by name.

        Args:
            head: As above.
            relation: As above.
            tail: As above.
            wanted: Other fields.

        Raises:
            UnknownKeyError: There is no such field.
            InputError: A value has another type or range.
        """
        known = [each.name for each in fields(cls) if each.name not in ("head", "relation", "tail")]
        for name in wanted:
            if name not in known:
                raise UnknownKeyError("setting", name, known, where="of a question")
        return cls(head, relation, tail, **wanted)

    def __post_init__(self) -> None:
        texts = ((name, getattr(self, name)) for name in ("head", "relation", "tail", "reasoner", "graph"))
        problems = [
            f"{name} must be text, got {value!r}"
            for name, value in texts
            if not isinstance(value, str) and (value is not None or name == "head")
        ]
        problems += [
            f"{name} must be a whole number, at least {least}, got {value!r}"
            for name, value, least in self._counts()
            if not isinstance(value, int) or value < least
        ]
        if self.known not in (None, True, False):
            problems.append(f"known must be True, False or None, got {self.known!r}")
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
        The best answers, those that the graph holds before those predicted, with the paths that carried them.

    Raises:
        UnknownKeyError: An entity, a relation or a reasoner is not there; names those nearest.
        AmbiguousKeyError: Words that may mean several.
        InputError: The question has another form, or the reasoner asked for does not know what it is about.
    """
    return _one(mind, question) if question.relation is not None else _several(mind, question)


def _inquiry(mind: Mind, question: Question, relations: Sequence[str]) -> Inquiry:
    wanted = {name: getattr(question, name) for name in ("known", "reasoner", "graph")}
    return Inquiry(mind, relations, **wanted, paths=question.paths > 0)


def _one(mind: Mind, question: Question) -> Answers:
    assert question.relation is not None
    inquiry = _inquiry(mind, question, [question.relation])
    knowledge, facts = inquiry.knowledge, inquiry.knowledge.facts
    count = len(facts.relations)
    row = inquiry.entity(question.tail if question.tail is not None else question.head)
    relation = inquiry.relation(question.relation)
    if question.tail is not None:
        relation = (relation + count) % (2 * count)
    asked = (str(facts.entities[row]), facts.named(relation))
    if question.known is False and inquiry.carriers.carrier(row, relation) is None:
        raise InputError(inquiry.notes)

    def answer(place: int, score: float | None, probability: float, held: bool) -> Answer:
        paths = inquiry.carriers.told(row, relation, place, question.paths, known=held)
        key, name = str(facts.entities[place]), knowledge.called(place)
        score = None if score is None else round(score, 6)
        return Answer(key, name, score, probability, held, paths, asked=asked, reasoner=inquiry.name)

    known = knowledge.known.of(np.array([[row, relation]]))[1]
    scored, likely = _judged(inquiry, row, relation, known, question)
    held = sorted(known.tolist(), key=lambda place: (-scored.get(place, -np.inf), place))
    told = held[: question.top] if question.known is not False else []
    answers = [answer(place, scored.get(place), 1.0, True) for place in told]
    answers += [answer(*each, held=False) for each in likely[: question.top - len(told)]]
    name = facts.relations[relation % count]
    words = f"{asked[0]} -{name}-> ?" if relation < count else f"? -{name}-> {asked[0]}"
    return _answers(inquiry, question, words, answers, len(held))


def _judged(
    inquiry: Inquiry, row: int, relation: int, known: Rows, question: Question
) -> tuple[dict[int, float], list[tuple[int, float, float]]]:
    """What a reasoner says: scores of what is known, and row, score and probability of what it predicts."""
    carrier, sight = inquiry.carriers.carrier(row, relation), inquiry.sight
    if carrier is None or sight is None:
        return {}, []
    there = sight.places[known] >= 0
    places = sight.places[known[there]]
    scored = dict(zip(known[there].tolist(), carrier.scores[places].tolist(), strict=True))
    probabilities = sight.thought.calibration.probabilities(carrier.scores, places)
    likely = best(probabilities, carrier.scores, places, question.top, False)
    likely = likely[sight.rows[likely] >= 0]
    columns = (sight.rows[likely], carrier.scores[likely], probabilities[likely])
    return scored, list(zip(*(column.tolist() for column in columns), strict=True))


def _several(mind: Mind, question: Question) -> Answers:
    clauses = parse_pattern(question.head)
    branches, why_not = _shape(clauses)
    if why_not and question.known is False:
        raise InputError(why_not)
    asked = replace(question, known=True) if why_not else question  # no reasoner is needed for what is known
    inquiry = _inquiry(mind, asked, [clause.relation for clause in clauses])
    if why_not and question.known is None:
        inquiry.unpredicted(why_not)
    links = {clause: _link(inquiry, clause) for clause in clauses}
    sought = asked_for(clauses)
    join = Join(inquiry.knowledge.facts, list(links.values()), sought)
    # Where nothing is predicted, none but those that are told need be found, and whether there are more.
    held = join.rows(None if branches else question.top + 1)
    answers = []
    for row in held[: question.top].tolist() if question.known is not False else ():
        values = join.values(row)
        bound = (_bound(inquiry, link, values, sought) for link in links.values())
        steps = tuple(inquiry.carriers.step(link, 1.0, True, question.paths) for link in bound)
        answers.append(_joined(inquiry, row, 1.0, True, steps))
    if branches and inquiry.sight is not None and len(answers) < question.top:
        answers += _guessed(inquiry, inquiry.sight, question, branches, links, held, question.top - len(answers))
    return _answers(inquiry, question, " AND ".join(map(str, clauses)), answers, len(held), counted=bool(branches))


def _shape(clauses: Sequence[Clause]) -> tuple[tuple[Branch, ...], str]:
    """The tree along which to predict; none, and why, where it is another form of question."""
    try:
        return tree(clauses)[1], ""
    except InputError as error:
        return (), str(error)


def _guessed(
    inquiry: Inquiry,
    sight: Sight,
    question: Question,
    branches: Sequence[Branch],
    links: Mapping[Clause, Link],
    held: Rows,
    top: int,
) -> list[Answer]:
    """What a reasoner predicts of a question of several parts, besides what the graph holds."""
    conditions = [links[clause] for clause in links if not clause.variables]
    found = Conjunction(sight, branches, lambda branch: links[branch.clause], conditions, beam=question.beam)
    likely = found.best(held, top)
    if cut := found.cut(held, likely, top):
        inquiry.cut(
            f"facts were predicted from the {question.beam} likeliest entities for a variable in between alone, "
            f"{cut:,} more were not followed; --beam (beam=) follows more"
        )
    return [
        _joined(inquiry, row, float(found.truth[row]), False, found.steps(row, inquiry.carriers, question.paths))
        for row in likely.tolist()
    ]


def _link(inquiry: Inquiry, clause: Clause) -> Link:
    start, end = (text if text.startswith("?") else inquiry.entity(text) for text in (clause.subject, clause.object))
    return Link(start, inquiry.relation(clause.relation), end)


def _bound(inquiry: Inquiry, link: Link, values: Mapping[str, int], asked: str) -> Link:
    """A clause with values for its variables, asked from what was given to what was sought."""
    count = len(inquiry.knowledge.facts.relations)
    start, end = (values[each] if isinstance(each, str) else each for each in (link.start, link.end))
    if link.start == asked or isinstance(link.end, int):
        return Link(end, (link.relation + count) % (2 * count), start)
    return Link(start, link.relation, end)


def _joined(inquiry: Inquiry, row: int, truth: float, known: bool, steps: tuple[Step, ...]) -> Answer:
    key, name = str(inquiry.knowledge.facts.entities[row]), inquiry.knowledge.called(row)
    return Answer(key, name, truth, truth, known, steps=steps, reasoner=inquiry.name)


def _answers(
    inquiry: Inquiry, question: Question, words: str, answers: list[Answer], held: int, *, counted: bool = True
) -> Answers:
    """All answers; of those that the graph holds, `held` were found, if they were counted to the last."""
    told = sum(answer.known for answer in answers)
    if question.known is not False and told < held:
        more = f"{held - told:,} more" if counted else "more"
        inquiry.cut(f"{more} answers are known; a larger --top (top=) tells them")
    return Answers(
        question=words,
        reasoner=inquiry.name,
        graph_version=inquiry.knowledge.version,
        answers=tuple(answers),
        paths_by=inquiry.paths_by,
        notes=inquiry.told(),
        complete=inquiry.complete,
    )
