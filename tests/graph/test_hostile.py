"""Hostile values and names: they come back as they went in, or are refused by row; nothing of them is executed."""

from __future__ import annotations

import itertools
import math
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph import cypher
from cortigraph.graph._values import LONGEST_KEY, checked_rows, same
from cortigraph.graph.errors import InputError
from cortigraph.graph.schema import REGION_DIMENSION, TEXT_DIMENSION, Label, RelType
from cortigraph.graph.write import Counts, merge_edges, merge_nodes

PIECES = [
    "'", '"', "`", "``", "\\", "\\\\", "\\u0060", "\\uu0060", "\\U0060", "\\u005cu0060", "\\users", "$key", "{",
    "}", "//", "/*", "*/", ";", "\n", "\r\n", "\t", "\x01", "\x7f", "\x85", "\u2028", "\u202e", "\u200b",
    "\ufeff", "e\u0301", "é", "日本", "😀", "👩\u200d👧", "`) DETACH DELETE n //", "'}) MATCH (n) DETACH DELETE n //",
    "DROP CONSTRAINT Area_key", " ", "a",
]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)
NAMES = TEXTS.filter(lambda text: "\x00" not in text and bool(text.strip()))
VALUES = st.one_of(
    TEXTS,
    st.just(""),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
    st.lists(TEXTS, max_size=3),
    st.lists(st.floats(allow_nan=False), max_size=3),
)
ON_A_SERVER = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
CANARY = "MERGE (n:Area {key: 'canary'}) SET n.name = 'sings'"
UNHARMED = """
OPTIONAL MATCH (n:Area {key: 'canary'}) RETURN n.name AS name,
COUNT { (:Migration) } AS migrations"""


@pytest.fixture
def guarded(clean_store):
    """A store with something to lose: a node, its constraint, the record of the schema."""

    def state():
        constraints = clean_store.read("SHOW CONSTRAINTS YIELD name RETURN name ORDER BY name")
        return clean_store.read(UNHARMED), constraints

    clean_store.write(CANARY)
    before = state()
    yield clean_store
    assert state() == before


def exact(value):
    """A value with all that tells it from another: its type, and the bits of a number."""
    if isinstance(value, float):
        return "float", struct.pack(">d", value)
    if isinstance(value, list):
        return "list", [exact(one) for one in value]
    return ("bytes", bytes(value)) if isinstance(value, bytes | bytearray) else (type(value).__name__, value)


@ON_A_SERVER
@given(keys=st.lists(TEXTS, min_size=1, max_size=5, unique=True), names=st.lists(NAMES, max_size=3), data=st.data())
def test_nodes_come_back_as_they_went_in(guarded, keys, names, data):
    rows = [{"key": key, **{name: data.draw(VALUES) for name in names if name != "key"}} for key in keys]
    guarded.write("MATCH (n:Task) DETACH DELETE n")
    assert merge_nodes(guarded, Label.TASK, rows) == Counts(len(rows), len(rows), 0)
    assert merge_nodes(guarded, Label.TASK, rows) == Counts(len(rows), 0, len(rows))
    got = {row["p"]["key"]: row["p"] for row in guarded.read("MATCH (n:Task) RETURN properties(n) AS p")}
    assert {key: {n: exact(v) for n, v in row.items()} for key, row in got.items()} == {
        row["key"]: {n: exact(v) for n, v in row.items()} for row in rows
    }
    assert guarded.read("MATCH (n:Task {key: $key}) RETURN count(n) AS n", key=keys[0]) == [{"n": 1}]


@ON_A_SERVER
@given(label=NAMES, rel_type=NAMES, name=NAMES, key=TEXTS, text=TEXTS)
def test_labels_types_and_property_names_come_back_as_they_went_in(guarded, label, rel_type, name, key, text):
    if label in set(Label) or name in ("key", "start", "end"):
        return
    try:
        merge_nodes(guarded, label, [{"key": key, name: text}])
        merge_edges(guarded, rel_type, label, label, [{"start": key, "end": key, name: text}])
        found = guarded.read(
            f"MATCH (a:{cypher.quote(label)})-[r:{cypher.quote(rel_type)}]->(a) "
            "RETURN labels(a) AS labels, type(r) AS type, keys(r) AS names, "
            f"r.{cypher.quote(name)} AS text, a.key AS key"
        )
        assert found == [{"labels": [label], "type": rel_type, "names": [name], "text": text, "key": key}]
    finally:
        guarded.write("MATCH (n) WHERE none(l IN labels(n) WHERE l IN $known) DETACH DELETE n", known=list(Label))


@given(name=TEXTS, label=NAMES)
@ON_A_SERVER
def test_columns_may_have_any_name(guarded, name, label):
    if not name.strip() or "\x00" in name:
        return
    assert guarded.columns(f"RETURN 1 AS {cypher.quote(name)}") == {name: [1]}
    # A label that is a value is never read as Cypher at all.
    guarded.write("CREATE (n:$($label) {key: 'x'}) WITH n DELETE n", label=label)


def test_keys_that_look_alike_stay_apart(guarded):
    keys = [
        "a",
        "A",
        "a ",
        " a",
        " ",
        "\u00e9",
        "e\u0301",
        "\u00a0",
        "\u200b",
        "a\u200b",
        "ﬀ",
        "ff",
        "\x00",
        "a\x00",
        "ß",
        "ss",
        "\t",
    ]
    keys += ["Å", "Å", "1", "１", "\ud7ff", "\ufffd"]
    assert merge_nodes(guarded, Label.TASK, [{"key": key} for key in keys]).created == len(set(keys))
    assert {row["key"] for row in guarded.read("MATCH (n:Task) RETURN n.key AS key")} == set(keys)
    rows = [{"start": start, "end": end} for start, end in itertools.pairwise(keys)]
    assert merge_edges(guarded, RelType.FOR_TASK, Label.TASK, Label.TASK, rows).created == len(rows)
    found = guarded.read("MATCH (a:Task)-[:FOR_TASK]->(b:Task) RETURN a.key AS start, b.key AS end")
    assert sorted(found, key=str) == sorted(rows, key=str)


