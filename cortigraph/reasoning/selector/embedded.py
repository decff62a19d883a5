"""Embedded: what embeddings say where runs are few.

With runs on one data set, or none, nothing can be learned of how far regions and data sets are alike. Their embeddings
are taken at their word then: two runs are alike as far as the regions are (text, structure, responses) and the data
sets are (text, statistics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.kernel import Covariance
from cortigraph.reasoning.selector.levels import Level

__all__ = ["SPREAD", "alike", "by_embeddings", "by_words", "cosine", "vague_level"]

Floats = NDArray[np.float64]

SPREAD = 0.2  # how far scores between 0 and 1 lie from their mean, before anything is known
_REGION_SCALE = 0.25  # cosine distance at which what is known of one region says little of another
_DATASET_SCALE = 0.5
_NOISE = 0.0225  # variance of a run, in that of the scores: two runs of one region lie .03 apart
_VAGUE = 0.5
_WORDS = 0.25  # of the spread: what words in common are worth


def by_embeddings(evidence: Evidence) -> tuple[Floats, Covariance]:
    """Likeness of the regions, (regions, regions), and the covariance over the data sets that goes with it."""
    regions = alike(evidence.regions, evidence.vectors, _REGION_SCALE)
    sets = alike(evidence.datasets, evidence.places, _DATASET_SCALE)
    return regions, Covariance(np.zeros_like(sets), sets, _NOISE)


def alike(keys: Sequence[str], vectors: Mapping[str, Floats], scale: float) -> Floats:
    """(keys, keys): 1 for the same direction, falling with the cosine distance; what has no vector is unlike all."""
    width = max((len(vector) for vector in vectors.values()), default=1)
    rows = np.array([vectors.get(key, np.zeros(width)) for key in keys]).reshape(len(keys), width)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = np.exp((unit @ unit.T - 1) / scale)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def by_words(evidence: Evidence, words: Floats | None, left: Floats) -> Floats:
    """(regions,), in units of the spread: what the words of a scene and of the regions' cards have in common.

    Args:
        evidence: Has the regions' embeddings, which begin with that of their text.
        words: Of the scene, embedded.
        left: (regions,): how much of what a region can do is still unknown; words fade as runs tell more.
    """
    if words is None or not evidence.vectors:
        return np.zeros(len(evidence.regions))
    told = np.array([cosine(words, evidence.vectors.get(key)) for key in evidence.regions])
    return np.asarray(_WORDS * (told - told.mean()) * left / max(float(left.max()), 1e-12))


def vague_level(
    centre: Floats, spread: Floats, covariance: Covariance, column: int, others: NDArray[np.int64]
) -> Level:
    """Level of a data set where few others are known: theirs, by likeness, and as vague as they are unlike."""
    if not len(others):
        return Level(_VAGUE, SPREAD, SPREAD, 0.0)
    near = covariance.card[column, others]
    weight = near / near.sum()
    middle = float(weight @ centre[others])
    differ = float(weight @ (centre[others] - middle) ** 2)
    unlike = SPREAD * (1 - float(near.max()))
    return Level(middle, float(np.hypot(np.sqrt(differ), unlike)), float(np.exp(weight @ np.log(spread[others]))), 0.0)


def cosine(a: Floats, b: ArrayLike | None) -> float:
    """Of two vectors, over what both have: a region's embedding begins with that of its text. 0 if one is missing."""
    if b is None:
        return 0.0
    b = np.asarray(b, dtype=np.float64)
    size = min(len(a), len(b))
    return float(a[:size] @ b[:size] / max(float(np.linalg.norm(a[:size]) * np.linalg.norm(b[:size])), 1e-12))
