"""Only what is asked for is looked at, and a column is found by one rule."""

from __future__ import annotations

import datetime
import decimal
import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.tables.names import lacking
from cortigraph.tables.rejects import Rejects
from cortigraph.tables.spec import SourceSpec, open_sources, open_table
from cortigraph.tables.table_spec import TableSpec
from cortigraph.tables.written import read_texts

ODD = {
    "struct": pa.array([{"x": 1}, None]),
    "decimal": pa.array([decimal.Decimal("1.5"), None]),
    "time": pa.array([datetime.time(1, 2), None]),
    "duration": pa.array([datetime.timedelta(1), None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "binary": pa.array([b"\xff", None]),
    "nested": pa.array([[{"r": 1}], []]),
    "deep": pa.array([[[1]], []]),
}


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _files() -> dict[str, bytes]:
    nested = [{"name": "Ann", "odd": {"city": "Bonn"}, "more": [{"r": 1}]}, {"name": "Bob", "late": 1}]
    return {
        "a.csv": b"name,odd,odd\nAnn,\xff,\nBob,,\n",
        "a.tsv": b"odd\t name \nx\tAnn\n\xffy\tBob\n",
        "a.json": json.dumps(nested).encode(),
        "a.jsonl": "\n".join(map(json.dumps, nested)).encode(),
        "a.parquet": _parquet(pa.table({"name": ["Ann", "Bob"], **ODD})),
    }


@pytest.mark.parametrize("name", list(_files()))
def test_only_what_is_asked_for_is_looked_at(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_bytes(_files()[name])
    source = open_table(path, TableSpec(types={"odd": "int"} if name == "a.tsv" else {}))
    blocks = list(source.blocks(Rejects(), columns=["name"]))
    assert [block.table.schema.names for block in blocks] == [["name"]]
    assert read_texts(source, ["name"]) == {"name": ["Ann", "Bob"]}
    assert sum(len(block.records) for block in source.blocks(Rejects(), columns=[])) == 2
    assert sum(block.table.num_rows for block in source.blocks(Rejects(), columns=[])) == 2


def test_only_what_is_asked_for_is_looked_at_in_tables_from_python(tmp_path) -> None:
    nx = pytest.importorskip("networkx")
    graph = nx.Graph()
    graph.add_node("a", name="Ann", odd={"x": 1}, mixed={1, "b"})
    tables = {
        "frame": pd.DataFrame({"name": ["Ann"], "odd": [{"x": 1}], "more": [decimal.Decimal("1.5")]}),
        "arrow": pa.table({"name": ["Ann", "Bob"], **ODD}),
        "g": graph,
    }
    opened = open_sources({}, tmp_path, tables)
    for name in ("frame", "arrow", "g.nodes"):
        assert read_texts(opened[name], ["name"])["name"][0] == "Ann"


@pytest.mark.parametrize("kind", list(ODD))
def test_what_is_asked_for_and_odd_says_what_to_write(tmp_path, kind) -> None:
    (tmp_path / "a.parquet").write_bytes(_parquet(pa.table({"odd": ODD[kind]})))
    with pytest.raises(InputError, match=r"a\.parquet: column 'odd' is .*, which a property can't hold; give it"):
        list(open_table(tmp_path / "a.parquet").blocks(Rejects()))


def test_columns_are_found_by_their_very_name_first(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id , id,id,\xc2\xa0name ,a, a \n1,2,3,x,4,5\n")
    source = open_table(tmp_path / "a.csv")
    assert read_texts(source, ["id", " id", "name", "a"]) == {"id": ["3"], " id": ["2"], "name": ["x"], "a": ["4"]}
    assert "may mean: 'id ', ' id'; write the one with its blanks" in str(
        lacking("id", open_table(tmp_path / "a.csv", TableSpec(header=["id ", " id", "x", "y", "z", "w"])))
    )
    with pytest.raises(InputError, match="table has no column 'nam'; did you mean"):
        read_texts(source, ["nam"])


def test_types_are_found_by_the_same_rule(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b" n \n1\n")
    source = open_table(tmp_path / "a.csv", TableSpec(types={"n": "int"}))
    assert next(source.blocks(Rejects(), columns=["n"])).table.to_pylist() == [{"n": 1}]
    assert next(source.blocks(Rejects())).table.to_pylist() == [{" n ": 1}]


@pytest.mark.parametrize(
    ("name", "mark", "written"),
    [("a.csv", ";", '";"'), ("a.csv", "\t", r'"\t"'), ("a.csv", "|", '"|"'), ("a.tsv", ",", '","')],
)
def test_another_delimiter_is_named(tmp_path, name, mark, written) -> None:
    (tmp_path / name).write_text(f"words{mark}label\nx{mark}y\n")
    with pytest.raises(InputError, match="give `delimiter: ") as caught:
        read_texts(open_table(tmp_path / name), ["words"])
    assert f"give `delimiter: {written}`" in str(caught.value)
    assert read_texts(open_table(tmp_path / name, TableSpec(delimiter=mark)), ["words"]) == {"words": ["x"]}


def test_long_texts_are_read(tmp_path) -> None:
    text = "long " * 400_000
    (tmp_path / "a.csv").write_text(f"words\n{text}\n")
    assert read_texts(open_table(tmp_path / "a.csv"), ["words"]) == {"words": [text]}


def test_types_of_tables_from_python_are_given_in_the_job(tmp_path) -> None:
    nx = pytest.importorskip("networkx")
    graph = nx.Graph([(1, 2, {"how": {"x": 1}})])
    frame = pd.DataFrame({"a": [{"x": 1}, [2]], "b": ["1", "2"]})
    specs = {"f": SourceSpec(types={"a": "text", "b": "int"}), "g.edges": SourceSpec(types={"how": "text"})}
    opened = open_sources(specs, tmp_path, {"f": frame, "g": graph})
    assert next(opened["f"].blocks(Rejects())).table.to_pylist() == [{"a": '{"x": 1}', "b": 1}, {"a": "[2]", "b": 2}]
    assert next(opened["g.edges"].blocks(Rejects(), columns=["how"])).table.to_pylist() == [{"how": '{"x": 1}'}]
    with pytest.raises(InputError) as caught:
        open_sources({"f": SourceSpec(types={"c": "int"}, delimiter=";"), "h": SourceSpec()}, tmp_path, {"f": frame})
    assert "delimiter is not for a table from Python" in str(caught.value)
    assert "no table of the name 'h' is given from Python" in str(caught.value)
