"""Data sets in the graph: what is remembered about one, and how it is found again.

record   a data set → its node, its modalities and its task
recall   a key → where the samples lie and what they mean
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.store import Store, Transaction
from cortigraph.graph.write import merge_edges, merge_nodes
from cortigraph.regions.language import embed_text
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.data.spec import DataSpec

__all__ = ["FORGET_INPUTS", "embedding_of", "recall", "record"]

# Inputs that a data set had before, and has no more.
FORGET_INPUTS = "MATCH (:Dataset {key: $key})-[old:HAS_MODALITY]->() WHERE NOT old.key IN $keys DELETE old"

_TASK = "classification"


def record(
    target: Store | Transaction,
    key: str,
    dataset: Dataset,
    spec: DataSpec,
    base: Path,
    *,
    name: str = "",
    description: str = "",
    batch: str | None = None,
) -> None:
    """Writes what the graph remembers about a data set; again is the same as once.

    Args:
        target: The store, or a transaction of it.
        key: Names it for ever.
        dataset: As loaded.
        spec: Where its samples lie and what they mean, relative to `base`.
        name: For people; the key when left out.
        description: In words: it is found by them, and likened to others.
        batch: The key of the ingestion that brought it.
    """
    node = {
        "key": key,
        "name": name or key,
        "description": description,
        "summary": dataset.description,
        "fingerprint": dataset.fingerprint,
        "samples": len(dataset),
        "classes": dataset.classes,
        "spec": spec.model_dump_json(exclude_defaults=True),
        "base": str(base.resolve()),
        "embedding": embedding_of(dataset, f"{name or key}. {description}").tolist(),
        **({"batch": batch} if batch else {}),
    }
    modalities = sorted({item.modality for item in spec.inputs.values()})
    merge_nodes(target, Label.MODALITY, [{"key": modality} for modality in modalities])
    merge_nodes(target, Label.TASK, [{"key": _TASK}])
    merge_nodes(target, Label.DATASET, [node])
    inputs = [
        {"start": key, "end": item.modality, "key": f"{key}:{name}", "input": name}
        for name, item in spec.inputs.items()
    ]
    target.write(FORGET_INPUTS, key=key, keys=[row["key"] for row in inputs])
    merge_edges(target, RelType.HAS_MODALITY, Label.DATASET, Label.MODALITY, inputs)
    merge_edges(target, RelType.FOR_TASK, Label.DATASET, Label.TASK, [{"start": key, "end": _TASK}])


def recall(store: Store, key: str) -> tuple[DataSpec, Path, str]:
    """Where the samples of a data set lie.

    Returns:
        The spec, the folder that its paths start from, and the description.

    Raises:
        UnknownKeyError: The graph knows no such data set.
    """
    rows = store.read(
        "MATCH (d:Dataset {key: $key}) RETURN d.spec AS spec, d.base AS base, d.description AS text", key=key
    )
    if not rows or rows[0]["spec"] is None:
        known = store.columns("MATCH (d:Dataset) WHERE d.spec IS NOT NULL RETURN d.key AS key")["key"]
        raise UnknownKeyError("data set", key, known)
    return DataSpec.parse(json.loads(rows[0]["spec"])), Path(rows[0]["base"]), rows[0]["text"] or ""


def embedding_of(dataset: Dataset, text: str) -> NDArray[np.float32]:
    """Where a data set lies among others: what is said about it, and what its samples are like.

    Args:
        dataset: Its statistics are taken.
        text: What is said about it.

    Returns:
        (384 + 64,) of length 1; both halves count the same.
    """
    halves = [embed_text([text])[0], np.asarray(dataset.statistics)]
    joined = np.concatenate([half / max(float(np.linalg.norm(half)), 1e-12) for half in halves])
    return np.asarray(joined / np.linalg.norm(joined), dtype=np.float32)
