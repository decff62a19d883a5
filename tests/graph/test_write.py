from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import REGION_DIMENSION, Label, RelType
from cortigraph.graph.transaction import Transaction, Written
from cortigraph.graph.write import Counts, WriteMismatchError, merge_edges, merge_nodes


def test_twice_is_once(clean_store):
    rows = [{"key": f"a{i}", "name": f"area {i}"} for i in range(25)]
    assert merge_nodes(clean_store, Label.AREA, rows, batch_size=10) == Counts(25, 25, 0)
    before = clean_store.read("MATCH (n:Area) RETURN properties(n) AS p ORDER BY n.key")
    assert merge_nodes(clean_store, Label.AREA, rows, batch_size=10) == Counts(25, 0, 25)
    assert clean_store.read("MATCH (n:Area) RETURN properties(n) AS p ORDER BY n.key") == before


def test_properties_are_added_replaced_and_removed(clean_store):
    merge_nodes(clean_store, Label.AREA, [{"key": "a", "kept": 1, "changed": 1, "removed": 1}])
    merge_nodes(clean_store, Label.AREA, [{"key": "a", "changed": 2, "removed": None, "added": True}])
    rows = clean_store.read("MATCH (n:Area) RETURN properties(n) AS p")
    assert rows == [{"p": {"key": "a", "kept": 1, "changed": 2, "added": True}}]


def test_every_storable_value_comes_back(clean_store):
    values = {
        "text": "ünï",
        "truth": True,
        "whole": -(2**63),
        "real": 0.1,
        "raw": b"\x00\x01",
        "list": ["a", "b"],
        "array": np.arange(3, dtype=np.float32),
        "number": np.int64(7),
        "mixed": [1, 2.5],
        "empty": [],
    }
    merge_nodes(clean_store, Label.AREA, [{"key": "a", "on": datetime.date(2026, 9, 1), **values}])
    got = clean_store.read("MATCH (n:Area) RETURN properties(n) AS p")[0]["p"]
    assert got.pop("on").to_native() == datetime.date(2026, 9, 1)
    expected = values | {"array": [0.0, 1.0, 2.0], "number": 7, "mixed": [1.0, 2.5], "key": "a"}
    assert {name: bytes(v) if isinstance(v, bytearray) else v for name, v in got.items()} == expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "'key' must be text"),
        ({"key": ""}, "'key' must be text"),
        ({"key": 7}, "'key' must be text"),
        ({"key": "a", "x": math.nan}, "'x' is NaN"),
        ({"key": "a", "x": [1.0, math.nan]}, "'x' holds NaN"),
        ({"key": "a", "x": {"y": 1}}, "JSON text"),
        ({"key": "a", "x": [1, "b"]}, "one kind"),
        ({"key": "a", "x": [None]}, "one kind"),
        ({"key": "a", "x": [[1]]}, "one kind"),
        ({"key": "a", "x": 2**63}, "64 bits"),
        ({"key": "a", "x": [2**63]}, "64 bits"),
        ({"key": "a", "": 1}, "name must be text"),
        ({"key": "a", "x": object()}, "is a object"),
    ],
)
def test_what_can_not_be_stored_is_refused_before_anything_is_sent(row, said):
    with pytest.raises(InputError, match=said) as caught:
        merge_nodes(Lying(0), Label.AREA, [{"key": "fine"}, row])
    assert "row 2" in str(caught.value)


def test_all_problems_are_listed_at_once():
    with pytest.raises(InputError) as caught:
        merge_nodes(Lying(0), Label.AREA, [{"key": "a", "x": math.nan, "y": {}}, {"key": ""}])
    assert len(caught.value.problems) == 3


def test_a_vector_of_the_wrong_length_names_both_numbers():
    with pytest.raises(InputError, match=rf"row 1: the embedding has 3 numbers, the index needs {REGION_DIMENSION}"):
        merge_nodes(Lying(0), Label.REGION, [{"key": "r", "embedding": [1.0, 2.0, 3.0]}])


def test_an_exact_double_is_harmless_and_a_contradiction_is_not(clean_store):
    assert merge_nodes(clean_store, Label.AREA, [{"key": "a", "x": 1}] * 2) == Counts(2, 1, 0)
    with pytest.raises(InputError, match="rows 1 and 2 say different things about 'a'"):
        merge_nodes(clean_store, Label.AREA, [{"key": "a", "x": 1}, {"key": "a", "x": True}])


def test_edges_twice_is_once(clean_store):
    merge_nodes(clean_store, Label.ENTITY, [{"key": f"e{i}"} for i in range(20)])
    rows = [{"start": f"e{i}", "end": f"e{(i + 1) % 20}", "score": i / 3} for i in range(20)]
    assert merge_edges(clean_store, "part of", Label.ENTITY, Label.ENTITY, rows, batch_size=6) == Counts(20, 20, 0)
    assert merge_edges(clean_store, "part of", Label.ENTITY, Label.ENTITY, rows, batch_size=6) == Counts(20, 0, 20)
    assert clean_store.read("MATCH ()-[r:`part of`]->() RETURN count(r) AS n") == [{"n": 20}]


