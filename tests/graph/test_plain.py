from __future__ import annotations

import datetime
import decimal
import json
import math
import pathlib
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neo4j import spatial, time
from neo4j.vector import Vector

from cortigraph.graph.plain import json_text

BERLIN = datetime.timezone(datetime.timedelta(hours=2))


def strictly(text: str):
    def refuse(name: str):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (np.float32(1.5), 1.5),
        (np.float64("nan"), "NaN"),
        (np.int64(2**62), 2**62),
        (np.bool_(True), True),
        (np.array([[1.0, math.inf]]), [[1.0, "Infinity"]]),
        (np.datetime64("2026-06-01"), "2026-06-01"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"a"), "YQ=="),
        (datetime.datetime(2026, 6, 1, 12, tzinfo=BERLIN), "2026-06-01T12:00:00+02:00"),
        (datetime.date(2026, 6, 1), "2026-06-01"),
        (datetime.time(12, tzinfo=BERLIN), "12:00:00+02:00"),
        (datetime.timedelta(days=1, seconds=5), "P1DT5S"),
        (datetime.timedelta(seconds=-1.5), "PT-1.5S"),
        (datetime.timedelta(), "PT0S"),
        (time.DateTime(2026, 6, 1, 12, 0, 0, 1, tzinfo=BERLIN), "2026-06-01T12:00:00.000000001+02:00"),
        (time.Date(2026, 6, 1), "2026-06-01"),
        (time.Time(12, 0, 0, tzinfo=BERLIN), "12:00:00.000000000+02:00"),
        (time.Duration(months=14, days=3, seconds=5), "P1Y2M3DT5S"),
        (spatial.WGS84Point((1.0, math.nan)), {"srid": 4326, "coordinates": [1.0, "NaN"]}),
        (Vector([1.0, math.inf], "f32"), [1.0, "Infinity"]),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.Path("/a"), "/a"),
        ({"a": (1, {2: None})}, {"a": [1, {"2": None}]}),
        (2**70, 2**70),
    ],
    ids=repr,
)
def test_whatever_a_store_or_a_library_gives_is_json(value, told):
    assert strictly(json_text([value])) == [told]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.timedeltas(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_any_value_is_one_line_that_a_terminal_does_not_obey(value):
    text = json_text(value)
    strictly(text)
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 or sign in "\u202e\u2066\u2028" for sign in text)


@given(st.text(st.characters(exclude_categories=())))
def test_text_is_kept_exactly(text):
    assert strictly(json_text(text)) == text


def test_nodes_relationships_and_paths(clean_store):
    row = clean_store.write(
        "CREATE p=(a:Area {key: 'a', x: 0.0/0.0})-[r:KNOWS {w: 1.0/0.0}]->(b:Area {key: 'b'}) RETURN a, r, p"
    ).rows[0]
    a = {"labels": ["Area"], "properties": {"key": "a", "x": "NaN"}}
    r = {"type": "KNOWS", "start": "a", "end": "b", "properties": {"w": "Infinity"}}
    assert strictly(json_text(row)) == {
        "a": a,
        "r": r,
        "p": {"nodes": [a, {"labels": ["Area"], "properties": {"key": "b"}}], "relationships": [r]},
    }
