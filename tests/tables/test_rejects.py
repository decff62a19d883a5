"""Rejects: counted by record, stopped at the limit, and written so that what is mended can be read again."""

from __future__ import annotations

import csv
import datetime
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.tables.rejects import RejectedError, Rejects, mended
from cortigraph.tables.spec import SourceSpec, open_sources


def _sources(folder, files: dict[str, bytes], **specs):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: SourceSpec(**spec) for name, spec in specs.items()}


def _rows(sources, rejects) -> dict[str, list[dict]]:
    return {
        name: [row for block in source.blocks(rejects) for row in block.table.to_pylist()]
        for name, source in sources.items()
    }


def _round(folder, specs, mend, tables=None) -> tuple[dict, dict]:
    """Rows read at first, and rows read from what `mend` makes of each file of rejects."""
    rejects = Rejects(100)
    sources = open_sources(specs, folder, tables)
    first = _rows(sources, rejects)
    out = folder / "out"
    for path in rejects.write(out, sources):
        if path.name != "reasons.csv":
            path.write_bytes(mend(path.read_bytes()))
    again = open_sources(mended(specs, out), folder)
    assert {name: source.columns() for name, source in again.items()} == {n: s.columns() for n, s in sources.items()}
    return first, _rows(again, Rejects())


def test_several_reasons_for_a_record_count_once(tmp_path) -> None:
    specs = _sources(tmp_path, {"a.csv": b"a,b\nx,y\n"}, s={"path": "a.csv", "types": {"a": "int", "b": "int"}})
    rejects = Rejects(1)
    _rows(open_sources(specs, tmp_path), rejects)
    assert (len(rejects), [reject.column for reject in rejects.items()]) == (1, ["a", "b"])
    assert rejects.of("s") == rejects.of("s", "a.csv") == [0]
    assert rejects.of("s", "b.csv") == []


def test_the_limit(tmp_path) -> None:
    data = b"a\n" + b"".join(b"x%d\n" % number for number in range(30))
    source = open_sources(_sources(tmp_path, {"a.csv": data}, s={"path": "a.csv"}), tmp_path)["s"]
    rejects = Rejects(2)
    rejects.add(source, "a.csv", 3, "a", "x3", "is odd")
    rejects.add(source, "a.csv", 3, "a", "x3", "is odd")
    rejects.add(source, "a.csv", 7, None, b"x\x1b[31m\xff", "is odd")
    with pytest.raises(RejectedError) as caught:
        rejects.add(source, "a.csv", 9, None, "y" * 500, "is odd; make it even")
    told = str(caught.value).splitlines()
    assert told[0] == "a.csv:5: column a: is odd, got 'x3'"
    assert told[1] == r"a.csv:9: is odd, got 'x\x1b[31m\\xff'"
    assert told[2].startswith("a.csv:11: is odd, got 'yyy")
    assert told[2].endswith("…; make it even")
    assert len(told[2]) < 130
    assert told[3] == (
        "3 records can't be used so far, more than the 2 that --max-rejects allows; mend the source, or go on without "
        "them with --max-rejects N"
    )
    assert [reject.line for reject in caught.value.rejects] == [5, 9, 11]
    with pytest.raises(RejectedError, match="… and 10 more"):
        Rejects().extend(source, "a.csv", [_fault(number) for number in range(30)])
    with pytest.raises(InputError, match="at least 0, got -1"):
        Rejects(-1)


def _fault(number: int):
    from cortigraph.tables.base import Fault

    return Fault(number, "a", "x", "is odd")


