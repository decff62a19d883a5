"""Regions that can't serve: left out with their reason, never the end of a search."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cortigraph.brain import Brain
from cortigraph.graph.errors import InputError
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.watch import glance
from tests.reasoning.conftest import scene_values, write_scene

FAILED = "MATCH (c:Candidate {state: 'failed'}) RETURN c.key AS key, c.reason AS reason, c.slot AS slot, c.counts AS n"
PORT = '{"image": "image[channel=1,height=*,width=*] float32 raw"}'


class _Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(100, 8)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        return self.table(text[:, 0]).mean(1)


def _fixed(brain: Brain, key: str = "mine") -> str:
    """A network of one size, declared as of any, as stores from before have some."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.ReLU())
    region = brain.regions.add(module, area="vision.recognition", id=key, example=torch.zeros(1, 1, 28, 28))
    assert region.accepts[0].sizes == (1, 28, 28)
    brain.cypher(
        "MATCH (r:Region {key: $key}) SET r.accepts = $port RETURN r.key", write=True, key=region.key, port=PORT
    )
    return region.key


def _one_input(folder: Path, name: str = "sight", **changes: Any) -> Path:
    data = scene_values()["data"]
    data["inputs"].pop("audio")
    return write_scene(folder, name, data=data, training={"epochs": 1}, **changes)


def test_one_that_cannot_be_built_is_a_failed_candidate_and_costs_no_trial(brain: Brain, samples: Path) -> None:
    key = _fixed(brain)
    scene = _one_input(samples, regions={"image": ["001", "mine"]}, budget={"trials": 2}, search="random")
    told = brain.rank_regions(scene)["image"]
    assert "can't take image[channel=1,height=12,width=12]" in told.left_out[key]
    assert [one.key for one in told.regions] == ["vision.recognition/001"]
    solution = brain.solve(scene)
    assert solution.blueprint.nodes[0].region.key == "vision.recognition/001"
    rows = brain.cypher(FAILED)
    assert [(row["slot"], row["n"]) for row in rows] == [("image", False)]
    assert "can't take" in rows[0]["reason"]
    failed = [step for step in solution.steps if step.reason]
    assert [step.reason for step in failed] == [rows[0]["reason"]]
    assert solution.tried == 2
    seen = glance(brain.store, "sight")
    assert [(one.doing, one.counts) for one in seen.candidates if one.state == "failed"] == [(rows[0]["reason"], False)]
    assert brain.solve(scene).resumed == 2
    assert len(brain.cypher(FAILED)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_it_is_drawn_once_among_many_inputs(brain: Brain, samples: Path, seed: int) -> None:
    _fixed(brain)
    changes = {"regions": {"image": ["001", "mine"], "audio": ["001"]}, "training": {"epochs": 1}}
    solution = brain.solve(write_scene(samples, seed=seed, budget={"trials": 3}, **changes))
    assert solution.tried == 3
    assert len(brain.cypher(FAILED)) <= 1


def test_if_all_fail_each_reason_is_told(brain: Brain, samples: Path) -> None:
    _fixed(brain)
    _fixed(brain, "other")
    scene = _one_input(samples, regions={"image": ["mine", "other"]}, budget={"trials": 1})
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            brain.solve(scene)
        told = str(caught.value)
        assert "no candidate could be trained" in told
        assert told.count("can't take") == 2
        assert all(f"image, vision.recognition/{name}: " in told for name in ("mine", "other"))
    with pytest.raises(InputError, match="no region can serve image"):
        brain.rank_regions(scene)
    (samples / "sight.yaml").unlink()
    assert brain.solve(_one_input(samples, regions={"image": ["mine", "001"]}, budget={"trials": 1})).tried == 1


def test_one_that_gives_no_numbers_in_the_end(brain: Brain, samples: Path) -> None:
    scene = _one_input(samples, regions={"image": ["001"]}, budget={"trials": 1})
    scene.write_text(scene.read_text().replace("epochs: 1", "epochs: 1\n  weight_decay: 1.0e+300"))
    with pytest.raises(InputError, match="what it gives on validation data is NaN or infinite"):
        brain.solve(scene)


def test_one_whose_builder_is_gone_is_left_out(brain: Brain, samples: Path) -> None:
    key = _fixed(brain)
    brain.cypher("MATCH (r:Region {key: $key}) SET r.builder = 'gone' RETURN r.key", write=True, key=key)
    scene = _one_input(samples, regions={"image": ["mine", "001"]}, budget={"trials": 1})
    assert "no builder 'gone'" in brain.rank_regions(scene)["image"].left_out[key]
    assert brain.solve(scene).tried == 1


def test_words_that_it_does_not_know(brain: Brain, tmp_path: Path) -> None:
    with (tmp_path / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["words", "topic", "split"])
        for row in range(40):
            split = ("train", "train", "train", "valid", "test")[(row // 2) % 5]
            table.writerow([f"{('rain', 'bread')[row % 2]} and {row}", ("weather", "food")[row % 2], split])
    port = {"text": "text[row=2,token=*] int64 raw"}
    small = brain.regions.add(_Words(), area="language.words", id="small", accepts=port)
    scene = Scene.parse(
        {
            "key": "topic",
            "text": "what is it about",
            "data": {
                "table": "index.csv", "target": "topic", "split": {"column": "split"},
                "inputs": {"words": {"modality": "text", "column": "words", "tokens": 12}},
            },
            "regions": {"words": ["small", "001"]},
            "search": "random", "budget": {"trials": 2}, "training": {"epochs": 1},
        },
        tmp_path,
    )  # fmt: skip
    assert "IndexError" in brain.rank_regions(scene)["words"].left_out[small.key]
    assert "IndexError" in brain.rank_regions(scene, probe=5.0)["words"].left_out[small.key]
    assert brain.solve(scene).tried == 2
    assert ["IndexError" in row["reason"] for row in brain.cypher(FAILED)] == [True]


def test_what_is_written_of_it_is_json(brain: Brain, samples: Path) -> None:
    _fixed(brain)
    scene = _one_input(samples, regions={"image": ["mine", "001"]}, budget={"trials": 2}, search="random")
    text = brain.solve(scene).to_json()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    steps = json.loads(text, parse_constant=refuse)["steps"]
    assert [step["counts"] for step in steps if step["reason"]] == [False]


def test_a_region_of_ones_own_does_not_hide_those_of_the_package(brain: Brain, samples: Path) -> None:
    brain.cypher("MATCH (n:Region|Area|Batch) DETACH DELETE n", write=True)
    _fixed(brain)
    scene = _one_input(samples, budget={"trials": 1})
    assert len(brain.rank_regions(scene)["image"].regions) > 1
    brain.solve(scene)
    assert len(brain.regions.list()) == 16
