"""Small jobs in YAML, and a dump of the whole graph."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cortigraph.graph.store import Store

PORT = "image[channel=1,height=*,width=*] float32 raw"
BARS = """
job: bars
description: Vertical bars
regions:
  - {like: fusion/average, id: calm, name: Calm}
datasets:
  - key: bars
    name: Bars
    description: pictures of a bar
    folder: bars
    inputs: {image: {modality: image}}
"""


def pictures(folder: Path, count: int = 10, classes: str = "ab") -> Path:
    """A folder of classes: noise with a bright bar."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            picture = np.random.default_rng(100 * label + index).integers(0, 99, (8, 8)).astype(np.uint8)
            picture[:, 1 + 4 * label] = 250
            Image.fromarray(picture).save(folder / name / f"{index}.png")
    return folder


def written(folder: Path, text: str, name: str = "job.yaml") -> Path:
    """A job's file; the first line of the text is its line 1."""
    path = folder / name
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def dump(store: Store) -> Any:
    """Every node and relationship, with the server's own identifiers and all properties."""
    nodes = store.read("MATCH (n) RETURN elementId(n) AS id, labels(n) AS labels, properties(n) AS p ORDER BY id")
    edges = store.read(
        "MATCH (a)-[e]->(b) RETURN elementId(e) AS id, a.key AS a, type(e) AS t, properties(e) AS p, b.key AS b "
        "ORDER BY id"
    )
    return nodes, edges


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A job with a region and a folder of pictures."""
    pictures(tmp_path / "bars")
    return written(tmp_path, BARS)