def test_text_formats_come_back_when_mended(tmp_path) -> None:
    files = {
        "a.csv": b'name,age\r\n"two\r\nlines, ""q""",bad\r\nAda,36\r\nBob,bad,\r\n\xff,7\r\n',
        "b.tsv": b"1\tbad\n2\t7\n",
        "t.txt": b"a\tr\tb\nbad\na\tr\tc\n",
        "j.jsonl": b'{"a": 1, "b": "x"}\n{"a": "bad"}\n{bad\n',
        "o.json": b'{"x": {"n": 1.5},\n "y": {"n": "bad"}}',
        "l.json": b'[{"n": 1}, {"n": {"bad": 1}}]',
        "good.csv": b"p,q\n1,2\n",
    }
    specs = _sources(
        tmp_path,
        files,
        a={"path": "a.csv", "types": {"age": "int"}},
        b={"path": "b.tsv", "header": ["x", "y"], "types": {"y": "int"}},
        t={"path": "t.txt", "format": "triples"},
        j={"path": "j.jsonl"},
        o={"path": "o.json"},
        l={"path": "l.json"},
        good={"path": "good.csv"},
    )

    def mend(data: bytes) -> bytes:
        assert b"bad" in data
        for wrong, right in (
            (b"Bob,bad,", b"Bob,8"), (b"\xff", "é".encode()), (b"{bad", b'{"a": 9}'), (b'{"bad": 1}', b"5"),
            (b'"bad"', b"6"), (b"\nbad\n", b"\n"), (b",bad\n", b",4\n"), (b"\tbad", b"\t4"), (b"bad\n", b"q\tr\ts\n"),
        ):  # fmt: skip
            data = data.replace(wrong, right)
        return data

    first, again = _round(tmp_path, specs, mend)
    assert first["a"] == [{"name": "Ada", "age": 36}]
    assert again == {
        "a": [{"name": 'two\r\nlines, "q"', "age": 4}, {"name": "Bob", "age": 8}, {"name": "é", "age": 7}],
        "b": [{"x": "1", "y": 4}],
        "t": [{"head": "q", "relation": "r", "tail": "s"}],
        "j": [{"a": 6, "b": None}, {"a": 9, "b": None}],
        "o": [{"_key": "y", "n": 6.0}],
        "l": [{"n": 5}],
        "good": [],
    }


def test_parquet_and_tables_come_back_with_their_types(tmp_path) -> None:
    day = datetime.date(2024, 5, 31)
    table = pa.table({"id": ["a", "b"], "day": [day, day], "f": [1.0, float("nan")], "l": [[1], [2]]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    specs = _sources(tmp_path, {"p.parquet": sink.getvalue()}, p={"path": "p.parquet"})
    frame = pd.DataFrame({"k": [1, "x"], "when": pd.to_datetime(["2024-01-01", "2024-01-02"])})

    def mend(data: bytes) -> bytes:
        return data.replace(b"NaN", b"2").replace(b'"x"', b"2")

    first, again = _round(tmp_path, specs, mend, {"f": frame, "t": pa.table({"good": [1]})})
    assert [row["id"] for row in first["p"]] == ["a"]
    assert again == {
        "p": [{"id": "b", "day": day, "f": 2.0, "l": [2]}],
        "f": [{"k": 2, "when": datetime.datetime(2024, 1, 2)}],
        "t": [],
    }


def test_rejects_that_are_not_mended_are_rejected_again(tmp_path) -> None:
    files = {"a.csv": b"a,b\n1,x\n2,3,4\n", "j.jsonl": b'{"a": "x"}\n{"a": {"b": 1}}\n{"a": 7}\n'}
    specs = _sources(
        tmp_path, files, a={"path": "a.csv", "types": {"b": "int"}}, j={"path": "j.jsonl", "header": ["z"]}
    )
    rejects = Rejects(9)
    _rows(open_sources(specs, tmp_path), rejects)
    rejects.write(tmp_path / "out")
    again = Rejects(9)
    rows = _rows({"a": open_sources(mended(specs, tmp_path / "out"), tmp_path)["a"]}, again)
    assert (rows, len(again)) == ({"a": []}, 2)


def test_the_job_may_be_mended_instead_of_the_records(tmp_path) -> None:
    specs = _sources(tmp_path, {"a.csv": b"a\nx\n"}, a={"path": "a.csv", "types": {"a": "int"}})
    rejects = Rejects(9)
    _rows(open_sources(specs, tmp_path), rejects)
    rejects.write(tmp_path / "out")
    looser = {"a": SourceSpec(path="a.csv")}
    assert _rows(open_sources(mended(looser, tmp_path / "out"), tmp_path), Rejects()) == {"a": [{"a": "x"}]}


def test_reasons_and_files(tmp_path) -> None:
    files = {"a.csv": b"\xef\xbb\xbfa,b\n1,x\n", "b.csv": b"a,b\n1,2\n3,y\n"}
    specs = _sources(tmp_path, files, s={"path": ["a.csv", "b.csv"], "types": {"b": "int"}})
    rejects = Rejects(9)
    _rows(open_sources(specs, tmp_path), rejects)
    written = rejects.write(tmp_path / "out")
    assert [path.name for path in written] == ["s.csv", "reasons.csv"]
    assert written[0].read_bytes() == b"a,b\n1,x\n3,y\n"
    with written[1].open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["source", "file", "line", "column", "value", "reason"],
            ["s", "a.csv", "2", "b", "'x'", "expected a whole number"],
            ["s", "b.csv", "3", "b", "'y'", "expected a whole number"],
        ]
    with pytest.raises(InputError, match="holds rejects already"):
        rejects.write(tmp_path / "out")
