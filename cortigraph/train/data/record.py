"""Data sets in the graph: what is remembered about one, and how it is found again.

rows         a data set → its node, its modalities and its task, as they are to be written
record       the same, written
recall       a key → where the samples lie and what they mean
recall_mot   the same of sequences for tracking
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.store import Store, Transaction
from cortigraph.graph.write import merge_edges, merge_nodes
from cortigraph.regions.language import embed_text
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.data.mot.tracking import MotSpec, Tracking
from cortigraph.train.data.spec import DataSpec

__all__ = ["FORGET_INPUTS", "Described", "embedding_of", "recall", "recall_mot", "record", "rows"]

# Inputs that a data set had before, and has no more.
FORGET_INPUTS = "MATCH (:Dataset {key: $key})-[old:HAS_MODALITY]->() WHERE NOT old.key IN $keys DELETE old"

_RECALL = "MATCH (d:Dataset&!Entity {key: $key}) RETURN d.spec AS spec, d.base AS base, d.description AS text"
_RECALLABLE = "MATCH (d:Dataset&!Entity) WHERE d.spec IS NOT NULL RETURN d.key AS key"


@dataclass(frozen=True)
class Described:
    """What the graph is to hold about a data set.

    Args:
        node: Properties of its node, the key among them.
        modalities: The nodes of its modalities.
        task: The key of its task's node.
        inputs: Its relationships to modalities: `start`, `end`, `key` and the input's name.
    """

    node: dict[str, Any]
    modalities: list[dict[str, Any]]
    task: str
    inputs: list[dict[str, Any]]


def rows(
    key: str,
    dataset: Dataset | Tracking,
    spec: DataSpec | MotSpec,
    base: Path,
    *,
    name: str = "",
    description: str = "",
    vectors: Mapping[str, Any] | None = None,
) -> Described:
    """What the graph is to hold about a data set; nothing is written.

    Args:
        key: Names it for ever.
        dataset: As loaded.
        spec: Where its samples lie and what they mean, relative to `base`.
        base: Folder that relative paths start from.
        name: For people; the key when left out.
        description: In words: it is found by them, and likened to others.
        vectors: `embedding` and `text_embedding`, if they are known: of the same samples and words.

    Returns:
        Plain values.
    """
    text = f"{name or key}. {description}"
    inputs = _inputs(spec)
    node = {
        "key": key,
        "name": name or key,
        "description": description,
        "summary": dataset.description,
        "fingerprint": dataset.fingerprint,
        "samples": len(dataset),
        **(
            dataset.facts
            if isinstance(dataset, Tracking)
            else {"classes": dataset.classes, "notes": "\n".join(dataset.notes)}
        ),
        "spec": spec.model_dump_json(exclude_defaults=True),
        "base": str(base.resolve()),
        **(vectors or _vectors(dataset, text)),
    }
    return Described(
        node=node,
        modalities=[{"key": modality} for modality in sorted(set(inputs.values()))],
        task="tracking" if isinstance(dataset, Tracking) else "classification",
        inputs=[
            {"start": key, "end": modality, "key": f"{key}:{each}", "input": each} for each, modality in inputs.items()
        ],
    )


def _vectors(dataset: Dataset | Tracking, text: str) -> dict[str, list[float]]:
    return {"embedding": embedding_of(dataset, text).tolist(), "text_embedding": embed_text([text])[0].tolist()}


def record(
    target: Store | Transaction,
    key: str,
    dataset: Dataset | Tracking,
    spec: DataSpec | MotSpec,
    base: Path,
    *,
    name: str = "",
    description: str = "",
) -> None:
    """Writes what the graph remembers about a data set; again is the same as once.

    Args:
        target: The store, or a transaction of it.
        key: Names it for ever.
        dataset: As loaded.
        spec: Where its samples lie and what they mean, relative to `base`.
        base: Folder that relative paths start from.
        name: For people; the key when left out.
        description: In words: it is found by them, and likened to others.
    """
    told = rows(key, dataset, spec, base, name=name, description=description)
    merge_nodes(target, Label.MODALITY, told.modalities)
    merge_nodes(target, Label.TASK, [{"key": told.task}])
    merge_nodes(target, Label.DATASET, [told.node])
    target.write(FORGET_INPUTS, key=key, keys=[row["key"] for row in told.inputs])
    merge_edges(target, RelType.HAS_MODALITY, Label.DATASET, Label.MODALITY, told.inputs)
    merge_edges(target, RelType.FOR_TASK, Label.DATASET, Label.TASK, [{"start": key, "end": told.task}])


def recall(store: Store, key: str) -> tuple[DataSpec, Path, str]:
    """Where the samples of a data set lie.

    Returns:
        The spec, the folder that its paths start from, and the description.

    Raises:
        UnknownKeyError: The graph knows no such data set.
        InputError: It is known without its samples, or holds sequences for tracking.
    """
    told, base, text = _recalled(store, key)
    if "motchallenge" in told:
        raise InputError(
            f"data set {key!r} holds MOTChallenge sequences (task tracking); expected samples with labels, from a "
            "table or a folder of classes"
        )
    return DataSpec.parse(told), base, text


def recall_mot(store: Store, key: str) -> tuple[MotSpec, Path, str]:
    """Where the sequences of a data set lie.

    Returns:
        The spec, the folder that its paths start from, and the description.

    Raises:
        UnknownKeyError: The graph knows no such data set.
        InputError: It is known without its sequences, or holds samples with labels.
    """
    told, base, text = _recalled(store, key)
    if "motchallenge" not in told:
        raise InputError(f"data set {key!r} holds samples with labels; expected MOTChallenge sequences")
    return MotSpec.parse(told), base, text


def _recalled(store: Store, key: str) -> tuple[Mapping[str, Any], Path, str]:
    found = store.read(_RECALL, key=key)
    if not found:
        raise UnknownKeyError("data set", key, store.columns(_RECALLABLE)["key"])
    row = found[0]
    if row["spec"] is None:
        raise InputError(
            f"data set {key!r} is known only from results that were reported on it, not where its samples lie; "
            "declare it under `datasets` of a job with its table or folder"
        )
    return json.loads(row["spec"]), Path(row["base"] or "."), row["text"] or ""


def _inputs(spec: DataSpec | MotSpec) -> dict[str, str]:
    """Input name → modality."""
    if isinstance(spec, MotSpec):
        return {"image": "image"}
    return {name: item.modality for name, item in spec.inputs.items()}


def embedding_of(dataset: Dataset | Tracking, text: str) -> NDArray[np.float32]:
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