def test_a_missing_end_is_named_and_its_batch_rolled_back(clean_store):
    merge_nodes(clean_store, Label.AREA, [{"key": "a"}])
    merge_nodes(clean_store, Label.REGION, [{"key": f"r{i}"} for i in range(3)])
    rows = [{"start": "a", "end": "r0"}, {"start": "a", "end": "r1"}, {"start": "a", "end": "lost"}]
    with pytest.raises(WriteMismatchError, match=r"row 3: no Region 'lost'") as caught:
        merge_edges(clean_store, RelType.HAS_REGION, Label.AREA, Label.REGION, rows)
    assert caught.value.rows == (rows[2],)
    assert clean_store.read("MATCH ()-[r]->() RETURN count(r) AS n") == [{"n": 0}]


def test_rows_are_numbered_over_all_batches(clean_store):
    merge_nodes(clean_store, Label.ENTITY, [{"key": "e"}])
    rows = [{"start": "e", "end": "e", "key": str(i)} for i in range(3)] + [{"start": "lost", "end": "e", "key": "x"}]
    with pytest.raises(WriteMismatchError, match=r"row 4: no Entity 'lost'") as caught:
        merge_edges(clean_store, "knows", Label.ENTITY, Label.ENTITY, rows, batch_size=2)
    assert caught.value.rows == (rows[3],)


def test_a_key_tells_parallel_edges_apart(clean_store):
    merge_nodes(clean_store, Label.ENTITY, [{"key": "a"}, {"key": "b"}])
    rows = [{"start": "a", "end": "b", "key": str(i), "slot": i} for i in range(2)]
    for _ in range(2):
        merge_edges(clean_store, RelType.USES, Label.ENTITY, Label.ENTITY, rows)
    assert clean_store.read("MATCH ()-[r:USES]->() RETURN r.slot AS slot ORDER BY slot") == [{"slot": 0}, {"slot": 1}]
    with pytest.raises(WriteMismatchError, match=r"row 1: 'a' → 'b' has 2; give each a key"):
        merge_edges(clean_store, RelType.USES, Label.ENTITY, Label.ENTITY, [{"start": "a", "end": "b"}])


def test_in_a_transaction_all_batches_belong_together(clean_store):
    def work(transaction):
        merge_nodes(transaction, Label.ENTITY, [{"key": "a"}, {"key": "b"}], batch_size=1)
        merge_edges(transaction, "knows", Label.ENTITY, Label.ENTITY, [{"start": "a", "end": "lost"}])

    with pytest.raises(WriteMismatchError):
        clean_store.execute(work)
    assert clean_store.read("MATCH (n:Entity) RETURN count(n) AS n") == [{"n": 0}]


def test_names_of_types_can_not_inject(clean_store):
    evil = "x` {key: 'y'}) DETACH DELETE n //"
    merge_nodes(clean_store, Label.ENTITY, [{"key": "a"}])
    merge_nodes(clean_store, evil, [{"key": "b"}])
    merge_edges(clean_store, evil, Label.ENTITY, evil, [{"start": "a", "end": "b"}])
    assert clean_store.read("MATCH (n) WHERE NOT n:Migration RETURN count(n) AS n") == [{"n": 2}]
    assert clean_store.read("MATCH ()-[r]->() RETURN type(r) AS t") == [{"t": evil}]


def test_nothing_to_write_writes_nothing():
    assert merge_nodes(Lying(0), Label.AREA, []) == Counts()
    assert merge_edges(Lying(0), "x", Label.AREA, Label.AREA, []) == Counts()


class Lying(Transaction):
    """A server that reports a count of its own."""

    def __init__(self, matched: int) -> None:
        self._matched = matched

    def write(self, query, /, **parameters):
        return Written([{"matched": self._matched}], {})

    def read(self, query, /, **parameters):
        return []


def test_a_server_that_reports_another_count_is_not_believed():
    with pytest.raises(WriteMismatchError, match=r"sent 2 Area nodes, the server reports 1.*\n  key 'a'\n  key 'b'"):
        merge_nodes(Lying(1), Label.AREA, [{"key": "a"}, {"key": "b"}])
    with pytest.raises(WriteMismatchError, match="sent 1 knows relationships, the server reports 2"):
        merge_edges(Lying(2), "knows", Label.ENTITY, Label.ENTITY, [{"start": "a", "end": "b"}])


SCALARS = st.one_of(
    st.text(max_size=20),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=9),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1, max_size=9).filter(lambda name: "\x00" not in name), SCALARS, max_size=4))
def test_whatever_passes_the_check_is_stored_as_it_is(store, properties):
    properties.pop("key", None)
    try:
        merge_nodes(store, "Probe", [{"key": "p", **properties}])
        got = store.read("MATCH (n:Probe {key: 'p'}) RETURN properties(n) AS p")[0]["p"]
    finally:
        store.write("MATCH (n:Probe) DELETE n")
    got = {name: bytes(v) if isinstance(v, bytearray) else v for name, v in got.items()}
    assert got == {"key": "p", **properties}
