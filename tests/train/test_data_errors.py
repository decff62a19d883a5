"""Every mistake a user can make with data gives one readable error, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from cortigraph.train.data import DataError, DataSpec, load
from cortigraph.train.data.text import TextDecoder

from .conftest import RATE, Maker

Make = Callable[[], Maker]


def said(maker: Maker, cache: Path, *inputs: str, **more: object) -> str:
    """What loading complains of."""
    with pytest.raises(DataError) as caught:
        load(maker.spec(*inputs, **more), maker.root, cache)
    assert not list(cache.glob("[0-9a-f]*/")), "nothing half made is left"
    return str(caught.value)


def test_a_missing_file_is_named_with_its_row(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    (made.root / "4.png").unlink()
    assert "samples.csv row 5: no file" in said(made, cache, "image")


def test_a_sound_given_as_an_image_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.rows[2]["image"] = "2.wav"
    made.write()
    message = said(made, cache, "image")
    assert "row 3" in message
    assert "2.wav is not an image that can be read (unknown format); its name says sound" in message


def test_an_image_given_as_a_sound_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.rows[2]["sound"] = "2.png"
    made.write()
    assert "2.png is not a sound that can be read (unknown format); its name says picture" in said(made, cache, "audio")


def test_a_file_cut_short_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    (made.root / "1.png").write_bytes((made.root / "1.png").read_bytes()[:60])
    (made.root / "3.wav").write_bytes(b"")
    message = said(made, cache, "image", "audio")
    assert "row 2" in message
    assert "row 4" in message


def test_a_column_that_is_missing_is_guessed(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    message = said(made, cache, "image", target="lable", split={"group": "speakers"})
    assert "data.target: samples.csv has no column 'lable'; did you mean label?" in message
    assert "data.split.group" in message


def test_a_label_that_occurs_once_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.sample(12, 7)
    made.write()
    assert "row 13: label '7' occurs once, so it cannot be in train and in test" in said(made, cache, "image")


def test_a_class_absent_from_train_is_named(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(12):
        made.sample(index, index % 3, split="test" if index % 3 == 2 else ["train", "val", "test", "train"][index // 3])
    made.write()
    message = said(made, cache, "image", split={"column": "split"})
    assert message == "label '2' (4 samples) is absent from the train split"


def test_an_empty_split_is_named(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(12):
        made.sample(index, index % 3, split="test" if index > 8 else "train")
    made.write()
    assert "the valid split is empty" in said(made, cache, "image", split={"column": "split"})


def test_a_split_that_is_none_is_named(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(12):
        made.sample(index, index % 3, split=["train", "valid", "test", "tset"][index // 3])
    made.write()
    assert "row 10: 'split' is 'tset'; expected train, valid or test" in said(
        made, cache, "image", split={"column": "split"}
    )


def test_the_same_file_in_two_splits_is_a_leak(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(12):
        made.sample(index, index % 3, split=["train", "train", "valid", "test"][index // 3])
    made.write()
    (made.root / "11.png").write_bytes((made.root / "2.png").read_bytes())
    message = said(made, cache, "image", split={"column": "split"})
    assert "row 3 and row 12: the same image is in two splits, '2.png' (train) and '11.png' (test)" in message


def test_the_same_text_in_two_splits_is_a_leak_where_texts_are_the_samples(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(12):
        made.sample(index, index % 3, split=["train", "train", "valid", "test"][index // 3])
    made.rows[11]["words"] = made.rows[2]["words"]
    made.write()
    assert "the same text is in two splits" in said(made, cache, "text", split={"column": "split"})
    load(made.spec("image", "text", split={"column": "split"}), made.root, cache)


def test_nan_in_a_sound_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    wave = np.zeros(1600, np.float32)
    wave[5] = np.nan
    soundfile.write(made.root / "7.wav", wave, RATE, subtype="FLOAT")
    assert "row 8" in said(made, cache, "audio")
    assert "holds 1 samples that are NaN" in said(made, cache, "audio")


def test_infinity_in_an_image_is_named(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.rows[0]["image"] = "deep.tif"
    made.write()
    Image.fromarray(np.full((12, 12), np.inf, np.float32)).save(made.root / "deep.tif")
    assert "holds NaN or infinite values" in said(made, cache, "image")


@pytest.mark.parametrize("column", ["image", "label", "words"])
def test_an_empty_cell_is_named(maker: Make, cache: Path, column: str) -> None:
    made = maker().samples(12)
    made.rows[5][column] = " "
    made.write()
    assert f"row 6: {column!r} is empty" in said(made, cache, "image", "text")


def test_all_problems_come_at_once_and_are_counted(maker: Make, cache: Path) -> None:
    made = maker().samples(60)
    made.rows[0]["label"] = ""
    made.write()
    for index in range(10, 40):
        (made.root / f"{index}.png").unlink()
    (made.root / "50.png").write_bytes(b"no image")
    message = said(made, cache, "image")
    assert message.startswith("32 problems:")
    assert "row 1: 'label' is empty" in message
    assert message.endswith("… and 12 more")


def test_an_empty_table_is_refused(maker: Make, cache: Path) -> None:
    made = maker().samples(1)
    made.rows = made.rows[:1]
    made.write()
    table = made.root / "samples.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    assert "lists no samples" in said(made, cache, "image")
    table.write_text("")
    assert "is empty" in said(made, cache, "image")


def test_a_table_that_cannot_be_read_is_refused(maker: Make, cache: Path) -> None:
    made = maker().samples(1)
    table = made.write()
    table.write_bytes(b"\xff\xfe\x00a,b\n")
    assert "is UTF-16; save it as UTF-8" in said(made, cache, "image")
    table.write_text("image,label\na.png\n")
    assert "samples.csv:2: expected 2 columns, got 1" in said(made, cache, "image")
    (made.root / "samples.parquet").write_bytes(b"PAR1 no")
    spec = DataSpec.parse({"table": "samples.parquet", "inputs": {"image": {"modality": "image", "column": "image"}}})
    with pytest.raises(DataError, match=r"samples\.parquet"):
        load(spec, made.root, cache)
    with pytest.raises(DataError, match="no file"):
        load(made.spec("image"), made.root / "elsewhere", cache)


@pytest.mark.parametrize("way", ["../secret.png", "absolute", "link.png"])
def test_no_path_leads_out_of_the_folder(maker: Make, cache: Path, way: str) -> None:
    made = maker().samples(12)
    secret = made.root.parent / "secret.png"
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(secret)
    (made.root / "link.png").symlink_to(secret)
    made.rows[0]["image"] = str(secret) if way == "absolute" else way
    made.write()
    assert "leads out of" in said(made, cache, "image")
    load(made.spec("image", allow_outside=True), made.root, cache)


def test_numbers_are_not_taken_for_classes(maker: Make, cache: Path) -> None:
    made = maker().samples(40)
    for index, row in enumerate(made.rows):
        row["label"] = index * 0.37
    made.write()
    assert "they look like numbers or names, not classes" in said(made, cache, "image")


def test_a_spec_is_checked_as_a_whole() -> None:
    with pytest.raises(DataError) as caught:
        DataSpec.parse({"tabel": "x", "inputs": {"image": {"modality": "smell"}, "A": {"modality": "text", "size": 3}}})
    assert len(caught.value.problems) >= 3
    with pytest.raises(DataError, match="tokens is not for modality 'image'"):
        DataSpec.parse({"table": "t.csv", "inputs": {"image": {"modality": "image", "column": "i", "tokens": 3}}})
    with pytest.raises(DataError, match="either table"):
        DataSpec.parse({"inputs": {"image": {"modality": "image"}}})
    with pytest.raises(DataError, match="would be given the answer"):
        DataSpec.parse({"table": "t.csv", "inputs": {"x": {"modality": "text", "column": "label"}}})
    with pytest.raises(DataError, match="sum to 1"):
        DataSpec.parse({"folder": "t", "inputs": {"x": {"modality": "text"}}, "split": {"fractions": [0.5, 0.2, 0.2]}})


def test_half_of_a_character_is_told() -> None:
    with pytest.raises(DataError, match="holds half of a surrogate pair; write it as UTF-8"):
        TextDecoder(8).decode("a \udcff")