@pytest.mark.parametrize(
    "value", [5e-324, -5e-324, -0.0, 0.0, math.inf, -math.inf, 1.7976931348623157e308, 2**63 - 1, -(2**63)]
)
def test_numbers_at_the_edges_keep_every_bit(guarded, value):
    merge_nodes(guarded, Label.TASK, [{"key": "edge", "x": value, "list": [value, value]}])
    row = guarded.read("MATCH (n:Task {key: 'edge'}) RETURN n.x AS x, n.list AS list")[0]
    assert exact(row["x"]) == exact(value)
    assert exact(row["list"]) == exact([value, value])


@pytest.mark.parametrize("letter", ["k", "é", "猫", "😀"])
def test_the_longest_key_is_known_to_the_byte(guarded, letter):
    count = LONGEST_KEY // len(letter.encode())
    longest = letter * count + "x" * (LONGEST_KEY - count * len(letter.encode()))
    assert merge_nodes(guarded, Label.TASK, [{"key": longest}]).created == 1
    assert guarded.read("MATCH (n:Task {key: $key}) RETURN count(n) AS n", key=longest) == [{"n": 1}]
    rows = [{"key": "short"}, {"key": longest + "x"}]
    with pytest.raises(
        InputError, match=rf"row 2: 'key' may have {LONGEST_KEY} bytes as UTF-8, got {LONGEST_KEY + 1}"
    ) as caught:
        merge_nodes(guarded, Label.TASK, rows)
    assert len(str(caught.value)) < 300
    assert guarded.read("MATCH (n:Task {key: 'short'}) RETURN n") == []


def test_our_limit_is_the_servers(guarded):
    from cortigraph.graph.errors import StoreError

    with pytest.raises(StoreError, match="too large to index"):
        guarded.write("CREATE (:Task {key: $key})", key="k" * (LONGEST_KEY + 1))


def test_a_long_text_and_a_long_list_come_back(guarded):
    text = "`'\"\\ 猫😀" * 200_000
    merge_nodes(guarded, Label.TASK, [{"key": "long", "text": text, "list": [text[:9]] * 10_000}])
    row = guarded.read("MATCH (n:Task {key: 'long'}) RETURN n.text AS text, size(n.list) AS size")[0]
    assert row == {"text": text, "size": 10_000}


HALF = "\ud800"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"key": f"a{HALF}"}, "row 2: 'key' holds half of a surrogate pair"),
        ({"key": "a", "name": HALF}, "row 2: 'name' holds half of a surrogate pair"),
        ({"key": "a", "names": ["b", "\udfff"]}, "row 2: 'names' holds half of a surrogate pair"),
        ({"key": "a", HALF: 1}, "row 2: .*property's name.* holds half of a surrogate pair"),
        ({"key": "a", "": 1}, "row 2: a property's name must be text that is not empty"),
        ({"key": "a", "x\x00": 1}, "row 2: a property's name must be text"),
        ({"key": "a", 7: 1}, "row 2: a property's name must be text"),
        ({"key": "a", "x": 2**63}, "row 2: property 'x' does not fit in 64 bits"),
        ({"key": "a", "x": math.nan}, "row 2: property 'x' is NaN"),
    ],
)
def test_what_can_not_be_stored_is_refused_by_row(row, said):
    class Unused:
        def execute(self, work):
            raise AssertionError("nothing is sent")

    with pytest.raises(InputError, match=said) as caught:
        merge_nodes(Unused(), Label.TASK, [{"key": "fine", "name": "x", "x": 1}, row])
    str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("name", [HALF, f"a{HALF}b"])
def test_half_a_pair_is_no_name(name):
    with pytest.raises(InputError, match="half a surrogate pair") as caught:
        cypher.quote(name)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("label", "name", "dimension"),
    [(Label.REGION, "embedding", REGION_DIMENSION), (Label.REGION, "text_embedding", TEXT_DIMENSION)],
)
@pytest.mark.parametrize("vector", [[1.0], 1.0, "text", True, ["a"]])
def test_a_vector_that_its_index_would_pass_over_is_refused(label, name, dimension, vector):
    with pytest.raises(
        InputError, match=rf"row 1: the {name} (has \d+ numbers, the index needs {dimension}|must hold)"
    ):
        checked_rows(label, [{"key": "r", name: vector}], ("key",))
    with pytest.raises(InputError, match="finite"):
        checked_rows(label, [{"key": "r", name: [math.inf] * dimension}], ("key",))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["key", "a", "b", "ü"]), VALUES | st.none() | st.just(math.nan) | st.just(2**64)
        ),
        max_size=4,
    )
)
def test_looking_at_whole_columns_finds_what_looking_at_each_value_finds(rows):
    """Each row alone against all together: what one refuses, the other refuses, and what is kept is the same."""
    alone, refused = [], []
    for number, row in enumerate(rows, start=1):
        try:
            alone += checked_rows("Task", [row], ("key",))
        except InputError as error:
            refused += [problem.replace("row 1:", f"row {number}:") for problem in error.problems]
    if refused:
        with pytest.raises(InputError) as caught:
            checked_rows("Task", rows, ("key",))
        assert list(caught.value.problems) == refused
    else:
        together = checked_rows("Task", rows, ("key",))
        assert same(together, alone)


def test_zero_and_minus_zero_say_different_things():
    assert not same({"x": 0.0}, {"x": -0.0})
    assert same([-0.0], [-0.0])
