"""Solving, for real: files on disk, training, a Neo4j server, and processes that are killed."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from cortigraph.brain import Brain
from cortigraph.graph import server
from cortigraph.graph.check import check
from cortigraph.graph.errors import CortigraphError, InputError
from cortigraph.graph.home import Home
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.solution import Solution
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.train.data.load import load
from cortigraph.train.evaluate import evaluate
from cortigraph.train.horovod import why_missing
from tests.reasoning.conftest import scene_values, write_samples, write_scene

COUNTS = "MATCH (n) WHERE n:Run OR n:Candidate OR n:Pathway OR n:Search RETURN labels(n)[0] AS label, count(n) AS n"


def _counts(brain: Brain) -> dict[str, int]:
    return {row["label"]: row["n"] for row in brain.cypher(COUNTS)}


def _solve(brain: Brain, samples: Path, **changes: Any) -> Solution:
    return brain.solve(write_scene(samples, **changes))


def _graph(brain: Brain) -> list[dict[str, Any]]:
    """Everything that a search decides: no times."""
    return brain.cypher(
        "MATCH (c:Candidate) RETURN c.key AS key, c.decisions AS decisions, c.accuracy AS accuracy, c.nll AS nll, "
        "c.blueprint AS blueprint, c.runs AS runs ORDER BY key"
    )


def test_a_scene_goes_in_and_a_trained_network_comes_out(brain: Brain, samples: Path) -> None:
    solution = _solve(brain, samples)
    assert set(solution.accuracy) == {"image", "audio", "late_fusion", "pathway"}
    assert solution.valid["pathway"] >= max(solution.valid.values()) - 0.15  # within one standard error of the best
    assert solution.accuracy["pathway"] > 0.5  # of three classes
    rows = brain.cypher("MATCH (p:Pathway)-[:USES]->(r:Region) RETURN p.key AS key, collect(r.key) AS regions")
    assert [row["key"] for row in rows] == [solution.pathway]
    assert {region.split("/")[0] for region in rows[0]["regions"]} == {
        "vision.recognition", "audio.recognition", "fusion",
    }  # fmt: skip
    runs = brain.cypher("MATCH (r:Run) RETURN r {.*} AS run")
    for run in (row["run"] for row in runs):
        assert {"metrics", "seed", "versions", "commit", "finished_at", "seconds"} <= set(run)
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def test_what_is_remembered_computes_what_was_measured(brain: Brain, samples: Path) -> None:
    solution = _solve(brain, samples)
    told = brain.cypher("MATCH (p:Pathway) RETURN p.blueprint AS blueprint")[0]["blueprint"]
    rebuilt = Blueprint.from_json(told).build(WeightStore(brain.home.weights))
    dataset = load(Scene.load(samples / "height.yaml").data, samples, brain.home.cache)
    measured = evaluate(rebuilt, dataset, "test").metrics["accuracy"]
    assert measured == pytest.approx(solution.accuracy["pathway"])
    files = [{"image": samples / f"{i}.png", "audio": samples / f"{i}.wav"} for i in range(6)]
    predictions = brain.predict(solution.pathway, files)
    assert [sum(said.probabilities.values()) for said in predictions] == pytest.approx([1.0] * 6, abs=1e-5)
    assert brain.predict(solution.scene, files[:1])[0].probability == pytest.approx(
        predictions[0].probability, abs=1e-5
    )


def test_solved_again_it_is_found_and_not_doubled(brain: Brain, samples: Path) -> None:
    first = _solve(brain, samples)
    before = _counts(brain)
    again = _solve(brain, samples)
    assert again.resumed == 3
    assert again.accuracy == first.accuracy
    assert _counts(brain) == before
    more = _solve(brain, samples, budget={"trials": 4})  # a larger budget goes on
    assert len([step for step in more.steps if step.index >= 0]) == 4
    assert _counts(brain)["Candidate"] == before["Candidate"] + 1


def test_a_related_scene_begins_with_what_was_learned(brain: Brain, samples: Path, tmp_path: Path) -> None:
    _solve(brain, samples)
    other = write_samples(tmp_path / "other", seed=5, noise=0.4)
    warm = brain.solve(write_scene(other, "other"))
    assert warm.recalled["pathways"] > 0
    assert warm.recalled["weights"] > 0
    lineage = brain.cypher("MATCH (a:Run)-[:DERIVED_FROM]->(b:Run) RETURN a.scene AS a, b.scene AS b")
    assert {(row["a"], row["b"]) for row in lineage} == {("other", "height")}
    cold = brain.solve(write_scene(other, "other"), remember=[])
    assert cold.recalled == {"pathways": 0, "weights": 0}
    assert cold.search != warm.search
    ranked = brain.rank_regions(write_scene(other, "other"))
    supports = [support for one in ranked["image"].regions for support in ranked["image"].why(one.key).rests_on]
    assert any(support.dataset == "height.data" and support.runs for support in supports)
    assert all(one.cost["parameters"] and one.low <= one.expected <= one.high for one in ranked["image"].regions)


def test_forgetting_removes_a_scene_and_nothing_else(brain: Brain, samples: Path) -> None:
    _solve(brain, samples)
    assert brain.forget("height") > 0
    assert _counts(brain) == {}
    assert brain.cypher("MATCH (r:Region) RETURN count(r) AS n")[0]["n"] == 15
    assert check(brain.store, None) == []


def test_one_input_and_regions_by_id(brain: Brain, samples: Path) -> None:
    data = scene_values()["data"]
    data["inputs"].pop("audio")
    solution = _solve(brain, samples, data=data, regions={"image": ["003"]}, budget={"trials": 1})
    assert [node.region.key for node in solution.blueprint.nodes] == ["vision.recognition/003"]
    assert set(solution.accuracy) == {"pathway"}


def test_time_ends_a_search_within_an_epoch_and_what_it_learned_serves(brain: Brain, samples: Path) -> None:
    forever = {"epochs": 1_000_000, "patience": 1_000_000, "learning_rate": 0.01}
    solution = _solve(brain, samples, training=forever, budget={"trials": 50, "seconds": 4})
    assert 1 <= solution.tried < 50
    cut = brain.cypher("MATCH (r:Run {kind: 'branch', cut: true}) RETURN r.key AS key, r.weights AS weights")
    assert len(cut) >= 1
    assert np.isfinite(solution.accuracy["pathway"])
    assert brain.predict(solution.pathway, [{"image": samples / "0.png", "audio": samples / "0.wav"}])
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def test_text_is_an_input_too(brain: Brain, tmp_path: Path) -> None:
    words = {"weather": ["rain falls", "the sun shines", "snow and wind", "a storm comes"],
             "food": ["fresh bread", "a bowl of soup", "cheese and wine", "roast potatoes"]}  # fmt: skip
    with (tmp_path / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["words", "topic", "split"])
        for row in range(40):
            topic = list(words)[row % 2]
            split = ("train", "train", "train", "valid", "test")[(row // 2) % 5]
            table.writerow([f"{words[topic][row // 2 % 4]} {row}", topic, split])
    scene = {
        "text": "what is it about",
        "data": {"table": "index.csv", "target": "topic", "split": {"column": "split"},
                 "inputs": {"words": {"modality": "text", "column": "words", "tokens": 12}}},
        "budget": {"trials": 1}, "training": {"epochs": 8, "learning_rate": 0.01},
    }  # fmt: skip
    solution = brain.solve(Scene.parse({"key": "topic", **scene}, tmp_path))
    assert solution.accuracy["pathway"] > 0.8


def _without_a_file(folder: Path) -> None:
    (folder / "4.png").unlink()


def _with_a_wrong_modality(folder: Path) -> None:
    shutil.copy(folder / "4.wav", folder / "4.png")


def _with_a_nan(folder: Path) -> None:
    soundfile.write(folder / "4.wav", np.full(1600, np.nan), 8000, subtype="FLOAT", format="WAV")


def _with_a_lone_label(folder: Path) -> None:
    text = (folder / "index.csv").read_text().splitlines()
    (folder / "index.csv").write_text("\n".join([*text[:-1], text[-1].replace("high", "unheard")]) + "\n")


def _empty(folder: Path) -> None:
    (folder / "index.csv").write_text("picture,sound,label,split\n")


@pytest.mark.parametrize(
    ("spoil", "changes", "told"),
    [
        (_without_a_file, {}, r"row 5.*4\.png"),
        (_with_a_wrong_modality, {}, r"row 5.*4\.png"),
        (_with_a_nan, {}, r"row 5.*(NaN|finite)"),
        (_with_a_lone_label, {}, "unheard"),
        (_empty, {}, "lists no samples"),
        (None, {"regions": {"image": ["099"]}}, "no region '099' for 'image'"),
        (None, {"regions": {"smell": ["001"]}}, "no input 'smell'"),
        (None, {"search": "guessing"}, "no search strategy 'guessing'"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(
    brain: Brain, tmp_path: Path, spoil: Callable[[Path], None] | None, changes: dict[str, Any], told: str
) -> None:
    folder = write_samples(tmp_path / "spoilt", count=30)
    if spoil:
        spoil(folder)
    before = brain.cypher("MATCH (n) RETURN count(n) AS n")
    with pytest.raises(InputError, match=told) as caught:
        brain.solve(write_scene(folder, **changes))
    assert caught.value.exit_code == 2
    assert brain.cypher("MATCH (n) RETURN count(n) AS n") == before


def test_the_command_line_says_the_same(brain: Brain, samples: Path, tmp_path: Path) -> None:
    def call(*words: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "cortigraph", *map(str, words), "--home", str(brain.home.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    missing = call("solve", tmp_path / "none.yaml")
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr
    assert "Traceback" not in missing.stderr
    solved = call("solve", write_scene(samples), "--json", "--plot", tmp_path / "pictures")
    assert solved.returncode == 0, solved.stderr
    told = json.loads(solved.stdout)
    assert all(Image.open(picture).size[0] > 300 for picture in told["pictures"])
    said = call("predict", told["pathway"], f"image={samples / '0.png'}", f"audio={samples / '0.wav'}", "--json")
    assert set(json.loads(said.stdout)[0]["probabilities"]) == {"low", "middle", "high"}
    table = call("predict", "height", samples / "index.csv", "--json")
    assert len(json.loads(table.stdout)) == 90
    ranked = call("rank", write_scene(samples), "--json")
    assert set(json.loads(ranked.stdout)) == {"image", "audio", "fusion"}
    wrong = call("predict", "hieght", "image=a.png")
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


def _start(scene: Path, home: Home) -> subprocess.Popen[str]:
    command = [Path(sys.executable).parent / "cortigraph", "solve", str(scene), "--json", "--home", str(home.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_candidates(brain: Brain, process: subprocess.Popen[str], count: int) -> None:
    for _ in range(1200):
        if process.poll() is not None or brain.cypher("MATCH (c:Candidate) RETURN count(c) AS n")[0]["n"] >= count:
            return
        time.sleep(0.05)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_solve_goes_on_and_equals_an_undisturbed_one(brain: Brain, samples: Path, after: int) -> None:
    scene = write_scene(samples, budget={"trials": 5})
    undisturbed = brain.solve(scene)
    whole = _graph(brain)
    brain.forget("height")
    process = _start(scene, brain.home)
    _wait_for_candidates(brain, process, after)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = brain.solve(scene)
    assert resumed.accuracy == undisturbed.accuracy
    assert _graph(brain) == whole
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def test_a_killed_server_loses_and_doubles_nothing(brain: Brain, samples: Path) -> None:
    scene = write_scene(samples, budget={"trials": 5})
    undisturbed = brain.solve(scene)
    whole = _graph(brain)
    brain.forget("height")
    process = _start(scene, brain.home)
    _wait_for_candidates(brain, process, 2)
    pid = server.status(brain.home).pid
    assert pid
    subprocess.run(["kill", "-9", str(pid)], check=True)
    process.wait(timeout=120)
    again = brain.solve(scene)  # whether it got over the loss or not
    assert again.accuracy == undisturbed.accuracy
    assert _graph(brain) == whole
    assert check(brain.store, WeightStore(brain.home.weights).has) == []


def test_two_at_once_are_refused(brain: Brain, samples: Path) -> None:
    scene = write_scene(samples, budget={"trials": 5})
    process = _start(scene, brain.home)
    _wait_for_candidates(brain, process, 1)
    with pytest.raises(CortigraphError, match="another process is solving this scene"):
        brain.solve(scene)
    process.kill()
    process.wait()


@pytest.mark.horovod
def test_two_workers_give_what_one_gives(brain: Brain, samples: Path) -> None:
    missing = why_missing()
    if missing:
        pytest.skip(missing)
    scene = write_scene(samples, budget={"trials": 2})
    alone = brain.solve(scene)
    rows = brain.cypher("MATCH (r:Run {kind: 'branch'}) RETURN r.key AS key, r.nll AS nll, r.workers AS w ORDER BY key")
    brain.forget("height")
    together = brain.solve(scene, workers=2)
    again = brain.cypher(
        "MATCH (r:Run {kind: 'branch'}) RETURN r.key AS key, r.nll AS nll, r.workers AS w ORDER BY key"
    )
    assert {row["w"] for row in rows} == {1}
    assert {row["w"] for row in again} == {2}
    assert [row["key"] for row in rows] == [row["key"] for row in again]
    assert [row["nll"] for row in again] == pytest.approx([row["nll"] for row in rows], abs=0.02)
    assert together.accuracy["pathway"] == pytest.approx(alone.accuracy["pathway"], abs=0.12)
