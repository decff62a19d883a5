"""Patterns: questions of several parts in a small written form.

    ?x treats disease:1 AND ?x interacts_with ?y AND ?y causes "sore throat"

Clauses are `subject relation object`, joined by AND. What begins with `?` is sought; all else is a key, a name or, in
quotes, words. The first variable is what is asked for; a clause without any is a condition.

What the graph holds answers any such question. To predict, the parts must hang together as a tree whose ends are given:
each other variable leads, clause by clause, away from the one that is asked for, and ends in something named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cortigraph.graph.errors import InputError

__all__ = ["Branch", "Clause", "asked_for", "parse_pattern", "tree"]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\S+)')
_FORM = "a question is clauses `subject relation object` joined by AND, such as `?x treats disease:1 AND ?x causes ?y`"


@dataclass(frozen=True)
class Clause:
    """One part.

    Args:
        subject: A variable with its `?`, or a text.
        relation: A text.
        object: A variable with its `?`, or a text.
    """

    subject: str
    relation: str
    object: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Those that it names."""
        return tuple(end for end in (self.subject, self.object) if end.startswith("?"))

    def __str__(self) -> str:
        return f"{self.subject} {self.relation} {self.object}"


@dataclass(frozen=True)
class Branch:
    """What leads to a variable.

    Args:
        clause: It joins the variable to what lies beyond.
        backwards: Whether the variable is the clause's subject, so that its relation is asked the other way round.
        beyond: Name of the variable, or text of the entity, at the other end.
        branches: What leads to that variable; none for an entity.
    """

    clause: Clause
    backwards: bool
    beyond: str
    branches: tuple[Branch, ...] = ()


def parse_pattern(text: str) -> list[Clause]:
    """Reads the written form.

    Args:
        text: Clauses joined by AND.

    Raises:
        InputError: It has another form; all that is wrong is told.

    Example:
        >>> [str(clause) for clause in parse_pattern('?x treats disease:1 AND ?x "interacts with" ?y')]
        ['?x treats disease:1', '?x interacts with ?y']
    """
    parts: list[list[str]] = [[]]
    for token in _TOKEN.findall(text):
        if token == "AND":
            parts.append([])
        else:
            quoted = len(token) > 1 and token.startswith('"') and token.endswith('"')
            parts[-1].append(re.sub(r"\\(.)", r"\1", token[1:-1]) if quoted else token)
    problems = [
        f"{_FORM}; got {' '.join(part)!r} with {len(part)} parts"
        + (", use quotes around words" if len(part) > 3 else "")
        for part in parts
        if len(part) != 3
    ]
    clauses = [Clause(*part) for part in parts if len(part) == 3]
    problems += [f"a relation can't be sought: {clause}" for clause in clauses if clause.relation.startswith("?")]
    if clauses and not any(clause.variables for clause in clauses):
        problems.append(f"nothing is sought in {text.strip()!r}; {_FORM}")
    if problems:
        raise InputError(problems)
    return clauses


def asked_for(clauses: Sequence[Clause]) -> str:
    """The variable that is asked for: the first.

    Args:
        clauses: With a variable among them.
    """
    return next(variable for clause in clauses for variable in clause.variables)


def tree(clauses: Sequence[Clause]) -> tuple[str, tuple[Branch, ...]]:
    """The variable that is asked for, and what leads to it; conditions, which name no variable, are no part of it.

    Args:
        clauses: With a variable among them.

    Raises:
        InputError: They go in a circle, don't hang together, or end in nothing that is named.
    """
    asked = asked_for(clauses)
    left = [clause for clause in clauses if clause.variables]
    branches = _branches(asked, left, frozenset({asked}))
    if left:
        told = " AND ".join(map(str, left))
        raise InputError(f"what is asked for, {asked}, does not hang together with: {told}")
    return asked, branches


def _branches(variable: str, left: list[Clause], above: frozenset[str]) -> tuple[Branch, ...]:
    found = []
    for clause in [each for each in left if variable in each.variables]:
        if clause not in left:
            raise InputError(f"{clause} goes in a circle; predictions are made for trees alone")
        left.remove(clause)
        backwards = clause.subject == variable
        beyond = clause.object if backwards else clause.subject
        if beyond in above:
            raise InputError(f"{clause} goes in a circle; predictions are made for trees alone")
        below: tuple[Branch, ...] = ()
        if beyond.startswith("?"):
            below = _branches(beyond, left, above | {beyond})
            if not below:
                raise InputError(f"{beyond} in {str(clause)!r} leads to nothing that is named; add a clause about it")
            above |= _within(below)
        found.append(Branch(clause, backwards, beyond, below))
    return tuple(found)


def _within(branches: Sequence[Branch]) -> frozenset[str]:
    own = {branch.beyond for branch in branches if branch.beyond.startswith("?")}
    return frozenset(own).union(*(_within(branch.branches) for branch in branches))
