"""Ranking: for a scene never seen, for one whose samples are at hand, and for a data set known by results alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cortigraph.brain import Brain
from cortigraph.graph.errors import InputError
from tests.reasoning.conftest import write_scene
from tests.reasoning.selector.test_recall import JOB
from tests.reasoning.selector.zoo import zoo


def test_a_scene_never_seen_is_ranked_by_words_and_by_its_samples(brain: Brain, samples: Path) -> None:
    scene = write_scene(samples)
    before = brain.cypher("MATCH (n) RETURN count(n) AS n")
    blind = brain.rank_regions(scene)
    assert set(blind) == {"image", "audio", "fusion"}
    assert all(one.low < one.expected < one.high for advice in blind.values() for one in advice.regions)
    assert blind["image"].why(blind["image"].regions[0].key).rests_on == ()
    probed = brain.rank_regions(scene, probe=60)
    added = [probed["image"].why(one.key).proxies for one in probed["image"].regions]
    assert all({"logme", "probe"} >= set(told) for told in added)
    assert sum("probe" in told for told in added) >= 3
    assert probed["image"].regions[0].expected > blind["image"].regions[0].expected  # more is known: they lie apart
    assert brain.cypher("MATCH (n) RETURN count(n) AS n") == before  # it only looks


def test_a_data_set_known_by_results_is_ranked_from_the_command_line(brain: Brain, tmp_path: Path) -> None:
    told = zoo(regions=20, datasets=5, gaps=0)
    rows = [
        {"region": key, "dataset": name, "score": told.scores[i, j], "seconds": told.seconds[i, j]}
        for i, key in enumerate(told.regions)
        for j, name in enumerate(told.datasets)
        if name != "d2" or i < 3
    ]
    brain.ingest(JOB, tables={"runs": pd.DataFrame(rows)})
    words = ("rank", "--dataset", "d2", "--explain", "2", "--json", "--plot", str(tmp_path / "d2.png"))
    said = subprocess.run(
        [str(Path(sys.executable).parent / "cortigraph"), *words, "--home", str(brain.home.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ranked = json.loads(said.stdout)["vision.made_up"]
    assert ranked["dataset"] == "d2"
    assert len(ranked["regions"]) == 20
    assert len(ranked["most_telling"]) == 3
    first = ranked["regions"][0]
    assert "-[:ON]->(d" in first["rests_on"][0]["path"]
    assert sum("rests_on" in one for one in ranked["regions"]) in (2, 3)  # two, and the one to begin with
    assert sum(one["choice"] for one in ranked["regions"]) == 1
    assert Image.open(tmp_path / "d2.png").size[0] > 300
    with pytest.raises(InputError, match="not both"):
        brain.rank_regions("scene.yaml", dataset="d2")
    brain.store.write("MATCH (n) WHERE n:Run OR n:Region AND n.area = 'vision.made_up' DETACH DELETE n")
