"""What can't be read is refused with file, line, column, value and reason, whatever the format."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.tables.rejects import RejectedError, Rejects
from cortigraph.tables.spec import SourceSpec, open_sources


def _open(folder, name: str, data: bytes, **spec):
    (folder / name).write_bytes(data)
    return open_sources({"s": SourceSpec(path=name, **spec)}, folder)["s"]


def _refused(source) -> list[tuple]:
    rejects = Rejects(100)
    list(source.blocks(rejects))
    return [(reject.line, reject.column, reject.value, reject.reason) for reject in rejects.items()]


CELLS = [
    ("int", b"x7", "'x7'", "expected a whole number"),
    ("int", b"1.0", "'1.0'", "expected a whole number"),
    ("int", b"0x1A", "'0x1A'", "expected a whole number"),
    ("int", b"9223372036854775808", "'9223372036854775808'", "does not fit in 64 bits"),
    ("float", b"x", "'x'", "expected a number"),
    ("float", b"NaN", "'NaN'", "leave it empty, or name it under `missing`"),
    ("float", b"-inf", "'-inf'", "leave it empty, or name it under `missing`"),
    ("float", b"1e999", "'1e999'", "leave it empty, or name it under `missing`"),
    ("bool", b"yes", "'yes'", "expected true or false"),
    ("date", b"2024-02-30", "'2024-02-30'", "expected a date such as"),
    ("datetime", b"2024-02-30", "'2024-02-30'", "expected a date and time"),
    ("datetime", b"2024-05-31T10:00:00Z", "'2024-05-31T10:00:00Z'", "without a zone"),
    ("list[int]", b"1|x", "'1|x'", "got 'x'"),
    ("vector[3]", b"1|2", "'1|2'", "expected a vector of 3 numbers, got 2"),
    ("vector[3]", b'"[1,2,3,4]"', "'[1,2,3,4]'", "expected a vector of 3 numbers, got 4"),
    ("vector[3]", b"[]", "'[]'", "expected a vector of 3 numbers, got 0"),
    ("vector[3]", b"1|2|nan", "'1|2|nan'", "expected a finite number"),
    ("text", b"\xff\xfe", r"'\\xff\\xfe'", "is not UTF-8 (byte 0xff at 0)"),
    ("text", b"x" * 101, None, "has 101 bytes, and `longest` allows 100"),
]
GOOD = {
    "int": b"1", "float": b"1.5", "bool": b"true", "date": b"2024-05-31", "datetime": b"2024-05-31T10:00:00",
    "list[int]": b"1|2", "vector[3]": b"1|2|3", "text": b"x",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "cell", "value", "reason"), CELLS)
def test_a_cell(tmp_path, kind, cell, value, reason) -> None:
    data = b'id,c\na,%b\n\n"two\nlines",%b\nb,%b\nd,\n' % (GOOD[kind], GOOD[kind], cell)
    source = _open(tmp_path, "people.csv", data, types={"c": kind}, longest=100)
    ((line, column, told, why),) = _refused(source)
    assert (line, column) == (6, "c")
    assert value is None or told == value
    assert reason in why
    with pytest.raises(RejectedError, match=r"people\.csv:6: column c: "):
        list(source.blocks(Rejects()))
    blocks = list(source.blocks(Rejects(1)))
    assert [record for block in blocks for record in block.records.tolist()] == [0, 1, 3]


def test_an_error_names_file_line_column_expected_got_and_remedy(tmp_path) -> None:
    source = _open(tmp_path, "people.csv", b"name,age\nAda,36\nBob,x7\n", types={"age": "int"})
    with pytest.raises(RejectedError) as caught:
        list(source.blocks(Rejects()))
    assert str(caught.value).splitlines() == [
        "people.csv:3: column age: expected a whole number, got 'x7'",
        "1 record can't be used so far; mend the source, or go on without them with --max-rejects N",
    ]


@pytest.mark.parametrize("quoted", [b"x", b'"x,\n"'])
def test_wrong_number_of_columns(tmp_path, quoted) -> None:
    data = b"a,b\n%b,1\n1,2,3\nonly\n\xff,\xff,\xff\n2,3\n" % quoted
    line = 3 + quoted.count(b"\n")
    source = _open(tmp_path, "a.csv", data)
    assert [(found[0], found[1], found[3]) for found in _refused(source)] == [
        (line, None, "expected 2 columns, got 3"),
        (line + 1, None, "expected 2 columns, got 1"),
        (line + 2, None, "expected 2 columns, got 3"),
    ]
    assert [block.records.tolist() for block in source.blocks(Rejects(9))] == [[0, 4]]


def test_many_faults_are_found_in_their_places(tmp_path) -> None:
    rows = [b"%d\t%b" % (i, b"x" if i % 997 == 5 else b"%d" % i) for i in range(200_000)]
    rows[1234] = b"1\t2\t3"
    source = _open(tmp_path, "a.tsv", b"a\tb\n" + b"\n".join(rows), types={"b": "int"})
    rejects = Rejects(10_000)
    blocks = list(source.blocks(rejects))
    bad = {i for i in range(200_000) if i % 997 == 5} | {1234}
    assert set(rejects.of("s")) == bad
    kept = np.concatenate([block.records for block in blocks])
    assert set(kept.tolist()) == set(range(200_000)) - bad
    numbers = np.concatenate([block.table["b"].to_numpy() for block in blocks])
    assert np.array_equal(numbers, kept)
    assert {reject.line for reject in rejects.items()} == {i + 2 for i in bad}


def test_a_quote_that_never_closes(tmp_path) -> None:
    ((line, column, _, reason),) = _refused(_open(tmp_path, "a.csv", b'a,b\n1,2\n3,"4\n5,6\n'))
    assert (line, column) == (3, None)
    assert "never closed" in reason


def test_a_record_beyond_all_bounds_is_an_error_of_the_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cortigraph.tables.delimited._SLACK", 1 << 20)
    source = _open(tmp_path, "a.csv", b'a,b\n1,2\n3,"' + b"x\n" * (4 << 20), longest=10)
    with pytest.raises(InputError, match=r"a\.csv:3: the record that starts here .* a quote that opens in it"):
        list(source.blocks(Rejects(9)))


def test_embedded_nul_is_text(tmp_path) -> None:
    (block,) = _open(tmp_path, "a.csv", b"a,b\nx\0y,\0\n").blocks(Rejects())
    assert block.table.to_pylist() == [{"a": "x\0y", "b": "\0"}]


JSON = [
    (b'{"a": 1', None, "is not JSON: "),
    (b'{"a": 1} {"a": 2}', None, "is not JSON: Extra data"),
    (b"[1]", None, "expected an object {…}, got [1]"),
    (b'{"a": {"x": 1}}', "a", "nested object, which a property can't; give the column the type text"),
    (b'{"a": [[1]]}', "a", "expected int as in the rest of the column, got a list"),
    (b'{"l": [[1]]}', "l", "nested list, which a property can't; give the column the type text"),
    (b'{"l": [1, null]}', "l", "null within a list"),
    (b'{"l": [1, "x"]}', "l", "expected int as in the rest of the column, got text"),
    (b'{"a": "x"}', "a", "expected int as in the rest of the column, got text"),
    (b'{"a": true}', "a", "got a truth value"),
    (b'{"a": 9223372036854775808}', "a", "does not fit in 64 bits"),
    (b'{"f": NaN}', "f", "name it under `missing`"),
    (b'{"f": 1e999}', "f", "name it under `missing`"),
    (b'{"t": "\\ud800"}', "t", "half of a surrogate pair"),
    (b'{"t": "\xff"}', None, "is not UTF-8 (byte 0xff at 7)"),
    (b'{"t": "' + b"x" * 101 + b'"}', "t", "has 101 bytes, and `longest` allows 100"),
    (b'{"v": [1]}', "v", "expected a vector of 2 numbers, got 1"),
    (b'{"v": [1, NaN]}', "v", "expected a finite number"),
    (b'{"v": "1"}', "v", "expected a vector of 2 numbers, got 1"),
    (b'{"d": "2024-13-01"}', "d", "expected a date such as"),
    (b'{"a": 1, "a": 2}', None, "has the key 'a' twice"),
    (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "is not JSON that can be read"),
]


@pytest.mark.parametrize(("line", "column", "reason"), JSON, ids=[str(line[:24]) for line, _, _ in JSON])
def test_a_line_of_json(tmp_path, line, column, reason) -> None:
    first = b'{"a": 1, "l": [1], "f": 1.5, "t": "x", "v": [1, 2], "d": "2024-05-31"}\n'
    source = _open(
        tmp_path, "a.jsonl", first + b"\n" + line + b"\n" + first, types={"v": "vector[2]", "d": "date"}, longest=100
    )
    ((found, where, _, why),) = _refused(source)
    assert (found, where) == (3, column)
    assert reason in why
    assert [block.records.tolist() for block in source.blocks(Rejects(1))] == [[0, 2]]


def test_a_key_that_comes_up_late(tmp_path) -> None:
    data = b'{"a": 1, "pad": "%b"}\n' % (b"x" * 400) * 6_000 + b'{"a": 1, "b": 2}\n'
    ((line, _, _, reason),) = _refused(_open(tmp_path, "a.jsonl", data))
    assert line == 6_001
    assert "has 'b', which the first records do not have; name it under `header`" in reason
    assert _refused(_open(tmp_path, "a.jsonl", data, header=["a", "b"])) == []


def test_a_float_that_comes_up_late(tmp_path) -> None:
    data = b'{"a": 1, "pad": "%b"}\n' % (b"x" * 400) * 6_000 + b'{"a": 1.5}\n'
    ((line, column, _, reason),) = _refused(_open(tmp_path, "a.jsonl", data))
    assert (line, column) == (6_001, "a")
    assert "expected int as in the rest of the column, got a float" in reason
    assert _refused(_open(tmp_path, "a.jsonl", data, types={"a": "float"})) == []


def test_broken_json_names_its_line(tmp_path) -> None:
    for data, line in (
        (b'[{"a": 1},\n {"a": 2},,\n]', 2), (b'[{"a": 1}\n', 2), (b'[{"a": 1}]\n[', 2), (b"\n7", 2),
        (b'{"x":\n {"a": 1, "a": 2}}', 1), (b'[\n"\xff"]', 2),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"a\.json:{line}: "):
            _open(tmp_path, "a.json", data)


def test_json_in_one_piece(tmp_path) -> None:
    source = _open(tmp_path, "a.json", b'[{"a": 1},\n {"a": "x"},\n 7]')
    assert [(line, column) for line, column, _, _ in _refused(source)] == [(2, "a"), (3, None)]


def test_a_gzip_has_lines_too(tmp_path) -> None:
    source = _open(tmp_path, "a.csv.gz", gzip.compress(b"a\r\n1\r\n\r\nx\r\n"), types={"a": "int"})
    assert [found[:3] for found in _refused(source)] == [(4, "a", "'x'")]


def test_parquet(tmp_path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"\xffa")]
    )
    table = pa.table(
        {
            "u": pa.array([1, 2**63], pa.uint64()),
            "f": [float("nan"), 1.0],
            "t": bad,
            "v": [[1.0, 2.0], [1.0]],
            "i": ["1", "x"],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    source = _open(tmp_path, "p.parquet", sink.getvalue(), types={"v": "vector[2]", "i": "int"})
    rejects = Rejects(9)
    assert list(source.blocks(rejects)) == []
    told = {(reject.record, reject.column): reject.reason for reject in rejects}
    assert {key: reason[:22] for key, reason in told.items()} == {
        (0, "f"): "expected a finite numb", (0, "t"): "is not UTF-8 (byte 0xf", (1, "u"): "does not fit in 64 bit",
        (1, "v"): "expected a vector of 2", (1, "i"): "expected a whole numbe",
    }  # fmt: skip
    assert len(rejects) == 2
    with pytest.raises(RejectedError, match=r"p\.parquet, record 1: column f: expected a finite number, got nan"):
        list(source.blocks(Rejects()))


def test_parquet_nan_is_missing_where_named(tmp_path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"f": [float("nan"), 1.0]}), sink)
    (block,) = _open(tmp_path, "p.parquet", sink.getvalue(), missing=["NaN"]).blocks(Rejects())
    assert block.table["f"].to_pylist() == [None, 1.0]


def test_objects_in_pandas(tmp_path) -> None:
    source = open_sources({}, tmp_path, {"f": pd.DataFrame({"a": [1, "x", {"y": 1}, None]})})["f"]
    rejects = Rejects(9)
    (block,) = source.blocks(rejects)
    assert block.records.tolist() == [0, 3]
    assert [json.loads(raw) for _, raw in source.locate("f", [1, 2]).values()] == [{"a": "x"}, {"a": {"y": 1}}]
