"""Selection: which regions suit a scene, what they may be expected to score, how sure that is, and why.

A Gaussian process over pairs (region, data set): two pairs are alike as far as the regions are alike (embeddings: text,
structure, responses) and the data sets are alike (embeddings: text, statistics). Runs in the graph are its
observations; where there are none, the scene's words are compared with the regions' cards, and the expectation is as
vague as it should be. See Rasmussen & Williams, *Gaussian Processes for Machine Learning*, algorithm 2.1.

A reasoner that knows more (graph paths, proxies on the data) offers the same `Ranker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.experience import Experience
from cortigraph.regions.region import Region

__all__ = ["Question", "RankedRegion", "Ranker", "rank_by_experience"]

_REGION_SCALE = 0.25  # cosine distance at which what is known of one region says little of another
_DATASET_SCALE = 0.5
_SPREAD = 0.2  # how far scores lie from their mean before anything is known
_NOISE = 0.03  # how far two runs of the same region on the same data lie apart
_MOST = 1500  # records; the nearest are kept
_VAGUE = 0.5
_REASONS = 3


@dataclass(frozen=True)
class Question:
    """What is to be ranked.

    Args:
        text: The scene's words, embedded: (384,).
        dataset: The data set's embedding.
        regions: The candidates.
    """

    text: NDArray[np.float64]
    dataset: NDArray[np.float64]
    regions: Sequence[Region]


@dataclass(frozen=True)
class RankedRegion:
    """A region, and what may be expected of it on a scene.

    Args:
        key: The region's key.
        slot: The input it may serve, or `fusion`.
        expected: Score on validation data.
        uncertainty: One standard deviation of it.
        seconds: What training it took on the likest data, or nothing if it never was.
        reasons: The records that count most, in words.
    """

    key: str
    slot: str
    expected: float
    uncertainty: float
    seconds: float | None
    reasons: tuple[str, ...]


class Ranker(Protocol):
    """Ranks regions for a question, best first."""

    def __call__(self, question: Question, slot: str, experience: Experience) -> list[RankedRegion]: ...


def rank_by_experience(question: Question, slot: str, experience: Experience) -> list[RankedRegion]:
    """Ranks by the Gaussian process over what was experienced.

    Args:
        question: The scene and the candidates.
        slot: The input they would serve.
        experience: What the graph remembers.

    Returns:
        Every candidate, best expectation first; ties by key.
    """
    regions = [region.key for region in question.regions]
    if not regions:
        return []
    near = _nearest(question, experience)
    words = np.array([_likeness(question.text, _text_of(experience, key)) for key in regions])
    to_runs = _alike(_vectors(regions, experience.region_embeddings), _rows(near, experience, "regions"), _REGION_SCALE)
    weight = _alike(question.dataset[None], _rows(near, experience, "datasets"), _DATASET_SCALE)
    mean, deviation = _posterior(to_runs * weight, near, experience, words)
    order = sorted(range(len(regions)), key=lambda i: (-mean[i], regions[i]))
    return [_ranked(regions[i], slot, mean[i], deviation[i], to_runs[i] * weight[0], near, experience) for i in order]


def _posterior(
    cross: NDArray[np.float64], near: NDArray[np.int64], experience: Experience, words: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation for each candidate, given its covariance with the records."""
    centre = float(experience.scores[near].mean()) if len(near) else _VAGUE
    prior = centre + _SPREAD / 4 * (words - words.mean())  # words break ties, and fade as experience grows
    if not len(near):
        return prior, np.full(len(words), _SPREAD)
    regions, datasets = _rows(near, experience, "regions"), _rows(near, experience, "datasets")
    between = _alike(regions, regions, _REGION_SCALE) * _alike(datasets, datasets, _DATASET_SCALE)
    covariance = _SPREAD**2 * between + _NOISE**2 * np.eye(len(near))
    lower = np.linalg.cholesky(covariance)
    residual = np.linalg.solve(lower.T, np.linalg.solve(lower, experience.scores[near] - centre))
    explained = np.linalg.solve(lower, (_SPREAD**2 * cross).T)
    variance = np.clip(_SPREAD**2 - (explained**2).sum(axis=0), _NOISE**2, None)
    known = 1 - variance / _SPREAD**2
    return (1 - known) * prior + known * centre + _SPREAD**2 * cross @ residual, np.sqrt(variance)


def _nearest(question: Question, experience: Experience) -> NDArray[np.int64]:
    """The records whose region and data set have embeddings, those on the likest data first."""
    usable = [
        i
        for i, (region, dataset) in enumerate(zip(experience.regions, experience.datasets, strict=True))
        if region in experience.region_embeddings and dataset in experience.dataset_embeddings
    ]
    likeness = [_likeness(question.dataset, experience.dataset_embeddings[experience.datasets[i]]) for i in usable]
    order = np.argsort(-np.array(likeness), kind="stable")[:_MOST]
    return np.array(usable, dtype=np.int64)[order]


def _ranked(
    key: str,
    slot: str,
    mean: float,
    deviation: float,
    weights: NDArray[np.float64],
    near: NDArray[np.int64],
    experience: Experience,
) -> RankedRegion:
    counted = [i for i in np.argsort(-weights, kind="stable")[:_REASONS] if weights[i] > 0.05]
    reasons = tuple(
        f"{experience.regions[near[i]]} scored {experience.scores[near[i]]:.3f} on {experience.datasets[near[i]]} "
        f"(weight {weights[i]:.2f}, {experience.runs[near[i]]})"
        for i in counted
    )
    own = [near[i] for i in counted if experience.regions[near[i]] == key]
    seconds = float(experience.seconds[own[0]]) if own else None
    return RankedRegion(key, slot, float(np.clip(mean, 0, 1)), float(deviation), seconds, reasons)


def _rows(near: NDArray[np.int64], experience: Experience, kind: str) -> NDArray[np.float64]:
    keys = experience.regions if kind == "regions" else experience.datasets
    vectors = experience.region_embeddings if kind == "regions" else experience.dataset_embeddings
    return _vectors([keys[i] for i in near], vectors)


def _vectors(keys: Sequence[str], known: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    width = len(next(iter(known.values()))) if known else 1
    return np.array([known.get(key, np.zeros(width)) for key in keys]).reshape(len(keys), width)


def _alike(a: NDArray[np.float64], b: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """(len(a), len(b)): 1 for the same direction, falling with the cosine distance."""
    if not len(b):
        return np.zeros((len(a), 0))
    likeness: NDArray[np.float64] = np.exp((_unit(a) @ _unit(b).T - 1) / scale)
    return likeness


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _text_of(experience: Experience, key: str) -> NDArray[np.float64]:
    vector = experience.region_embeddings.get(key)
    return np.zeros(1) if vector is None else vector


def _likeness(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Cosine of two vectors over the part that both have: a region's embedding begins with its text."""
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
