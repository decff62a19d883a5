"""New samples that a table lists: read by the rules of the tables that are learned from, or told by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.tables.table_spec import TableSpec
from cortigraph.train.data import DataError, Dataset, decode_inputs
from cortigraph.train.data.listed import list_new

from .conftest import Maker


@pytest.fixture
def here(maker_of_dataset: Maker, tmp_path: Path) -> Path:
    """A folder with a few of the data set's files."""
    for index in range(3):
        for ending in ("png", "wav"):
            (tmp_path / f"{index}.{ending}").write_bytes((maker_of_dataset.root / f"{index}.{ending}").read_bytes())
    return tmp_path


def csv(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def parquet(**columns: object) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.table(columns), path)


def held(path: Path) -> None:
    """Pictures inside, sounds as paths."""
    cells = [{"bytes": (path.parent / f"{index}.png").read_bytes(), "path": None} for index in range(3)]
    parquet(image=cells, sound=[f"{index}.wav" for index in range(3)])(path)


PNGS, WAVS = ["0.png", "1.png", "2.png"], ["0.wav", "1.wav", "2.wav"]
GOOD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "as learned": ("t.csv", csv("image,sound\n0.png,0.wav\n1.png,1.wav\n2.png,2.wav\n")),
    "by input": ("t.csv", csv("audio,image\n0.wav,0.png\n1.wav,1.png\n2.wav,2.png\n")),
    "more columns": ("t.csv", csv("id,image,sound,label\n7,0.png,0.wav,\n8,1.png,1.wav,x\n9,2.png,2.wav,\n")),
    "blanks": ("t.csv", csv(" image, sound\n 0.png, 0.wav\n 1.png ,1.wav\n2.png,2.wav \n")),
    "tabs": ("t.tsv", csv("image\tsound\n0.png\t0.wav\n1.png\t1.wav\n2.png\t2.wav\n")),
    "parquet": ("t.parquet", parquet(image=PNGS, sound=WAVS, more=[[1], [2], None])),
    "pictures inside": ("t.parquet", held),
}


@pytest.mark.parametrize("way", GOOD)
def test_tables_are_read_as_those_learned_from(way: str, here: Path, dataset: Dataset) -> None:
    name, write = GOOD[way]
    write(here / name)
    samples = list_new(here / name, dataset.transforms, folder=here)
    assert len(samples) == 3
    for which, values in decode_inputs(dataset.transforms, samples).items():
        np.testing.assert_array_equal(values, dataset.inputs[which][:3])


def test_a_delimiter_that_was_told_holds_for_tables_of_that_format(here: Path, dataset: Dataset) -> None:
    told = TableSpec(format="csv", delimiter=";")
    csv("image;sound\n0.png;0.wav\n")(here / "t.csv")
    parquet(image=PNGS, sound=WAVS)(here / "t.parquet")
    assert len(list_new(here / "t.csv", dataset.transforms, told)) == 1
    assert len(list_new(here / "t.parquet", dataset.transforms, told)) == 3
    with pytest.raises(DataError, match='give `delimiter: ";"`'):
        list_new(here / "t.csv", dataset.transforms)
    assert len(list_new(here / "t.csv", dataset.transforms, delimiter=";")) == 1
    with pytest.raises(DataError, match="delimiter must be one ASCII character"):
        list_new(here / "t.csv", dataset.transforms, delimiter="::")


def test_types_hold_for_what_is_fed_alone(here: Path, dataset: Dataset) -> None:
    told = TableSpec(format="csv", types={"label": "int", "image": "text"})
    for text in ("image,sound\n0.png,0.wav\n", "image,sound,label\n0.png,0.wav,x\n"):
        csv(text)(here / "t.csv")
        assert len(list_new(here / "t.csv", dataset.transforms, told)) == 1


def test_the_column_that_was_learned_from_goes_before_the_name_of_the_input(here: Path, dataset: Dataset) -> None:
    csv("audio,image,sound\nby hand,0.png,1.wav\n")(here / "t.csv")
    assert Path(list_new(here / "t.csv", dataset.transforms)[0]["audio"]).name == "1.wav"  # type: ignore[arg-type]


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "null": ("t.parquet", parquet(image=["0.png", None], sound=WAVS[:2]), r"t\.parquet row 2: 'image' is empty"),
    "NaN": (
        "t.parquet",
        parquet(image=[float("nan")] * 2, sound=WAVS[:2]),
        r"t\.parquet, record 1: column image: expected a finite number",
    ),
    "empty": ("t.csv", csv("image,sound\n0.png,0.wav\n1.png, \n"), r"t\.csv row 2: 'sound' is empty"),
    "missing": ("t.csv", csv("image,sound\n9.png,0.wav\n"), r"t\.csv row 1: no file .*9\.png"),
    "no column": ("t.csv", csv("image\n0.png\n"), "input 'audio': t.csv has no column 'sound'"),
    "no rows": ("t.csv", csv("image,sound\n"), "lists no samples"),
    "no table": ("t.parquet", csv("nothing"), r"t\.parquet"),
    "out": ("t.parquet", parquet(image=[{"bytes": None, "path": "../a.png"}], sound=WAVS[:1]), "leads out of"),
    "numbers": ("t.parquet", parquet(image=[[[1.0]]], sound=WAVS[:1]), "column 'image' holds list"),
    "nowhere": ("t.csv", lambda path: None, "no file"),
}


@pytest.mark.parametrize("way", BAD)
def test_what_is_wrong_is_told_by_row(way: str, here: Path, dataset: Dataset) -> None:
    name, write, reason = BAD[way]
    write(here / name)
    with pytest.raises(DataError, match=reason):
        list_new(here / name, dataset.transforms, folder=here)


def test_what_cannot_be_decoded_is_told_by_row(here: Path, dataset: Dataset) -> None:
    (here / "1.png").write_text("no picture")
    csv("image,sound\n0.png,0.wav\n1.png,1.wav\n")(here / "t.csv")
    with pytest.raises(DataError, match=r"^t\.csv row 2: .*1\.png is not an image"):
        decode_inputs(dataset.transforms, list_new(here / "t.csv", dataset.transforms))
