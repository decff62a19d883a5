"""Classes, splits and groups are what a reader takes them for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cortigraph.train.data import Dataset, DataSpec, load
from cortigraph.train.data.labels import alike, normal, normal_cells

from .conftest import Maker, picture

Make = Callable[[], Maker]
FORMS = st.sampled_from(["NFC", "NFD"])
UNSEEN = st.sampled_from(["", "\u200b", "\ufeff", "\u00ad", "\u200e", "\u2060", "\0", "\x1b", "\u034f"])
AROUND = st.text(" \t\u00a0\u2003\u3000", max_size=2)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), FORMS, UNSEEN, AROUND, AROUND)
def test_a_name_is_one_however_it_was_typed(name: str, form: str, mark: str, before: str, after: str) -> None:
    typed = before + mark.join(unicodedata.normalize(form, name)) + mark + after
    assert normal(typed) == normal(name)
    assert normal(normal(name)) == normal(name)
    assert alike(typed) == alike(name)


@pytest.mark.parametrize("name", ["نمی\u200cخواهم", "क्\u200dष", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩\u200d🔬", "CO²", "a  b", "Straße"])
def test_what_changes_a_name_is_kept(name: str) -> None:
    assert normal(name) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("1", "1.0"),
        ("True", "true"),
        ("7", "07"),
        ("ﬁn", "fin"),
        ("Cat", "Саt"),
        ("T-rex", "T–rex"),
        ("cat", "cat\u200d"),
        ("☀", "☀\ufe0f"),
    ],
)
def test_what_may_be_meant_as_one_is_alike_but_not_the_same(one: str, other: str) -> None:
    assert normal(one) != normal(other)
    assert alike(one) == alike(other)


def test_equal_cells_are_one_object() -> None:
    cells = normal_cells(["Cafe\u0301", "Café", "Tee", ""])
    assert cells == ["Café", "Café", "Tee", ""]
    assert cells[0] is cells[1]


def labelled(made: Maker, cache: Path, *labels: str) -> Dataset:
    """A data set whose classes are written so in turn."""
    for index in range(24):
        made.sample(index, index % 3, name=labels[index % len(labels)])
    made.write()
    return load(made.spec("image", target="name"), made.root, cache)


def test_forms_of_one_name_are_one_class_and_that_is_said(maker: Make, cache: Path) -> None:
    data = labelled(maker(), cache, "Café", "Cafe\u0301", "Tee", "Tee\u00a0")
    assert data.classes == ["Café", "Tee"]
    assert data.notes == ("name: 'Cafe\\u0301', 'Caf\\xe9' are one class, 'Café', 12 rows",)
    assert Dataset.open(data.folder).notes == data.notes


def test_names_that_differ_in_case_or_number_stay_two_and_that_is_said(maker: Make, cache: Path) -> None:
    data = labelled(maker(), cache, "Cat", "cat", "1", "1.0")
    assert data.classes == ["1", "1.0", "Cat", "cat"]
    assert data.notes == (
        "name: 'Cat' (6 rows), 'cat' (6 rows) are 2 classes; if they mean the same, write them alike",
        "name: '1' (6 rows), '1.0' (6 rows) are 2 classes; if they mean the same, write them alike",
    )


def test_names_that_are_printed_alike_are_told_by_number(maker: Make, cache: Path) -> None:
    data = labelled(maker(), cache, "Cat", "\u0421at", "Dog")
    assert data.notes == (
        "name: 'Cat' (8 rows), '\\u0421at' (8 rows) are 2 classes; if they mean the same, write them alike",
    )


def test_splits_and_groups_are_read_alike(maker: Make, cache: Path, tmp_path: Path) -> None:
    made = maker()
    for index in range(24):
        fold = ("Été", "E\u0301te\u0301", "\u200bHiver", "Hiver\u00a0")[index // 3 % 4]
        made.sample(index, index % 3, fold=fold, speaker=("Zoe\u0308", "Zoë")[index % 2] if index < 12 else f"s{index}")
    made.write()
    told = {"column": "fold", "test": ["Hiver"], "valid": 0.3}
    data = load(made.spec("image", split=told), made.root, cache)
    assert len(data.rows("test")) == 12
    data = load(made.spec("image", split={"group": "speaker"}), made.root, cache)
    assert len({int(split) for split in data.splits[:12]}) == 1


def test_folders_of_one_name_are_one_class(tmp_path: Path, cache: Path) -> None:
    for index in range(24):
        folder = tmp_path / "pets" / ("Café", "Cafe\u0301", "Tee")[index % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index % 3, index)).save(folder / f"{index}.png")
    data = load(DataSpec.parse({"folder": "pets", "inputs": {"image": {"modality": "image"}}}), tmp_path, cache)
    assert data.classes == ["Café", "Tee"]
