"""A small scene that is real: pictures and sounds in files, three classes, learnt in a second or two."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from cortigraph.brain import Brain
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store

CLASSES = ("low", "middle", "high")


def write_samples(folder: Path, *, count: int = 90, seed: int = 0, noise: float = 0.35) -> Path:
    """A bar that lies higher, and a tone that sounds higher, class by class; both under noise."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["picture", "sound", "label", "split"])
        for row in range(count):
            label = row % 3
            picture = rng.normal(0.4, noise, (12, 12))
            picture[9 - 4 * label : 11 - 4 * label] += 0.6
            Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).save(folder / f"{row}.png")
            time = np.arange(1600) / 8000
            sound = 0.25 * np.sin(2 * np.pi * (300 + 700 * label) * time) + rng.normal(0, noise / 2, 1600)
            soundfile.write(folder / f"{row}.wav", np.clip(sound, -1, 1), 8000)
            split = ("train", "train", "train", "valid", "test")[(row // 3) % 5]
            table.writerow([f"{row}.png", f"{row}.wav", CLASSES[label], split])
    return folder


def scene_values(**changes: Any) -> dict[str, Any]:
    """A scene over `write_samples`, as plain data."""
    values: dict[str, Any] = {
        "text": "how high it is, by eye and by ear",
        "data": {
            "table": "index.csv",
            "inputs": {
                "image": {"modality": "image", "column": "picture"},
                "audio": {"modality": "audio", "column": "sound", "size": [16, 16]},
            },
            "target": "label",
            "split": {"column": "split"},
        },
        "budget": {"trials": 3},
        "training": {"epochs": 3, "learning_rate": 0.01},
    }
    return {**values, **changes}


def write_scene(folder: Path, name: str = "height", **changes: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(scene_values(**changes), sort_keys=False))
    return path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def brain(store: Store, home: Home) -> Brain:
    """The standard catalogue, and nothing else; it is declared anew only if another test emptied the store."""
    brain = Brain(store, home)
    store.write("MATCH (n) WHERE NOT (n:Migration OR n:Area OR n:Region OR n:Modality) DETACH DELETE n")
    if brain.cypher("MATCH (r:Region) RETURN count(r) AS n")[0]["n"] != 15:
        store.write("MATCH (n:Area|Region|Modality) DETACH DELETE n")
        brain.ingest("standard")
    return brain
