"""Small data sets made on the spot: pictures of bars, and tones; a class is a place and a pitch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from cortigraph.train.data import DataSpec

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
