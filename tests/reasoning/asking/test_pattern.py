"""Questions of several parts: what is read, and what is wrong with others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert tree(parse_pattern("a r b AND ?x treats disease:1")) == ("?x", (first,))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("?x treats", "clauses"),
        ("?x treats sore throat", "quotes"),
        ("a treats b", "nothing is sought"),
        ("?x ?r b", "relation can't be sought"),
        ("?x treats ?y", "leads to nothing that is named"),
        ("?x r a AND ?y r b", "does not hang together"),
        ("a r b AND c r d", "nothing is sought"),
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


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ('types="lives in","born in"', ("born in", "lives in")),
        ("types='lives in',born labels=A", ("born", "lives in")),
        (r"labels=A types=lives\ in", ("lives in",)),
        ('types="a,b"', ("a,b",)),
        (r'types="say \"so\"",a\b', ("a\\b", 'say "so"')),
        ("types=it's,a,,b types=c", ("a", "b", "c", "it's")),
    ],
)
def test_names_with_blanks_and_quotes_can_be_given(text, types):
    assert Selection.parse(text).types == types


@pytest.mark.parametrize("text", ["types=lives in", 'types="lives in', 'types="a"b', 'types=""', "a"])
def test_another_form_is_told_with_the_right_one(text):
    with pytest.raises(InputError, match='types=x,"lives in"'):
        Selection.parse(text)


names = st.sets(st.text(min_size=1), min_size=1).map(lambda found: tuple(sorted(found)))


@given(st.none() | names, st.none() | names)
def test_what_is_written_of_a_selection_is_read_as_it(labels, types):
    selection = Selection(labels, types)
    assert Selection.parse(str(selection)) == selection
