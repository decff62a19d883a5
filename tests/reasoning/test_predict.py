"""`predict` with tables, from the outside: what was told for learning holds, and a mistake is one message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cortigraph.brain import Brain
from cortigraph.reasoning.prediction import listed, recall_pathway

from .conftest import write_samples, write_scene


def test_a_table_is_read_as_it_was_for_learning(brain: Brain, tmp_path: Path) -> None:
    def call(*words: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "cortigraph", *map(str, words), "--home", str(brain.home.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    folder = write_samples(tmp_path / "samples", count=45)
    lines = (folder / "index.csv").read_text().replace(",", ";")
    (folder / "index.csv").write_text(lines.replace("low", "Low").replace("Low", "low", 3))
    cells = [{"bytes": (folder / f"{row}.png").read_bytes(), "path": None} for row in range(4)]
    pq.write_table(pa.table({"picture": cells}), folder / "held.parquet")
    pq.write_table(pa.table({"picture": ["0.png", None]}), folder / "null.parquet")
    data = {
        "table": "index.csv", "delimiter": ";", "target": "label", "split": {"column": "split"},
        "inputs": {"image": {"modality": "image", "column": "picture"}},
    }  # fmt: skip
    scene = write_scene(folder, data=data, budget={"trials": 1}, training={"epochs": 1}, regions={"image": ["001"]})
    brain.store.write("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")  # as a new store: a rehearsal may come first
    rehearsed = call("solve", scene, "--dry-run", "--json")
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "are 2 classes; if they mean the same, write them alike" in json.loads(rehearsed.stdout)["notes"][0]
    brain.solve(scene)
    assert len(listed(recall_pathway(brain.store, "height"), folder / "index.csv", brain.home)) == 45
    said = call("predict", "height", folder / "held.parquet", "--json")
    assert said.returncode == 0, said.stderr
    rows = json.loads(said.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert len(rows) == 4
    assert set(rows[0]["probabilities"]) == {"low", "Low", "middle", "high"}
    wrong = call("predict", "height", folder / "null.parquet")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: null.parquet row 2: 'picture' is empty\n"
