"""No value changes without a word: it comes out as it was written, or its row is refused, whatever the source."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.tables.rejects import Rejects
from cortigraph.tables.spec import SourceSpec, open_sources

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
REFUSED = "refused"


def _read(folder, source: str, values: list, kind: str | None = None, **told) -> list:
    """What a column becomes, `REFUSED` for a row that is; or the error of the column as a whole."""
    types = {} if kind is None else {"a": kind}
    rows = [{"a": value} for value in values]
    if source in ("pandas", "arrow"):
        table = pd.DataFrame({"a": pd.Series(values, dtype=object)}) if source == "pandas" else pa.table({"a": values})
        opened = open_sources({"s": SourceSpec(types=types, **told)}, folder, {"s": table})["s"]
    else:
        path = folder / f"t.{source}"
        if source == "csv":
            text = io.StringIO()
            pd.DataFrame({"a": values, "b": 0}, dtype=object).to_csv(text, index=False)
            path.write_text(text.getvalue())
        elif source == "parquet":
            pq.write_table(pa.table({"a": values}), path)
        elif source == "json":
            path.write_text(json.dumps(rows))
        else:
            path.write_text("\n".join(map(json.dumps, rows)))
        opened = open_sources({"s": SourceSpec(path=str(path), types=types, **told)}, folder)["s"]
    rejects = Rejects(1000)
    found: list = [REFUSED] * len(values)
    for block in opened.blocks(rejects, columns=["a"]):
        for record, row in zip(block.records.tolist(), block.table.to_pylist(), strict=True):
            found[record] = row["a"]
    assert len(rejects) == found.count(REFUSED)
    return found


BIG = 2**53 + 1
ALL = ("csv", "json", "jsonl", "parquet", "pandas", "arrow")
WHOLE = [
    # type, written, what becomes of it
    ("float", [1, BIG, 2], [1.0, REFUSED, 2.0]),
    ("float", [2**53, 2**60], [2.0**53, 2.0**60]),
    ("float", [2**63 + 1, 2**64 - 1], [REFUSED, REFUSED]),
    ("int", [BIG, 2**63 - 1, -(2**63)], [BIG, 2**63 - 1, -(2**63)]),
    ("int", [1, 2**63, 2**64 - 1], [1, REFUSED, REFUSED]),
    ("text", [BIG, 2**63, 2**64 - 1], [str(BIG), str(2**63), str(2**64 - 1)]),
]


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize(("kind", "values", "expected"), WHOLE)
def test_whole_numbers(tmp_path, source, kind, values, expected) -> None:
    if source in ("parquet", "arrow"):
        kinds = pa.uint64() if min(values) >= 0 else pa.int64()
        values = pa.array(values, kinds)
    assert _read(tmp_path, source, values, kind) == expected


@pytest.mark.parametrize("source", ["json", "jsonl", "pandas"])
def test_whole_numbers_beside_floats(tmp_path, source) -> None:
    assert _read(tmp_path, source, [1.5, BIG, 2**64 - 1, 7]) == [1.5, REFUSED, REFUSED, 7.0]
    assert _read(tmp_path, source, [[1.5], [BIG]]) == [[1.5], REFUSED]
    assert _read(tmp_path, source, [1.5, BIG], "text") == ["1.5", str(BIG)]


CELLS = [
    # type, settings, cell, what becomes of it
    ("float", {}, "1,50", REFUSED),
    ("float", {}, "1.234,56", REFUSED),
    ("float", {}, "1_000", REFUSED),
    ("float", {}, "1e400", REFUSED),
    ("float", {}, "1e-400", REFUSED),
    ("float", {}, "0e-400", 0.0),
    ("float", {}, "inf", REFUSED),
    ("float", {}, "NaN", REFUSED),
    ("float", {}, "0x10", REFUSED),
    ("float", {}, "١٢", REFUSED),
    ("float", {}, "9007199254740993.0", REFUSED),
    ("float", {}, "12345678901234567890", REFUSED),
    ("float", {}, "1.2345678901234567e19", 1.2345678901234567e19),
    ("float", {}, "\u00a0 1.5\u2009", 1.5),
    ("float", {}, "1 000", REFUSED),
    ("float", {"thousands": ","}, "1,013.01", 1013.01),
    ("float", {"thousands": ","}, "-1,000", -1000.0),
    ("float", {"thousands": ","}, "1,234,567", 1234567.0),
    ("float", {"thousands": ","}, "1234567.5", 1234567.5),
    ("float", {"thousands": ","}, "1,50", REFUSED),
    ("float", {"thousands": ","}, "1,0000", REFUSED),
    ("float", {"thousands": ","}, "12,34,567", REFUSED),
    ("float", {"thousands": ","}, "1234,567", REFUSED),
    ("float", {"thousands": ","}, ",5", REFUSED),
    ("float", {"thousands": ","}, "2.000,75", REFUSED),
    ("float", {"thousands": ","}, "1.5,000", REFUSED),
    ("float", {"thousands": ","}, "9,007,199,254,740,993", REFUSED),
    ("int", {"thousands": ","}, "1,234", 1234),
    ("int", {"thousands": ","}, "1,23", REFUSED),
    ("int", {"thousands": "."}, "1.234", 1234),
    ("int", {"thousands": ","}, "9,999,999,999,999,999,999", REFUSED),
    ("float", {"decimal": ","}, "1,50", 1.5),
    ("float", {"decimal": ","}, ",5", 0.5),
    ("float", {"decimal": ","}, "+1,5e3", 1500.0),
    ("float", {"decimal": ","}, "1.50", REFUSED),
    ("float", {"decimal": ","}, "1.234,5", REFUSED),
    ("float", {"decimal": ",", "thousands": "."}, "1.234,56", 1234.56),
    ("float", {"thousands": "."}, "1.234,56", 1234.56),
    ("float", {"decimal": ",", "thousands": " "}, "1\u202f234\u00a0567,5", 1234567.5),
    ("float", {"decimal": ",", "thousands": "'"}, "1'234,5", 1234.5),
    ("list[float]", {"decimal": ","}, "1,5|2", [1.5, 2.0]),
    ("list[float]", {"decimal": ","}, "[1.5, 2]", [1.5, 2.0]),
    ("vector[2]", {"decimal": ","}, "1,5|2", [1.5, 2.0]),
    ("vector[2]", {"decimal": ","}, "[1.5, 2]", [1.5, 2.0]),
    ("int", {}, "1.0", REFUSED),
    ("int", {}, "12.", REFUSED),
    ("int", {}, "1e3", REFUSED),
    ("int", {}, "007", 7),
    (None, {}, "007", "007"),
    (None, {}, "1.10", "1.10"),
    ("bool", {}, "TRUE", True),
    ("bool", {}, "0", False),
    ("bool", {}, "yes", REFUSED),
    ("bool", {}, "N", REFUSED),
    ("date", {}, "24-05-31", REFUSED),
    ("date", {}, "31.05.2024", REFUSED),
    ("date", {}, "2024-05-31T10:00:00", REFUSED),
    ("datetime", {}, "2024-05-31T24:00:00", REFUSED),
    ("datetime", {}, "2024-05-31T10:00:00.1234567", REFUSED),
    ("text", {}, "12:30:45", "12:30:45"),
    ("list[text]", {}, '["a", "b"]', ["a", "b"]),
    ("list[text]", {}, "[]", []),
    ("list[text]", {}, "[1, 2.50]", ["1", "2.5"]),
    ("list[text]", {}, "a|[b", ["a", "[b"]),
    ("list[text]", {}, "['a', 'b']", REFUSED),
    ("list[text]", {}, "{a,b}", REFUSED),
    ("list[text]", {}, '["a", "b"', REFUSED),
    ("list[text]", {}, '["a", null]', REFUSED),
    ("list[text]", {}, '["a", ["b"]]', REFUSED),
    ("list[int]", {}, "[1, 2]", [1, 2]),
    ("list[int]", {}, "[1, 2.5]", REFUSED),
    ("list[int]", {}, "[]", []),
    ("list[float]", {}, f"[1.5, {BIG}]", REFUSED),
    ("list[float]", {}, "1.5|2", [1.5, 2.0]),
    ("list[float]", {}, "[NaN]", REFUSED),
    ("vector[2]", {}, "[1, 2]", [1.0, 2.0]),
    ("vector[2]", {}, "[1]", REFUSED),
]  # fmt: skip


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize(("kind", "told", "cell", "expected"), CELLS)
def test_text_in_cells(tmp_path, source, kind, told, cell, expected) -> None:
    assert _read(tmp_path, source, [cell], kind, **told) == [expected]


@pytest.mark.parametrize("source", ["json", "jsonl", "parquet", "pandas", "arrow"])
def test_numbers_become_other_numbers_only_exactly(tmp_path, source) -> None:
    assert _read(tmp_path, source, [2.0, 2.5, 2.0**60], "int") == [2, REFUSED, REFUSED]
    assert _read(tmp_path, source, [0, 1, 2], "bool") == [False, True, REFUSED]
    assert _read(tmp_path, source, [0, BIG], "float") == [0.0, REFUSED]


MOMENT = datetime.datetime(2024, 5, 31, 13, 45)
ROME = datetime.timezone(datetime.timedelta(hours=2))
DAY = datetime.date(2024, 5, 31)
VALUES = [
    # type, value, what becomes of it
    ("text", decimal.Decimal("1.50"), "1.50"),
    ("float", decimal.Decimal("1.50"), 1.5),
    ("int", decimal.Decimal("2.00"), 2),
    ("int", decimal.Decimal("1.50"), REFUSED),
    ("float", decimal.Decimal(BIG), REFUSED),
    ("text", datetime.time(1, 2, 3), "01:02:03.000000"),
    ("text", datetime.timedelta(days=-1, microseconds=5), "-PT86399.999995S"),
    ("text", datetime.timedelta(days=2), "P2D"),
    ("text", b"ok", "ok"),
    ("text", b"\xff", REFUSED),
    ("text", True, "true"),
    ("text", DAY, "2024-05-31"),
    ("text", {"a": [1]}, '{"a": [1]}'),
    ("text", 2.0**60, REFUSED),
    ("text", 0.1, "0.1"),
    ("int", 2.0, 2),
    ("int", 2.5, REFUSED),
    ("int", 2.0**60, REFUSED),
    ("float", math.inf, REFUSED),
    ("date", DAY, DAY),
    ("date", MOMENT, REFUSED),
    ("date", datetime.datetime(2024, 5, 31), DAY),
    ("datetime", MOMENT, MOMENT),
    ("datetime", DAY, datetime.datetime(2024, 5, 31)),
    ("datetime", MOMENT.replace(tzinfo=ROME), datetime.datetime(2024, 5, 31, 11, 45, tzinfo=datetime.UTC)),
    ("bool", 1, True),
    ("bool", 2, REFUSED),
    ("list[float]", [1, 2], [1.0, 2.0]),
    ("list[float]", [BIG], REFUSED),
    ("list[int]", [1.5], REFUSED),
    ("list[text]", ["a"], ["a"]),
]


@pytest.mark.parametrize("source", ["parquet", "pandas", "arrow"])
@pytest.mark.parametrize(("kind", "value", "expected"), VALUES)
def test_values_that_have_types(tmp_path, source, kind, value, expected) -> None:
    assert _read(tmp_path, source, [value, None], kind) == [expected, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("datetime", 1), ("date", 1), ("bool", 1.5), ("int", True), ("date", MOMENT.replace(tzinfo=ROME)), ("float", DAY)],
)
@pytest.mark.parametrize("source", ["parquet", "pandas", "arrow"])
def test_what_would_be_another_thing_is_refused_as_a_whole(tmp_path, source, kind, value) -> None:
    with pytest.raises(InputError, match=r"column 'a' is .*, which can't become .*; give it the type text"):
        _read(tmp_path, source, [value], kind)


@pytest.mark.parametrize("values", [
    [DAY, MOMENT], [MOMENT, MOMENT.replace(tzinfo=ROME)], [decimal.Decimal("1.5"), 2], [{"x": 1}, {"y": 2}], [True, 1],
    [datetime.timedelta(1), 5], [b"a", "b"], [1, "x"], [object()],
])  # fmt: skip
def test_values_of_several_kinds_are_not_made_one(tmp_path, values) -> None:
    found = _read(tmp_path, "pandas", values)
    assert [(value, type(value)) for value in found if value is not REFUSED] == [
        (value, type(value)) for value, read in zip(values, found, strict=True) if read is not REFUSED
    ]
    assert REFUSED in found


def test_text_of_objects_has_their_own_keys_alone(tmp_path) -> None:
    assert _read(tmp_path, "pandas", [{"x": 1}, {"y": {1}}], "text") == ['{"x": 1}', '{"y": [1]}']


def test_times_beyond_the_calendar(tmp_path) -> None:
    late = pa.array([10**18, 0], pa.timestamp("s"))
    assert _read(tmp_path, "arrow", late.cast(pa.timestamp("ms"), safe=False))[1] == datetime.datetime(1970, 1, 1)
    assert _read(tmp_path, "arrow", pa.array([10**12, 0], pa.timestamp("s")))[0] == REFUSED
    assert _read(tmp_path, "arrow", pa.array([10**7, 0], pa.date32()))[0] == REFUSED
    assert _read(tmp_path, "arrow", pa.array([1, 1000], pa.timestamp("ns")))[0] == REFUSED


JSON_VALUES = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.booleans()
)


@QUICK
@given(
    values=st.lists(JSON_VALUES, min_size=1, max_size=5), kind=st.sampled_from(["int", "float", "text", "bool", None])
)
@pytest.mark.parametrize("source", ["csv", "jsonl", "pandas"])
def test_a_value_is_what_was_written_or_refused(tmp_path, source, values, kind) -> None:
    if source == "csv":
        values = [value for value in values if not isinstance(value, str) or value == value.strip() != ""] or [1]
        values = [
            value.replace("\r", "").replace("\0", "") or "x" if isinstance(value, str) else value for value in values
        ]
    try:
        found = _read(tmp_path, source, values, kind)
    except InputError:  # as a whole
        return
    for value, read in zip(values, found, strict=True):
        if read is REFUSED:
            continue
        if isinstance(read, str):
            assert read in (value, json.dumps(value), str(value)) or float(read) == value
        elif isinstance(value, str):
            assert float(value) == read if not isinstance(read, bool) else value.lower() in ("true", "false", "0", "1")
        else:
            assert read == value


@QUICK
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
@pytest.mark.parametrize("marks", [(",", "."), (".", ","), (",", " "), (".", "'"), (",", "")])
def test_numbers_as_people_write_them(tmp_path, value, marks) -> None:
    decimal_mark, thousands = marks
    text = f"{value:,.2f}".replace(",", "t").replace(".", decimal_mark).replace("t", thousands)
    told = {"decimal": decimal_mark, **({"thousands": thousands} if thousands else {})}
    assert _read(tmp_path, "csv", [text], "float", **told) == [float(value)]
    other = {"decimal": thousands, "thousands": decimal_mark}
    if thousands in (".", ",") and abs(value) >= 1000:
        assert _read(tmp_path, "csv", [text], "float", **other) == [REFUSED]


@QUICK
@given(
    items=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="|\r\0"), min_size=1, max_size=5), max_size=4
    )
)
def test_lists_come_back_from_json_in_a_cell(tmp_path, items) -> None:
    assert _read(tmp_path, "csv", [json.dumps(items)], "list[text]") == [items]
    if items:
        assert _read(tmp_path, "csv", ["|".join(items)], "list[text]") in ([items], [REFUSED], [None])


def test_settings_that_contradict_each_other(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    for told, problem in (
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"decimal": "5"}, "decimal must be one character that stands in no number"),
        ({"thousands": ""}, "thousands must be one character"),
        ({"layout": "columns"}, "layout is for json"),
    ):
        with pytest.raises(InputError, match=problem):
            open_sources({"s": SourceSpec(path="a.csv", **told)}, tmp_path)
