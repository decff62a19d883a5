from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortigraph.graph import cypher, definitions
from cortigraph.graph.cypher import quote
from cortigraph.graph.errors import InputError

NASTY = [
    "a`b",
    "a``b",
    "`) DETACH DELETE n //",
    "\\u0060) DETACH DELETE n //",
    "\\U0060",
    "\\uu0060x",
    "\\\\u0060x",
    "x\\",
    "\\u005cu0060) DETACH DELETE n //",
    "\\u005c`) DETACH DELETE n //",
    "weiß nicht 猫",
    "a b-c.d/e",
    "$param",
]


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "x" * 1001, None, 7])
def test_what_can_be_no_name_is_refused(name):
    with pytest.raises(InputError, match="label or relationship type"):
        quote(name)


@given(st.text(min_size=1, max_size=60))
def test_nothing_gets_out_of_the_quotes(name):
    try:
        quoted = quote(name)
    except InputError:
        return
    inner = quoted[1:-1]
    assert quoted[0] == quoted[-1] == "`"
    assert "`" not in inner.replace("``", "")
    assert not re.search(r"\\u+0060", inner, re.IGNORECASE)


@given(st.lists(st.sampled_from(["`", "\\", "u", "0060", "U", "\\u0060", "x", "\\u005c"]), min_size=1, max_size=12))
def test_nothing_gets_out_of_the_quotes_however_escapes_are_stacked(parts):
    inner = quote("".join(parts))[1:-1]
    assert not re.search(r"\\u+0060", inner, re.IGNORECASE)
    assert "`" not in inner.replace("``", "")


@pytest.mark.parametrize("name", NASTY)
def test_the_server_takes_a_nasty_label_as_one_label(clean_store, name):
    clean_store.write("CREATE (:Area {key: 'witness'})")
    clean_store.write(f"CREATE (n:{quote(name)} {{key: 'x'}})")
    rows = clean_store.read("MATCH (n {key: 'x'}) RETURN labels(n) AS labels")
    assert len(rows) == 1
    assert len(rows[0]["labels"]) == 1
    assert clean_store.read("MATCH (n:Area) RETURN count(n) AS n") == [{"n": 1}]


def test_every_query_that_is_built_quotes_its_names():
    name = "x`) DETACH DELETE n //"
    built = [
        definitions.unique_key(name),
        definitions.vector_index(name, 3),
        definitions.text_index(name, [name], [name]),
        cypher.merge_nodes(name),
        cypher.merge_edges(name, name, name, keyed=True),
        cypher.missing_ends(name, name),
        cypher.parallel_edges(name, name, name),
        cypher.collected("RETURN 1 AS x", [name]),
    ]
    assert not [text for text in built if "x`)" in text.replace("x``)", "")]
