"""Tables of scenes are read as those of jobs: any format, any delimiter, long texts, headers with blanks."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.train.data import DataError, Dataset, DataSpec, load
from cortigraph.train.data.kinds import check_any

ROWS = [(f"{('good', 'bad')[index % 2]} words of text {index}", ("pos", "neg")[index % 2]) for index in range(20)]


def lines(delimiter: str = ",", header: str = "words,label", quote: str = '"') -> str:
    """The rows as text between delimiters."""
    head = [header.replace(",", delimiter)] if header else []
    return "\n".join([*head, *(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in ROWS)]) + "\n"


def _csv(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


def _gz(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(gzip.compress(text.encode()))


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"words": [w for w, _ in ROWS], "label": [label for _, label in ROWS]}), path)


OBJECTS = [{"words": words, "label": label, "more": {"nested": [1]}} for words, label in ROWS]
WAYS: dict[str, tuple[str, Callable[[Path], object], dict[str, Any]]] = {
    "plain": ("t.csv", _csv(lines()), {}),
    "byte order mark": ("t.csv", _csv("\ufeff" + lines()), {}),
    "semicolons": ("t.csv", _csv(lines(";")), {"delimiter": ";"}),
    "pipes": ("t.csv", _csv(lines("|", quote="'")), {"delimiter": "|", "quote": "'"}),
    "tabs": ("t.tsv", _csv(lines("\t", quote="")), {}),
    "no header": ("t.csv", _csv(lines(header="")), {"header": ["words", "label"]}),
    "blanks in the header": ("t.csv", _csv(lines(header=" words , label")), {}),
    "blanks in the cells": ("t.csv", _csv(lines(header="words,label", quote=" ")), {}),
    "packed": ("t.csv.gz", _gz(lines()), {}),
    "another ending": ("t.dat", _csv(lines()), {"format": "csv"}),
    "parquet": ("t.parquet", _parquet, {}),
    "json": ("t.json", _csv(json.dumps(OBJECTS)), {}),
    "json lines": ("t.jsonl", _csv("\n".join(map(json.dumps, OBJECTS))), {}),
}


def read(folder: Path, cache: Path, name: str, **more: Any) -> Dataset:
    inputs = {"words": {"modality": "text", "column": "words", "tokens": 8}}
    spec = DataSpec.parse({"table": name, "inputs": inputs, **more})
    check_any(spec, folder)
    return load(spec, folder, cache)


@pytest.mark.parametrize("way", WAYS)
def test_a_table_is_the_same_however_it_is_written(way: str, tmp_path: Path, cache: Path) -> None:
    _csv(lines())(tmp_path / "plain.csv")
    name, write, more = WAYS[way]
    write(tmp_path / name)
    found = read(tmp_path, cache, name, **more)
    assert found.fingerprint == read(tmp_path, cache, "plain.csv").fingerprint
    assert found.classes == ["neg", "pos"]


def test_long_texts_are_read(tmp_path: Path, cache: Path) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("words", "label"), *ROWS, ("long " * 40_000, "pos")])
    assert len(read(tmp_path, cache, "t.csv")) == 21


def test_another_delimiter_is_guessed(tmp_path: Path, cache: Path) -> None:
    _csv(lines(";"))(tmp_path / "t.csv")
    with pytest.raises(DataError) as caught:
        read(tmp_path, cache, "t.csv")
    assert "data.target: t.csv has no column 'label'" in str(caught.value)
    assert 'give `delimiter: ";"`' in str(caught.value)


def test_words_for_nothing_are_empty_cells(tmp_path: Path, cache: Path) -> None:
    _csv(lines() + "n/a,pos\n")(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv row 21: 'words' is empty"):
        read(tmp_path, cache, "t.csv", missing=["", "n/a"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (lines() + "a,b,c\n", r"t\.csv:22: expected 2 columns, got 3"),
        (lines() + 'a,"b\n', r"t\.csv:22: a quote that opens in this record is never closed"),
        ("words,label,words\na,b,c\n", "more than one column 'words'"),
        ("words,label\n", "lists no samples"),
        ("", r"t\.csv is empty|no header"),
    ],
)
def test_what_is_wrong_is_told_by_line(text: str, reason: str, tmp_path: Path, cache: Path) -> None:
    _csv(text)(tmp_path / "t.csv")
    with pytest.raises(DataError, match=reason):
        read(tmp_path, cache, "t.csv")


@pytest.mark.parametrize("cells", [[1.0, None], [1.0, float("nan")], [2.0**53, 2.0**53 + 2]])
def test_a_number_that_names_no_class_is_told(cells: list[float | None], tmp_path: Path, cache: Path) -> None:
    pq.write_table(pa.table({"words": [w for w, _ in ROWS], "label": pa.array(cells * 10)}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet row 2: 'label' is empty|t\.parquet, record \d"):
        read(tmp_path, cache, "t.parquet")


def test_settings_of_a_table_are_checked(tmp_path: Path) -> None:
    inputs = {"words": {"modality": "text", "column": "words"}}
    with pytest.raises(DataError, match="delimiter must be one ASCII character"):
        DataSpec.parse({"table": "t.csv", "inputs": inputs, "delimiter": ";;"})
    with pytest.raises(DataError, match="delimiter: a folder of classes has no table"):
        DataSpec.parse({"folder": "t", "inputs": {"words": {"modality": "text"}}, "delimiter": ";"})
