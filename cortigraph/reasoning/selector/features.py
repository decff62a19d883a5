"""Features: how alike regions are by their cards, and where data sets lie by size and likeness.

The fields of cards are not known beforehand: a word counts as the same or not, a number by how near it is, a name by
the letters that it shares. All fields count alike, so that nothing has to be learned from a handful of data sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["card_likeness", "dataset_views", "normal_scores"]

Floats = NDArray[np.float64]

# What a node carries for the store's own use, or what says nothing of what a region is.
_BOOKKEEPING = {
    "key", "id", "area", "embedding", "text_embedding", "embedded", "text", "created", "updated", "batch", "batches",
    "hash", "fingerprint", "weights", "builder", "latency_ms", "batch_latency_ms", "accepts", "emits", "spec", "base",
}  # fmt: skip
_SIZE = ("samples", "size", "rows", "number_of_samples", "train_samples")
_CLASSES = ("number_of_classes", "classes", "num_classes", "labels")
_NEAR = 0.5  # standard deviations at which two numbers on cards count as little alike
_MOST_NUMBERS = 3  # views taken from other numbers, when size and likeness are unknown


def card_likeness(regions: Sequence[str], cards: Mapping[str, Mapping[str, Any]]) -> Floats:
    """(regions, regions): 1 for the same card and name, 0 for nothing in common.

    Example:
        >>> cards = {"a": {"family": "vit"}, "b": {"family": "vit"}, "c": {"family": "swin"}}
        >>> likeness = card_likeness(["a", "b", "c"], cards)
        >>> bool(likeness[0, 1] > likeness[0, 2])
        True
    """
    fields = sorted({name for key in regions for name in cards.get(key, {})} - _BOOKKEEPING - {"name"})
    columns = [[cards.get(key, {}).get(name) for key in regions] for name in fields]
    found = [likeness for column in columns if (likeness := _field(column)) is not None]
    found.append(_by_letters([str(cards.get(key, {}).get("name") or key) for key in regions]))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _field(column: Sequence[Any]) -> Floats | None:
    """Likeness by one field, or nothing if it tells nothing apart; what is unknown is like itself alone."""
    told = [value for value in column if value is not None]
    if not told or all(value == told[0] for value in told):
        return None
    if all(isinstance(value, int | float) for value in told):
        return _by_number(np.array([np.nan if value is None else float(value) for value in column]))
    names = {text: code for code, text in enumerate(sorted({str(value) for value in told}))}
    if len(names) == len(told):
        return None  # another value for each: a name in all but name
    codes = np.array([-1 if value is None else names[str(value)] for value in column])
    same = (codes[:, None] == codes[None]) & (codes[:, None] >= 0)
    return np.asarray(same | np.eye(len(codes), dtype=bool), dtype=np.float64)


def _by_number(values: Floats) -> Floats:
    known = ~np.isnan(values)
    if (values[known] > 0).all() and values[known].max() > 10 * values[known].min():
        values = np.log(values)
    values = (values - values[known].mean()) / max(float(values[known].std()), 1e-12)
    near = np.exp(-0.5 * ((values[:, None] - values[None]) / _NEAR) ** 2)
    return np.where(np.eye(len(values), dtype=bool), 1.0, np.nan_to_num(near))


def _by_letters(names: Sequence[str]) -> Floats:
    """Cosine of the runs of two to four letters in the names; rare ones count for more."""
    from scipy.sparse import csr_matrix

    columns: dict[str, int] = {}
    rows, at, count = [], [], []
    for row, name in enumerate(names):
        words = "".join(c if c.isalnum() else " " for c in name.lower()).split() or ["_"]
        for gram, times in Counter(gram for word in words for gram in _grams(f" {word} ")).items():
            rows.append(row)
            at.append(columns.setdefault(gram, len(columns)))
            count.append(times)
    counted = csr_matrix((1 + np.log(np.array(count, dtype=np.float64)), (rows, at)), (len(names), len(columns)))
    rare = np.log((1 + len(names)) / (1 + np.bincount(at, minlength=len(columns)))) + 1
    weighted = counted.multiply(rare).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    return np.asarray((weighted @ weighted.T).toarray() / np.outer(length, length))


def _grams(word: str) -> list[str]:
    """Runs of two to four letters of a word that has a blank at either end."""
    found = []
    for size in (2, 3, 4):
        found += [word[i : i + size] for i in range(max(len(word) - size + 1, 1))]
        if size >= len(word):
            break  # a short word counts once
    return found


def dataset_views(
    datasets: Sequence[str],
    features: Mapping[str, Mapping[str, Any]],
    likeness: Mapping[str, Mapping[str, float]],
) -> list[Floats]:
    """Ways to place the data sets, each (data sets, dimensions), standardised; one that tells nothing if none is known.

    With few data sets no choice among the ways can be learned, so that each gives its own forecast.

    - samples per class: with few of them, what a network brings from its pre-training decides; with many, less so
    - mean likeness to the other data sets: how ordinary the data is
    - both together
    """
    size, classes = _first(datasets, features, _SIZE), _first(datasets, features, _CLASSES)
    views = [_view(np.log(np.maximum(size, 1)) - np.log(np.maximum(classes, 1))), _view(_ordinary(datasets, likeness))]
    found = [view for view in views if view is not None]
    if len(found) == 2:
        found.append(np.hstack(found))
    if not found:
        numbers = sorted({name for key in datasets for name in features.get(key, {})} - _BOOKKEEPING)
        others = [_view(_signed_log(_first(datasets, features, (name,)))) for name in numbers]
        found = [view for view in others if view is not None][:_MOST_NUMBERS]
    return found or [np.zeros((len(datasets), 1))]


def _first(datasets: Sequence[str], features: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Floats:
    """The first of several properties that is there, as numbers; a list counts by its length."""

    def value(key: str) -> float:
        told = features.get(key, {})
        for name in names:
            if isinstance(told.get(name), list | tuple):
                return float(len(told[name]))
            if isinstance(told.get(name), int | float) and not isinstance(told.get(name), bool):
                return float(told[name])
        return float("nan")

    return np.array([value(key) for key in datasets])


def _ordinary(datasets: Sequence[str], likeness: Mapping[str, Mapping[str, float]]) -> Floats:
    """Mean likeness to whatever most of the data sets are compared with."""
    told = [likeness.get(key, {}) for key in datasets]
    shared = [other for other in sorted({o for one in told for o in one}) if sum(other in one for one in told) > 1]
    values = np.array([[one.get(other, np.nan) for other in shared] for one in told]).reshape(len(told), len(shared))
    known = ~np.isnan(values)
    centre = np.where(known.any(0), np.nansum(values, 0) / np.maximum(known.sum(0), 1), 0.0) if shared else 0.0
    away = np.where(known, values - centre, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    return np.where(known.any(1), away, np.nan) if shared else np.full(len(told), np.nan)


def _view(values: Floats) -> Floats | None:
    """Standardised, (data sets, 1); a data set of which it is unknown lies in the middle."""
    known = np.isfinite(values)
    if known.sum() < max(2, len(values) / 2) or np.ptp(values[known]) == 0:
        return None
    spread = (values - values[known].mean()) / values[known].std()
    return np.where(known, spread, 0.0)[:, None]


def _signed_log(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def normal_scores(values: Floats) -> Floats:
    """Ranks as quantiles of the normal distribution, so that no scale and no outlier matters; 0 where unknown.

    Example:
        >>> normal_scores(np.array([3.0, np.nan, 1.0, 900.0])).round(2).tolist()
        [0.0, 0.0, -0.97, 0.97]
    """
    from scipy.special import ndtri

    known = np.isfinite(values)
    out = np.zeros(len(values))
    if known.sum() > 1:
        _, place, count = np.unique(values[known], return_inverse=True, return_counts=True)
        middle = np.cumsum(count) - count / 2  # of those that tie, in ranks from 0
        out[known] = ndtri(middle[place] / known.sum())
    return out
