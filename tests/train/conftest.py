"""Small data sets made on the spot: pictures of bars, and tones; a class is a place and a pitch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from cortigraph.regions import WeightStore, audio, fusion, vision
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.train.data import Dataset, DataSpec, load

RATE = 8000  # Hz


def picture(label: int, seed: int) -> np.ndarray:
    """(12, 12) of uint8: a bright bar whose place tells the class."""
    noise = np.random.default_rng(seed).integers(0, 120, (12, 12))
    noise[:, 2 + 3 * label : 4 + 3 * label] += 90
    return noise.astype(np.uint8)


def tone(label: int, seed: int, seconds: float = 0.2) -> np.ndarray:
    """A sine whose pitch tells the class."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    return (0.5 * np.sin(2 * np.pi * 400 * (1 + label) * time) + noise).astype(np.float32)


class Maker:
    """Writes samples into a folder and their table beside them; tests spoil what they want."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []

    def samples(self, count: int, classes: int = 3) -> Maker:
        for index in range(count):
            self.sample(index, index % classes)
        return self

    def sample(self, index: int, label: int, **more: Any) -> None:
        Image.fromarray(picture(label, index)).save(self.root / f"{index}.png")
        soundfile.write(self.root / f"{index}.wav", tone(label, index), RATE)
        words = f"a bar of number {label} and sample {index}"
        row = {"image": f"{index}.png", "sound": f"{index}.wav", "words": words, "label": label}
        self.rows.append({**row, "speaker": f"s{index // 6}", **more})

    def write(self, columns: Sequence[str] = ()) -> Path:
        table = self.root / "samples.csv"
        with table.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns or list(self.rows[0]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        return table

    def spec(self, *inputs: str, **more: Any) -> DataSpec:
        told = {
            "image": {"modality": "image", "column": "image"},
            "audio": {"modality": "audio", "column": "sound", "size": [16, 16]},
            "text": {"modality": "text", "column": "words", "tokens": 16},
        }
        return DataSpec.parse({"table": "samples.csv", "inputs": {name: told[name] for name in inputs}, **more})


@pytest.fixture
def maker(tmp_path: Path) -> Callable[[], Maker]:
    """Gives a `Maker` in a fresh folder."""

    def make() -> Maker:
        root = tmp_path / "data"
        root.mkdir(exist_ok=True)
        return Maker(root)

    return make


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder for decoded data."""
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def maker_of_dataset(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """The files behind `dataset`."""
    made = Maker(tmp_path_factory.mktemp("bars")).samples(120)
    made.write()
    return made


@pytest.fixture(scope="session")
def dataset(maker_of_dataset: Maker, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """120 pictures with sounds, three classes; 72, 24 and 24 in the splits."""
    return load(maker_of_dataset.spec("image", "audio"), maker_of_dataset.root, tmp_path_factory.mktemp("cache"))


def recogniser(dataset: Dataset, name: str, classes: int = 3) -> Blueprint:
    """LeNet3 on one input of the data set."""
    region = {"image": vision, "audio": audio}[name].REGIONS[0]
    region = region.model_copy(update={"arguments": {"classes": classes}})
    node = Node(name=name[:3], region=region, inputs=(name,))
    return Blueprint(inputs=(dataset.ports[name],), nodes=(node,), output=f"{name[:3]}.logits")


def fused(dataset: Dataset, store: WeightStore) -> Blueprint:
    """Two frozen recognisers and a trainable joint of their features and opinions."""
    nodes = []
    for name in ("image", "audio"):
        node = recogniser(dataset, name).nodes[0]
        torch.manual_seed(len(name))
        weights = store.save(node.region.build(None).state_dict())
        region = node.region.model_copy(update={"weights": weights})
        nodes.append(node.model_copy(update={"region": region, "frozen": True}))
    joint = next(region for region in fusion.REGIONS if region.id == "concat")
    joint = joint.model_copy(update={"arguments": {"sizes": [288, 288], "classes": 3}})
    reads = ("ima.features", "aud.features", "ima.logits", "aud.logits")
    nodes.append(Node(name="join", region=joint, inputs=reads))
    ports = tuple(dataset.ports[name] for name in ("image", "audio"))
    return Blueprint(inputs=ports, nodes=tuple(nodes), output="join.logits")
