"""A scene's name is its own, and the same command gives the same result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cortigraph.brain import Brain
from cortigraph.graph.errors import InputError
from cortigraph.reasoning.pathway.scene import Scene, key_of
from tests.reasoning.conftest import scene_values, write_samples, write_scene

LETTERS = st.characters(whitelist_categories=("Lu", "Ll", "Lo", "Nd", "So"))


def _quick(folder: Path, name: str = "scene", **changes: Any) -> Path:
    data = scene_values()["data"]
    data["inputs"].pop("audio")
    told = {"data": data, "training": {"epochs": 1}, "budget": {"trials": 1}, "regions": {"image": ["001"]}}
    return write_scene(folder, name, **{**told, **changes})


@pytest.mark.parametrize(
    "name", ["птицы", "鸟", "पक्षी", "طيور", "🐦", "🐟", "a b", "_", "---", "", "vögel", "scene", "a" * 300, "鸟" * 100]
)
def test_a_name_in_any_alphabet_gives_a_key_that_may_be_written(name: str) -> None:
    key = key_of(name)
    assert key
    assert key_of(key) == key
    assert len(key) <= 64
    assert len(f"{key}_0123456789-2.lock".encode()) < 255
    told = {"key": key, "text": "a", "dataset": "b"}
    assert Scene.parse(told).key == key


@given(st.text(LETTERS, min_size=1, max_size=40), st.text(LETTERS, min_size=1, max_size=40))
def test_letters_are_never_thrown_away(one: str, other: str) -> None:
    import unicodedata

    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (key_of(one) == key_of(other)) == same


@pytest.mark.parametrize("key", ["a b", "a/b", "-a", "a.", "", "a" * 65, "a\nb", 'a"b'])
def test_a_key_that_cannot_be_is_told_with_one_that_can(key: str) -> None:
    with pytest.raises(InputError, match="write '"):
        Scene.parse({"key": key, "text": "a", "dataset": "b"})


def test_two_files_of_one_name_are_two_scenes(brain: Brain, samples: Path, tmp_path: Path) -> None:
    other = write_samples(tmp_path / "other", seed=5)
    first = _quick(samples, text="the first")
    brain.solve(first)
    before = brain.cypher("MATCH (n) RETURN count(n) AS n")
    second = _quick(other, text="the second")
    for ask in (brain.solve, brain.rank_regions):
        with pytest.raises(
            InputError, match=r"is that of .*scene\.yaml.*'the first'.*'the second'.*key: scene-2"
        ) as caught:
            ask(second)
        assert str(first) in str(caught.value)
        assert str(second) in str(caught.value)
    assert brain.cypher("MATCH (n) RETURN count(n) AS n") == before
    assert brain.solve(_quick(other, text="the second", key="scene-2")).scene == "scene-2"
    assert brain.cypher("MATCH (s:Scene) RETURN s.text AS text ORDER BY text") == [
        {"text": "the first"}, {"text": "the second"},
    ]  # fmt: skip
    brain.forget("scene")
    assert brain.solve(_quick(other, text="the second")).scene == "scene"


def test_ones_own_file_may_be_edited_and_moved(brain: Brain, samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(samples, folder)
    first = brain.solve(_quick(folder))
    edited = brain.solve(_quick(folder, text="said otherwise"))
    assert edited.scene == first.scene
    shutil.move(folder, tmp_path / "two")
    moved = brain.solve(tmp_path / "two" / "scene.yaml")
    assert moved.search == edited.search
    assert moved.resumed == 1
    assert brain.solve(_quick(tmp_path / "two", text="said again")).scene == first.scene


def test_a_data_set_of_a_job_is_not_taken_over(brain: Brain, samples: Path) -> None:
    data = {"table": str(samples / "index.csv"), **{k: v for k, v in scene_values()["data"].items() if k != "table"}}
    brain.ingest({"job": "birds", "datasets": [{"key": "scene.data", **data}]})
    with pytest.raises(InputError, match=r"'scene\.data' came by a job"):
        brain.solve(_quick(samples))


def _mine(brain: Brain, seed: int = 0, **options: Any) -> str:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options = {"area": "vision.recognition", "id": "mine", "example": torch.zeros(2, 1, 12, 12), **options}
    return brain.regions.add(module, **options).key


def test_a_solved_scene_stays_solved_until_it_is_asked_anew(brain: Brain, samples: Path) -> None:
    _mine(brain)
    scene = _quick(samples, regions={"image": ["001", "mine"]})
    first = brain.solve(scene)
    same = brain.solve(scene)
    assert (same.search, same.accuracy, same.notes) == (first.search, first.accuracy, ())
    told = _quick(samples, regions={})
    whole = brain.solve(told)
    _mine(brain, id="new")
    after = brain.solve(told)
    assert (after.search, after.pathway, after.accuracy) == (whole.search, whole.pathway, whole.accuracy)
    assert "1 region came since (vision.recognition/new)" in after.notes[0]
    assert "--again" in after.notes[0]
    anew = brain.solve(told, again=True)
    assert anew.search == f"{whole.search}-2"
    assert brain.solve(told).search == anew.search
    assert brain.solve(told).notes == ()


def test_an_overwritten_region_makes_it_stale(brain: Brain, samples: Path) -> None:
    _mine(brain)
    scene = _quick(samples, regions={"image": ["001", "mine"]})
    first = brain.solve(scene)
    _mine(brain, description="told otherwise", overwrite=True)
    assert brain.solve(scene).search == first.search, "the same network"
    _mine(brain, seed=1, overwrite=True)
    anew = brain.solve(scene)
    assert anew.search == f"{first.search}-2"
    assert anew.notes == ["searched anew: vision.recognition/mine was overwritten since the last search"]
    assert brain.solve(scene).search == anew.search


def test_what_was_stopped_goes_on_with_the_regions_that_it_began_with(
    brain: Brain, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cortigraph.reasoning.solving.work import Work

    scene = _quick(samples, regions={}, budget={"trials": 2}, search="random")

    def stop(self: Work) -> list[Any]:
        self.step(self.ledger.entries())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Work, "all", stop)
        with pytest.raises(KeyboardInterrupt):
            brain.solve(scene)
    begun = brain.cypher("MATCH (s:Search) RETURN s.key AS key, s.state AS state")
    _mine(brain, id="new")
    solution = brain.solve(scene)
    assert (solution.search, solution.resumed) == (begun[0]["key"], 1)
    assert begun[0]["state"] == "running"
