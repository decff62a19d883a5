"""Questions of several parts over known facts: the same answers as trying everything, whatever their form."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cortigraph.reasoning.asking.join import Join, Link
from cortigraph.reasoning.reasoners.facts import Facts, entity_keys
from tests.reasoning.reasoners.made import table

NODES, RELATIONS = 6, 2
_KEYS = [f"e{number}" for number in range(NODES)]
_NAMES = entity_keys([table(*((key, "r", key) for key in _KEYS))])

triples = st.sets(st.tuples(st.integers(0, NODES - 1), st.integers(0, RELATIONS - 1), st.integers(0, NODES - 1)))
ends = st.one_of(st.sampled_from(["u", "v", "w", "x", "y"]), st.integers(0, NODES - 1))
links = st.lists(st.builds(Link, ends, st.integers(0, 2 * RELATIONS - 1), ends), min_size=1, max_size=6)


def _holds(facts: set[tuple[int, int, int]], link: Link, values: dict[str, int]) -> bool:
    start, end = (values[each] if isinstance(each, str) else each for each in (link.start, link.end))
    turned = link.relation >= RELATIONS
    return ((end, link.relation - RELATIONS, start) if turned else (start, link.relation, end)) in facts


def _tried(facts: set[tuple[int, int, int]], links: list[Link], names: list[str]) -> list[dict[str, int]]:
    every = (dict(zip(names, values, strict=True)) for values in product(range(NODES), repeat=len(names)))
    return [values for values in every if all(_holds(facts, link, values) for link in links)]


@settings(max_examples=150, deadline=None)
@given(triples, links)
def test_a_join_gives_what_trying_everything_gives(told, links):
    names = sorted({end for link in links for end in (link.start, link.end) if isinstance(end, str)})
    if not names:
        return
    facts = Facts(_NAMES, ("r", "s"), np.array(sorted(told), dtype=np.int64).reshape(-1, 3))
    whole = _tried(told, links, names)
    for asked in names:
        join = Join(facts, links, asked)
        answers = sorted({values[asked] for values in whole})
        assert join.rows().tolist() == answers
        assert join.rows(2).tolist() == answers[:2]
        assert all(join.values(row) in whole for row in answers)


def test_hubs_are_joined_as_sets():
    """A million pairs lead through a hub; none of them is made."""
    count = 1000
    heads = [[number, 0, count] for number in range(count)]
    tails = [[count, 1, count + 1 + number] for number in range(count)]
    keys = entity_keys([table(*((f"e{number:05}", "r", "e00000") for number in range(2 * count + 1)))])
    facts = Facts(keys, ("r", "s"), np.array(heads + tails))
    join = Join(facts, [Link("x", 0, "u"), Link("u", 1, "y")], "x")
    assert len(join.rows()) == count
    assert join.values(7) == {"x": 7, "u": count, "y": count + 1}
