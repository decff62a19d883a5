"""Whatever a file holds and whatever is said of it: blocks, or one error that says what is wrong."""

from __future__ import annotations

import csv
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.tables.rejects import Rejects
from cortigraph.tables.spec import open_table
from cortigraph.tables.table_spec import TableSpec
from cortigraph.tables.written import unwritable, written

CASES = int(os.environ.get("CORTIGRAPH_FUZZ", "200"))
FAULTS = settings(
    max_examples=CASES // 5,
    derandomize=CASES <= 200,  # short runs say the same each time; long ones look further each time
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

TYPES = st.sampled_from(
    ["text", "int", "float", "bool", "date", "datetime", "list[text]", "list[int]", "list[float]", "vector[2]"]
)
CELLS = st.one_of(
    st.text(max_size=6),
    st.text(st.sampled_from("0123456789.,+-eE' _[]{}\"|:TZ\u00a0\n\r\0\ud800"), max_size=10),
    st.sampled_from(
        ["nan", "1e999", "0x1", "[1, 2]", '["a"]', "['a']", "{1}", "2024-05-31", "2024-05-31T10:00:00Z", "٣"]
    ),
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from([";", ",", "\t", "|", '"', "\0", "'", " ", "a"]),
        "quote": st.sampled_from(['"', "'", "", ",", "\0"]),
        "header": st.lists(st.sampled_from(["a", "b", " a", ""]), max_size=3),
        "missing": st.lists(CELLS.filter(lambda cell: "\ud800" not in cell), max_size=2),
        "types": st.dictionaries(st.sampled_from(["a", "b"]), TYPES, max_size=2),
        "separator": st.sampled_from(["|", ",", " ", "ab"]),
        "thousands": st.sampled_from([",", ".", " ", "'"]),
        "decimal": st.sampled_from([",", "."]),
        "layout": st.sampled_from(["rows", "columns"]),
        "longest": st.integers(1, 20),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | CELLS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "", "_key"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def _read(folder, name: str, data: bytes, told: dict, columns) -> None:
    path = folder / name
    path.write_bytes(data)
    try:
        source = open_table(path, TableSpec(**told))
        rejects = Rejects(1000)
        for block in source.blocks(rejects, columns=columns):
            for column in block.table.columns:
                assert len(written(column)) == len(column) >= len(unwritable(column))
            block.table.validate(full=True)
        assert all(str(reject) for reject in rejects.items())
        rejects.write(folder / "out", {"table": source})
    except InputError:
        pass
    finally:
        for file in (folder / "out").glob("*"):
            file.unlink()


@FAULTS
@given(data=st.binary(max_size=60), told=SPECS, columns=st.sampled_from([None, [], ["a"], ["a", "b"]]))
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.json", "t.parquet", "t.txt"])
def test_any_bytes(tmp_path, name, data, told, columns) -> None:
    _read(tmp_path, name, data, told, columns)


@FAULTS
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5),
    told=SPECS,
    columns=st.sampled_from([None, ["a"]]),
)
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_any_cells(tmp_path, name, rows, told, columns) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, delimiter="," if name == "t.csv" else "\t").writerows([["a", "b"], *rows])
    _read(tmp_path, name, text.getvalue().encode("utf-8", "surrogatepass"), told, columns)


@FAULTS
@given(value=JSON, told=SPECS, columns=st.sampled_from([None, ["a"], ["_key", "_value"]]))
@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_any_json(tmp_path, name, value, told, columns) -> None:
    lines = value if isinstance(value, list) and name == "t.jsonl" else [value]
    _read(tmp_path, name, "\n".join(map(json.dumps, lines)).encode(), told, columns)


ARROW = [
    pa.array([2**64 - 1, 0], pa.uint64()),
    pa.array([1.5, float("nan")], pa.float16()),
    pa.array([10**15, -(10**15)], pa.timestamp("s")),
    pa.array([1, None], pa.timestamp("ns", "Europe/Rome")),
    pa.array([1, 2], pa.time64("ns")),
    pa.array([1, 2**62], pa.duration("ns")),
    pa.array([b"\xff", b"a"], pa.binary(-1)),
    pa.array([{"x": b"\xff"}, {"x": None}]),
    pa.array([[1, None], None]),
    pa.array([[b"\xff"], []]),
    pa.array([[("a", 1), ("a", 2)], None], pa.map_(pa.string(), pa.int64())),
    pa.array([[10**15]], pa.list_(pa.timestamp("s"))),
    pa.nulls(2),
]


@pytest.mark.parametrize("kind", [None, "text", "int", "float", "bool", "date", "datetime", "list[text]", "vector[2]"])
@pytest.mark.parametrize("column", ARROW, ids=lambda column: str(column.type))
def test_any_parquet(tmp_path, column, kind) -> None:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table({"a": column}), sink)
    _read(tmp_path, "t.parquet", sink.getvalue(), {} if kind is None else {"types": {"a": kind}}, ["a"])
