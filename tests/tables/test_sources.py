"""Reading sources: every format, packed or not, comes out as it went in; what is damaged says so."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import string
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.tables._bytes import Content
from cortigraph.tables._records import Cut, chunks_of
from cortigraph.tables.rejects import Rejects
from cortigraph.tables.spec import SourceSpec, open_sources

CSV = b'name,age,born\nAda,36,1815-12-10\n"Hopper, Grace",,1906-12-09\n'
ROWS = [
    {"name": "Ada", "age": 36, "born": "1815-12-10"},
    {"name": "Hopper, Grace", "age": None, "born": "1906-12-09"},
]


def _open(folder: Path, name: str, data: bytes, **spec):
    (folder / name).write_bytes(data)
    return open_sources({"s": SourceSpec(path=name, **spec)}, folder)["s"]


def _rows(source, rejects=None) -> list[dict]:
    return [row for block in source.blocks(rejects or Rejects()) for row in block.table.to_pylist()]


def _records(source, rejects) -> list[int]:
    return [record for block in source.blocks(rejects) for record in block.records.tolist()]


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_text_formats_come_out_the_same(tmp_path, packed, mark, end, last) -> None:
    files = {
        "a.csv": (CSV, {"types": {"age": "int"}}),
        "a.tsv": (b"name\tage\tborn\nAda\t36\t1815-12-10\nHopper, Grace\t\t1906-12-09\n", {"types": {"age": "int"}}),
        "a.jsonl": (b"".join(json.dumps(row).encode() + b"\n" for row in ROWS), {}),
        "a.json": (json.dumps(ROWS, indent=1).encode() + b"\n", {}),
    }
    for name, (data, spec) in files.items():
        data = mark + (data if last else data[:-1]).replace(b"\n", end)
        source = _open(tmp_path, name, gzip.compress(data) if packed else data, **spec)
        assert source.columns() == ["name", "age", "born"], name
        assert _rows(source) == ROWS, name


def test_triples_have_no_header_and_no_quotes(tmp_path) -> None:
    source = _open(tmp_path, "t.txt", b'a\t"r\tb\r\n\r\n/m/1\tr\t\xd8\xa7', format="triples")
    assert [tuple(row.values()) for row in _rows(source)] == [("a", '"r', "b"), ("/m/1", "r", "ا")]


def test_packing_is_told_by_content_not_by_name(tmp_path) -> None:
    assert _rows(_open(tmp_path, "a.csv.gz", CSV, types={"age": "int"})) == ROWS
    assert _rows(_open(tmp_path, "b.csv", gzip.compress(CSV), types={"age": "int"})) == ROWS


def test_gzip_of_several_members_is_read_to_its_end(tmp_path) -> None:
    packed = gzip.compress(CSV[:20]) + gzip.compress(CSV[20:]) + b"\0" * 512
    assert _rows(_open(tmp_path, "a.csv.gz", packed, types={"age": "int"})) == ROWS


def test_json_object_of_objects_gives_its_keys(tmp_path) -> None:
    source = _open(tmp_path, "a.json", b'{"x": {"n": 1},\n "y": {"n": 2.5}}')
    assert _rows(source) == [{"_key": "x", "n": 1.0}, {"_key": "y", "n": 2.5}]
    assert source.locate("a.json", [1]) == {1: (2, b'"y": {"n": 2.5}')}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"x,y\n"),
        ("a.csv", b"x,y"),
        ("a.jsonl", b""),
        ("a.jsonl", b"\n\n"),
        ("a.json", b"[]"),
        ("a.json", b""),
    ],
)
def test_header_only_or_nothing_gives_no_block(tmp_path, name, data) -> None:
    assert list(_open(tmp_path, name, data).blocks(Rejects())) == []


def test_empty_triples_give_no_block(tmp_path) -> None:
    assert list(_open(tmp_path, "t.tsv", b"", format="triples").blocks(Rejects())) == []


def test_types(tmp_path) -> None:
    data = (
        b"i,f,b,d,t,z,l,n,v,w\n"
        b' +7 ,1e3,TRUE,2024-05-31,2024-05-31T13:45:00.5,2024-05-31 13:45:00+02:00,a|b,1|2,0.5|1,"[1, 2.5]"\n'
        b",,,,,,,,,\n"
    )
    types = {"i": "int", "f": "float", "b": "bool", "d": "date", "t": "datetime", "z": "datetime"}
    types |= {"l": "list[text]", "n": "list[int]", "v": "vector[2]", "w": "vector[2]"}
    first, second = _rows(_open(tmp_path, "a.csv", data, types=types))
    told = {name: str(value) for name, value in first.items()}
    assert told == {
        "i": "7", "f": "1000.0", "b": "True", "d": "2024-05-31", "t": "2024-05-31 13:45:00.500000",
        "z": "2024-05-31 11:45:00+00:00", "l": "['a', 'b']", "n": "[1, 2]", "v": "[0.5, 1.0]", "w": "[1.0, 2.5]",
    }  # fmt: skip
    assert set(second.values()) == {None}


def test_json_types(tmp_path) -> None:
    row = {"d": "2024-05-31", "o": {"a": [1]}, "v": [1, 2], "i": "12", "n": 3, "l": ["a"]}
    types = {"d": "date", "o": "text", "v": "vector[2]", "i": "int", "n": "text"}
    (read,) = _rows(_open(tmp_path, "a.jsonl", json.dumps(row).encode(), types=types))
    assert (str(read["d"]), read["o"], read["v"]) == ("2024-05-31", '{"a": [1]}', [1.0, 2.0])
    assert (read["i"], read["n"], read["l"]) == (12, "3", ["a"])


def test_missing_words(tmp_path) -> None:
    source = _open(tmp_path, "a.csv", b"a,b\nn/a,1\n,NaN\n", missing=["n/a", "NaN"], types={"b": "float"})
    assert _rows(source) == [{"a": None, "b": 1.0}, {"a": "", "b": None}]
    source = _open(tmp_path, "a.jsonl", b'{"a": "", "b": NaN}\n{"a": "x", "b": 1.5}', missing=["NaN"])
    assert _rows(source) == [{"a": "", "b": None}, {"a": "x", "b": 1.5}]


def test_empty_text_is_a_value_in_json_unless_said_otherwise(tmp_path) -> None:
    assert _rows(_open(tmp_path, "a.jsonl", b'{"a": ""}')) == [{"a": ""}]
    assert _rows(_open(tmp_path, "a.jsonl", b'{"a": ""}\n{"a": "x"}', missing=[""])) == [{"a": None}, {"a": "x"}]


def test_ten_megabytes_in_a_cell(tmp_path) -> None:
    big = "ä\n" * 3_500_000
    files = {
        "a.csv": f'a,b\n1,"{big}"\n2,x\n',
        "a.jsonl": "".join(json.dumps({"a": "1", "b": b}) + "\n" for b in (big, "x")),
    }
    for name, text in files.items():
        source = _open(tmp_path, name, text.encode())
        assert [row["b"] for row in _rows(source)] == [big, "x"]
    assert list(source.locate("a.jsonl", [1])) == [1]


def test_blocks_are_bounded_and_number_every_record(tmp_path) -> None:
    data = b"".join(b"%d\tr\t%d\n" % (i, i + 1) for i in range(900_000))
    source = _open(tmp_path, "t.tsv", data, format="triples")
    blocks = list(source.blocks(Rejects()))
    assert len(blocks) > 2
    assert max(block.table.nbytes for block in blocks) < 3 * (4 << 20)
    assert np.array_equal(np.concatenate([block.records for block in blocks]), np.arange(900_000))
    assert blocks[-1].table["tail"][-1].as_py() == "900000"


CELLS = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(
    st.sampled_from('",\t\r\n\0\x0b\x85\u2028ا😀a'), max_size=8
)
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
HYPOTHESIS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@HYPOTHESIS
@given(table=TABLES, end=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_any_table_that_python_writes_as_csv_comes_back(tmp_path, table, end, quoting) -> None:
    names = list(string.ascii_lowercase[: len(table[0]) if table else 1])
    if end == "\n":  # Python leaves a lone carriage return unquoted then, and reads it as a newline itself
        table = [[cell.replace("\r", "") for cell in row] for row in table]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerows([names, *table])
    source = _open(tmp_path, "a.csv", text.getvalue().encode(), missing=[])
    assert [list(row.values()) for row in _rows(source)] == table


@HYPOTHESIS
@given(table=TABLES)
def test_any_table_that_python_writes_as_json_comes_back(tmp_path, table) -> None:
    rows = [dict(zip(string.ascii_lowercase, row, strict=False)) for row in table]
    lines = "\n".join(json.dumps(row, ensure_ascii=bool(number % 2)) for number, row in enumerate(rows))
    assert _rows(_open(tmp_path, "a.jsonl", lines.encode())) == rows
    assert _rows(_open(tmp_path, "a.json", json.dumps(rows).encode())) == rows
    keyed = {str(number): row for number, row in enumerate(rows)}
    assert _rows(_open(tmp_path, "b.json", json.dumps(keyed).encode())) == [
        {"_key": key, **keyed[key]} for key in keyed
    ]


@HYPOTHESIS
@given(text=st.text(st.sampled_from('a,"\n\r'), max_size=30), block=st.integers(1, 9), piece=st.integers(1, 5))
def test_records_and_their_lines_are_those_of_pythons_reader(tmp_path, text, block, piece) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    expected, before = [], 0
    reader = csv.reader(path.open(newline=""), strict=False)
    for row in reader:
        if row:
            expected.append((before + 1, row))
        before = reader.line_num
    content = Content(path, "a.csv")
    content._raw = lambda: (text.encode()[at : at + piece] for at in range(0, len(text), piece))  # type: ignore[method-assign]
    found, unclosed = [], False
    for chunk in chunks_of(content, Cut(b'"'), block=block):
        unclosed |= chunk.unclosed
        for row in range(len(chunk)):
            (cells,) = [list(cells) for cells in csv.reader(io.StringIO(chunk.raw(row).decode(), newline=""))]
            found.append((chunk.line_of(row), cells))
    assert [line for line, _ in found] == [line for line, _ in expected]
    if not unclosed:  # what such a record holds is up to the reader; we refuse it
        assert found == expected


def test_quotes_within_unquoted_cells_are_characters(tmp_path) -> None:
    data = b'size,b\n5" disk,x\n"a ""b"" c",y\n"q"r,"two\nlines"\n3" or 4",z\n'
    source = _open(tmp_path, "a.csv", data)
    assert [tuple(row.values()) for row in _rows(source)] == [
        ('5" disk', "x"), ('a "b" c', "y"), ("qr", "two\nlines"), ('3" or 4"', "z"),
    ]  # fmt: skip
    assert source.locate("a.csv", [2, 3]) == {2: (4, b'"q"r,"two\nlines"'), 3: (6, b'3" or 4",z')}


@pytest.mark.parametrize("cut", [5, 30, -9, -1])
def test_truncated_gzip_is_an_error(tmp_path, cut) -> None:
    packed = gzip.compress(b"a\tr\tb\n" * 50_000 + os.urandom(2000).replace(b"\t", b"").replace(b"\n", b""))
    source = _open(tmp_path, "t.txt.gz", packed[:cut], format="triples")
    with pytest.raises(InputError, match=r"t\.txt\.gz: the gzip data is cut off within its first [\d,]+ bytes"):
        list(source.blocks(Rejects(10)))


def test_damaged_gzip_is_an_error(tmp_path) -> None:
    packed = bytearray(gzip.compress(b"a\tr\tb\n" * 50_000))
    packed[-6] ^= 1  # the checksum
    source = _open(tmp_path, "t.txt.gz", bytes(packed), format="triples")
    with pytest.raises(InputError, match="damaged"):
        list(source.blocks(Rejects()))


def test_damaged_parquet_is_an_error(tmp_path) -> None:
    data = _parquet(pa.table({"a": [str(number) for number in range(1000)]}))
    with pytest.raises(InputError, match=r"p\.parquet is no Parquet file"):
        _open(tmp_path, "p.parquet", data[:-20])
    broken = bytearray(data)
    broken[100:2000] = bytes(1900)
    with pytest.raises(InputError, match=r"p\.parquet is damaged after row 0"):
        list(_open(tmp_path, "p.parquet", bytes(broken)).blocks(Rejects()))


def test_parquet_types_and_rows(tmp_path) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int8()),
            "t": pa.array(["a", "b"]).dictionary_encode(),
            "when": pa.array([0, 1], pa.timestamp("ns", "Europe/Rome")),
            "v": pa.array([[1.0, 2.0], None], pa.list_(pa.float32())),
            "o": pa.array([{"x": 1}, None]),
        }
    )
    source = _open(tmp_path, "p.parquet", _parquet(table.slice(0, 1)), types={"v": "vector[2]", "o": "text"})
    (row,) = _rows(source)
    assert (row["i"], row["t"], row["v"], row["o"]) == (1, "a", [1.0, 2.0], '{"x": 1}')
    assert str(row["when"]) == "1970-01-01 00:00:00+00:00"
    with pytest.raises(InputError, match=r"p\.parquet: column 'o' is struct<x: int64>.*type text"):
        _rows(_open(tmp_path, "p.parquet", _parquet(table)))


def test_globs_are_sorted_and_headers_agree(tmp_path) -> None:
    for name in ("b/2.csv", "a/1.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x\n" + name.encode() + b"\n")
    source = open_sources({"s": SourceSpec(path="**/*.csv")}, tmp_path)["s"]
    blocks = list(source.blocks(Rejects()))
    assert [(block.file, block.records.tolist()) for block in blocks] == [("a/1.csv", [0]), ("b/2.csv", [0])]
    (tmp_path / "c.csv").write_bytes(b"y\n1\n")
    with pytest.raises(InputError, match=r"c\.csv has the columns y; a/1\.csv has x"):
        open_sources({"s": SourceSpec(path=["**/?.csv", "c.csv"], format="csv")}, tmp_path)


def test_environment_in_paths(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    monkeypatch.setenv("CORTIGRAPH_TEST_DATA", str(tmp_path))
    for path in ("${CORTIGRAPH_TEST_DATA}/a.csv", "${CORTIGRAPH_TEST_OTHER:-.}/a.csv"):
        assert _rows(open_sources({"s": SourceSpec(path=path)}, tmp_path)["s"]) == [{"x": "1"}]
    with pytest.raises(InputError, match="needs the environment variable CORTIGRAPH_TEST_OTHER, which is not set"):
        open_sources({"s": SourceSpec(path="${CORTIGRAPH_TEST_OTHER}/a.csv")}, tmp_path)


def test_all_problems_at_once(tmp_path) -> None:
    (tmp_path / "people.csv").write_bytes(b"name,name\n")
    (tmp_path / "good.csv").write_bytes(b"name,age\n")
    (tmp_path / "what.txt").write_bytes(b"x")
    (tmp_path / "wide.csv").write_bytes("x\n".encode("utf-16"))
    specs = {
        "near": SourceSpec(path="peopel.csv"),
        "glob": SourceSpec(path="*.parquet"),
        "format": SourceSpec(path="what.txt"),
        "double": SourceSpec(path="people.csv", types={"name": "int"}),
        "typed": SourceSpec(path="good.csv", types={"agee": "int"}),
        "kind": SourceSpec(path="good.csv", types={"age": "whole"}),
        "mark": SourceSpec(path="good.csv", delimiter="||"),
        "wide": SourceSpec(path="wide.csv"),
        "../x": SourceSpec(path="good.csv"),
    }
    with pytest.raises(InputError) as caught:
        open_sources(specs, tmp_path, {"list": [1]})
    told = "\n".join(caught.value.problems)
    for part in (
        "near: no file peopel.csv", "did you mean people.csv?", "no file matches *.parquet", "give `format`: csv, tsv",
        "there is more than one column 'name'", "there is no column 'agee'; did you mean age?", "no type 'whole'",
        "delimiter must be one ASCII character", "wide.csv is UTF-16", "a source's name has letters", "got list",
    ):  # fmt: skip
        assert part in told, part
    assert len(caught.value.problems) == 10


def test_tables_from_pandas_and_arrow(tmp_path) -> None:
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None], "t": pd.to_datetime(["2024-01-01", None])})
    table = pa.table({"k": [1, 2]})
    opened = open_sources({}, tmp_path, {"f": frame, "t": table, "r": table.to_reader(), "i": frame.set_index("b")})
    (first, second) = _rows(opened["f"])
    assert (first["a"], first["b"], str(first["t"])) == (1.5, "x", "2024-01-01 00:00:00")
    assert set(second.values()) == {None}
    assert _rows(opened["t"]) == _rows(opened["r"]) == _rows(opened["r"]) == [{"k": 1}, {"k": 2}]
    assert opened["i"].columns() == ["b", "a", "t"]


def test_graphs(tmp_path) -> None:
    nx = pytest.importorskip("networkx")
    graph = nx.Graph()
    graph.add_node(1, size=2)
    graph.add_edge(1, "b", weight=0.5)
    many = nx.MultiDiGraph([(1, 2), (1, 2)])
    opened = open_sources({}, tmp_path, {"g": graph, "m": many})
    assert _rows(opened["g.nodes"]) == [{"key": "1", "size": 2}, {"key": "b", "size": None}]
    assert _rows(opened["g.edges"]) == [{"start": "1", "end": "b", "weight": 0.5}]
    assert [row["key"] for row in _rows(opened["m.edges"])] == ["0", "1"]
    with pytest.raises(InputError, match="several nodes become the same text: '1'"):
        open_sources({}, tmp_path, {"g": nx.path_graph([1, "1"])})
    with pytest.raises(InputError, match="the attribute 'start' has the name of a column"):
        open_sources({}, tmp_path, {"g": nx.Graph([(1, 2, {"start": 0})])})


def test_fingerprints_follow_content_and_meaning_not_place(tmp_path) -> None:
    first = _open(tmp_path, "a.csv", CSV).fingerprint()
    assert _open(tmp_path, "b.csv", CSV).fingerprint() == first
    assert _open(tmp_path, "b.csv", CSV + b"x,1,\n").fingerprint() != first
    assert _open(tmp_path, "b.csv", CSV, types={"age": "int"}).fingerprint() != first
    tables = [pa.table({"a": [1, None], "b": ["x", "y"]}), pd.DataFrame({"a": [{1: 2}, "x"]})]
    prints = [open_sources({}, tmp_path, {"t": table})["t"].fingerprint() for table in [*tables, *tables]]
    assert prints[:2] == prints[2:]
    assert prints[0] != prints[1]


def test_progress_counts_bytes(tmp_path) -> None:
    source = _open(tmp_path, "t.tsv", b"a\tr\tb\n" * 1_000_000, format="triples")
    told = []
    list(source.blocks(Rejects(), lambda *state: told.append(state)))
    assert told[-1] == ("s", 6_000_000, source.bytes())
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_no_thread_is_left_when_reading_stops_early(tmp_path) -> None:
    before = threading.active_count()
    blocks = _open(tmp_path, "t.tsv", b"a\tr\tb\n" * 2_000_000, format="triples").blocks(Rejects())
    next(blocks)
    blocks.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_real_triples_have_no_carriage_return() -> None:
    folder = Path(os.environ.get("CORTIGRAPH_DATA", Path(__file__).parents[3] / "shared" / "data")) / "kg" / "FB15k-237"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}")
    files = sorted(file.name for file in folder.iterdir() if file.name.split(".")[0] in ("train", "valid", "test"))
    source = open_sources({"s": SourceSpec(path=files, format="triples")}, folder)["s"]
    heads = [block.table for block in source.blocks(Rejects())]
    table = pa.Table.from_batches(heads)
    entities = set(table["head"].to_pylist()) | set(table["tail"].to_pylist())
    assert (len(table), len(entities), len(table["relation"].unique())) == (310_116, 14_541, 237)
