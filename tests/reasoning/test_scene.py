"""Scenes as files: what is wrong is said all at once, by line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.pathway.scene import Scene
from tests.reasoning.conftest import write_scene

GOOD = """\
text: read a digit
data:
  folder: digits
  inputs:
    image: {modality: image}
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my scene.yaml"
    path.write_text(text)
    return path


def test_the_file_gives_name_and_base(tmp_path: Path) -> None:
    scene = Scene.load(_write(tmp_path, GOOD))
    assert scene.key == "my-scene"
    assert scene.base == tmp_path
    assert scene.budget.trials == 12


def test_every_problem_at_once_by_line(tmp_path: Path) -> None:
    text = GOOD + "budget: {trials: 0}\nmetrics: accuracy\ntraining:\n  epochs: many\n"
    with pytest.raises(InputError) as caught:
        Scene.load(_write(tmp_path, text))
    told = str(caught.value)
    assert "my scene.yaml:6: budget.trials" in told
    assert "my scene.yaml:7: metrics: is not known here" in told
    assert "my scene.yaml:9: training.epochs" in told
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("text: [", "not YAML"),
        ("text: a\ntext: b\n", ":2: 'text' is there twice"),
        ("- a\n", "expected keys and values"),
        ("text: a\n", "give either data"),
        (GOOD + "dataset: mnist\n", "give either data"),
        (GOOD.replace("modality: image", "modality: smell"), "modality"),
    ],
)
def test_one_clear_message(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("[", r"\[")):
        Scene.load(_write(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Scene.load(tmp_path / "none.yaml")


def test_regions_by_quoted_id(samples: Path, tmp_path: Path) -> None:
    scene = Scene.load(write_scene(tmp_path, regions={"image": ["001", "002"]}))
    assert scene.regions == {"image": ("001", "002")}


def test_a_file_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.yaml")
    path.write_text("text: any\ndataset: any\n")
    with pytest.raises(InputError, match=r"udcff.yaml' is a name that is not UTF-8; rename it"):
        Scene.load(path)
