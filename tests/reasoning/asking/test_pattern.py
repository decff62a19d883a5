"""Questions of several parts: what is read, and what is wrong with others."""

from __future__ import annotations

import pytest

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.asking.pattern import parse_pattern, tree
from cortigraph.reasoning.asking.selection import Selection


def test_a_question_becomes_a_tree_away_from_what_is_asked_for():
    asked, branches = tree(parse_pattern('?x treats disease:1 AND ?y "made of" ?x AND ?y causes "sore throat"'))
    assert asked == "?x"
    first, second = branches
    assert (first.beyond, first.backwards) == ("disease:1", True)
    assert (second.beyond, second.backwards) == ("?y", False)
    assert [(branch.beyond, branch.backwards) for branch in second.branches] == [("sore throat", True)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("?x treats", "clauses"),
        ("?x treats sore throat", "quotes"),
        ("a treats b", "nothing is sought"),
        ("?x ?r b", "relation can't be sought"),
        ("?x treats ?y", "leads to nothing that is named"),
        ("?x r a AND ?y r b", "does not hang together"),
        ("?x r ?y AND ?y r ?z AND ?z r ?x AND ?z r a", "circle"),
        ("?x r ?x", "circle"),
    ],
)
def test_what_is_wrong_is_said(text, told):
    with pytest.raises(InputError, match=told):
        tree(parse_pattern(text))


def test_selections():
    assert str(Selection.parse("types=b,a labels=Entity")) == "labels=Entity types=a,b"
    assert str(Selection.parse("all")) == "all"
    with pytest.raises(InputError, match="2 problems"):
        Selection.parse("label=Entity types=")
