"""Prediction: a remembered pathway is built again and asked about new samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.regions.blueprint import Blueprint
from cortigraph.regions.weights import WeightStore
from cortigraph.tables.spec import format_of
from cortigraph.tables.table_spec import TableSpec
from cortigraph.train.data.dataset import decode_inputs
from cortigraph.train.data.decode import Transform
from cortigraph.train.data.listed import ListedSamples, Sample, list_new

__all__ = ["Prediction", "Remembered", "listed", "predict", "recall_pathway"]

# By its own key, or the latest of a scene.
_PATHWAY = """
MATCH (p:Pathway)-[:FOR_SCENE]->(s:Scene)
WHERE p.key = $key OR s.key = $key
OPTIONAL MATCH (run:Run)-[:OF]->(p)
OPTIONAL MATCH (s)-[:POSED_ON]->(d:Dataset)
RETURN p.key AS key, p.blueprint AS blueprint, p.transforms AS transforms, d.spec AS spec
ORDER BY run.finished_at DESC, p.key LIMIT 1
"""
_KEYS = "MATCH (p:Pathway)-[:FOR_SCENE]->(s:Scene) UNWIND [p.key, s.key] AS key RETURN DISTINCT key"


@dataclass(frozen=True)
class Prediction:
    """What a pathway says of a sample.

    Args:
        label: The likeliest class.
        probability: Its probability, as the pathway sees it.
        probabilities: Class → probability.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Remembered:
    """A pathway in the graph.

    Args:
        key: Its key.
        blueprint: With the trained weights.
        transforms: Input name → what turns a file or text into what the pathway takes.
        reading: How the table was read that it was learned from, if it was one.
    """

    key: str
    blueprint: Blueprint
    transforms: Mapping[str, Transform]
    reading: TableSpec | None = None


def recall_pathway(store: Store, key: str) -> Remembered:
    """A pathway by its key, or the latest of a scene by the scene's.

    Raises:
        UnknownKeyError: There is none; the nearest keys are given.
    """
    rows = store.read(_PATHWAY, key=key)
    if not rows:
        raise UnknownKeyError("pathway or scene", key, store.columns(_KEYS)["key"])
    told = json.loads(rows[0]["transforms"])
    transforms = {name: Transform.from_json(values) for name, values in told.items()}
    return Remembered(rows[0]["key"], Blueprint.from_json(rows[0]["blueprint"]), transforms, _reading(rows[0]["spec"]))


def _reading(told: str | None) -> TableSpec | None:
    spec = json.loads(told) if told else {}
    if "table" not in spec:
        return None
    said = {name: value for name, value in spec.items() if name in TableSpec.model_fields}
    return TableSpec.model_validate({**said, "format": said.get("format") or format_of(Path(spec["table"]))})


def listed(known: Remembered, table: Path, home: Home, delimiter: str | None = None) -> ListedSamples:
    """Samples that a table lists, read as the one that the pathway was learned from.

    Args:
        known: The pathway.
        table: CSV, TSV, JSON (lines) or Parquet; paths in it are relative to its own folder.
        home: For what the table holds itself.
        delimiter: Between its cells, where that is another.

    Raises:
        DataError: Everything that is wrong with it, by row.
    """
    home.cache.mkdir(parents=True, exist_ok=True)
    return list_new(table, known.transforms, known.reading, home.cache, delimiter)


def predict(store: Store, home: Home, key: str, samples: Sequence[Sample]) -> list[Prediction]:
    """What a pathway says of new samples.

    Args:
        store: The store.
        home: Where the weights lie.
        key: Of a pathway, or of a scene.
        samples: Per sample, input name → file, or text for a text input; or what a table lists.

    Returns:
        One prediction per sample, in order.

    Raises:
        UnknownKeyError: There is no such pathway.
        InputError: A file is missing or of the wrong kind; lists every problem.
    """
    from cortigraph.train.evaluate import predict as run  # torch is needed only now

    known = recall_pathway(store, key)
    arrays = decode_inputs(known.transforms, samples)
    probabilities = run(known.blueprint.build(WeightStore(home.weights)), arrays)
    classes = known.blueprint.classes
    return [
        Prediction(classes[int(row.argmax())], float(row.max()), dict(zip(classes, map(float, row), strict=True)))
        for row in probabilities
    ]
