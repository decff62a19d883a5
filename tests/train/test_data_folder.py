"""Folders of classes: nested, hidden, empty, and divided by folders of their own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cortigraph.train.data import DataError, Dataset, DataSpec, load
from cortigraph.train.data.folder import folders_in, list_folder

from .conftest import picture


def _save(path: Path, label: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(label, seed)).save(path)


def _pets(root: Path, counts: dict[str, int], classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """`pets/<split>/<class>/<number>.png`."""
    seed = 0
    for split, count in counts.items():
        for label, name in enumerate(classes):
            for index in range(count):
                _save(root / "pets" / split / name / f"{index}.png", label, seed)
                seed += 1
    return root / "pets"


def _load(root: Path, cache: Path, **more: object) -> Dataset:
    return load(DataSpec.parse({"folder": "pets", "inputs": {"image": {"modality": "image"}}, **more}), root, cache)


def _sizes(data: Dataset) -> list[int]:
    return [len(data.rows(split)) for split in ("train", "valid", "test")]


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "val", "testing")])
def test_folders_of_splits_are_the_split(tmp_path: Path, cache: Path, names: tuple[str, ...]) -> None:
    _pets(tmp_path, dict(zip(names, (6, 2, 3), strict=True)))
    data = _load(tmp_path, cache)
    assert data.classes == ["cat", "dog"]
    assert _sizes(data) == [12, 4, 6]


def test_valid_may_be_drawn_from_train(tmp_path: Path, cache: Path) -> None:
    _pets(tmp_path, {"train": 10, "test": 3})
    with pytest.raises(DataError, match=r"the valid split is empty.*valid: 0.2"):
        _load(tmp_path, cache)
    data = _load(tmp_path, cache, split={"valid": 0.2})
    assert _sizes(data) == [16, 4, 6]
    assert np.bincount(data.target[data.rows("valid")]).tolist() == [2, 2], "by class"
    again = _load(tmp_path, cache, split={"valid": 0.2, "seed": 5})
    assert _sizes(again) == [16, 4, 6]
    assert not np.array_equal(again.splits, data.splits)


def test_what_lies_deeper_belongs_to_its_class_and_what_is_hidden_to_none(tmp_path: Path, cache: Path) -> None:
    pets = _pets(tmp_path, {"": 8})
    _save(pets / "cat" / "siamese" / "young" / "a.png", 0, 100)
    for junk in (".DS_Store", "cat/.hidden.png", "cat/Thumbs.db", "dog/.trash/x.png", "__MACOSX/cat/x.png"):
        (pets / junk).parent.mkdir(parents=True, exist_ok=True)
        (pets / junk).write_bytes(b"junk")
    listed = list_folder(pets)
    assert len(listed) == 17
    assert [sample.label for sample in listed if "siamese" in sample.path] == ["cat"]
    assert str(pets / "cat" / "siamese" / "young") in folders_in(pets)
    assert len(_load(tmp_path, cache)) == 17
    _save(pets / "cat" / "siamese" / "young" / "b.png", 0, 101)
    assert len(_load(tmp_path, cache)) == 18, "a file that is added deep inside is seen"


def test_links_that_go_in_circles_end(tmp_path: Path) -> None:
    pets = _pets(tmp_path, {"": 3})
    (pets / "cat" / "again").symlink_to(pets / "cat")
    assert len(list_folder(pets)) == 6


def test_a_class_may_be_called_test(tmp_path: Path, cache: Path) -> None:
    _pets(tmp_path, {"": 6}, classes=("test", "train"))
    assert _load(tmp_path, cache).classes == ["test", "train"]


def test_an_empty_class_is_named(tmp_path: Path, cache: Path) -> None:
    pets = _pets(tmp_path, {"": 6})
    (pets / "bird").mkdir()
    with pytest.raises(DataError, match="bird holds no files; add samples of class 'bird'"):
        _load(tmp_path, cache)


def test_a_class_that_train_lacks_is_named(tmp_path: Path, cache: Path) -> None:
    pets = _pets(tmp_path, {"train": 6, "valid": 2, "test": 2})
    for seed in (200, 201):
        _save(pets / "test" / "bird" / f"{seed}.png", 1, seed)
    with pytest.raises(DataError, match=r"label 'bird' \(2 samples\) is absent from the train split"):
        _load(tmp_path, cache)


def test_splits_and_classes_side_by_side_are_refused(tmp_path: Path, cache: Path) -> None:
    pets = _pets(tmp_path, {"train": 6, "valid": 2, "test": 2})
    _save(pets / "bird" / "0.png", 0, 300)
    _save(pets / "valid" / "loose.png", 0, 301)
    with pytest.raises(DataError) as caught:
        _load(tmp_path, cache)
    assert len(caught.value.problems) == 2
    assert "has bird beside test, train, valid; expected splits or classes" in str(caught.value)
    assert "has files outside its classes, such as 'loose.png'" in str(caught.value)


def test_a_split_that_is_told_twice_is_refused(tmp_path: Path, cache: Path) -> None:
    _pets(tmp_path, {"train": 6, "valid": 2, "test": 2})
    with pytest.raises(DataError, match=r"data.split.fractions: .* says the split by its folders"):
        _load(tmp_path, cache, split={"fractions": [0.5, 0.25, 0.25]})
    _pets(tmp_path / "plain", {"": 6})
    with pytest.raises(DataError, match="no folder `train` to draw a share from"):
        _load(tmp_path / "plain", cache, split={"valid": 0.2})
    with pytest.raises(DataError, match="no columns to split by"):
        _load(tmp_path, cache, split={"test": ["cat"]})


@pytest.mark.parametrize("name", [b"\xb9\xb7/1.png", b"dog/\xff.png"])
def test_names_in_another_encoding_are_told(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pets" / os.fsdecode(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (tmp_path / "pets" / "cat").mkdir()
    (tmp_path / "pets" / "cat" / "2.png").write_bytes(b"")
    spec = DataSpec.parse({"folder": "pets", "inputs": {"image": {"modality": "image"}}})
    with pytest.raises(DataError, match=r"udc.* is a name that is not UTF-8; rename it"):
        load(spec, tmp_path, tmp_path / "cache")
