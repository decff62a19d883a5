"""Baselines of region selection: a column mean, and trees on cards, that mean, and what is known of data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.features import dataset_views

__all__ = ["Trees", "column_mean", "proxy"]

Floats = NDArray[np.float64]

_SEEN_COUNTS = 10  # a run on the data set itself, in runs on others


def column_mean(scores: Floats, column: int, but: int | None = None) -> Floats:
    """(regions,): mean score on all data sets but one or two; the mean of those for a region without runs."""
    keep = [c for c in range(scores.shape[1]) if c not in (column, but)]
    seen = np.isfinite(scores[:, keep])
    total = np.where(seen, scores[:, keep], 0.0).sum(1)
    mean = total / np.maximum(seen.sum(1), 1)
    return np.where(seen.any(1), mean, mean[seen.any(1)].mean())


def proxy(evidence: Evidence, name: str, column: int) -> Floats | None:
    """(regions,): a proxy on a data set, the lowest where it is unknown; nothing if it is unknown for all."""
    if name not in evidence.proxies or not np.isfinite(evidence.proxies[name][:, column]).any():
        return None
    return evidence.proxies[name][:, column]


class Trees:
    """Extremely randomised trees and boosted trees, their mean, on cards and the column mean.

    Args:
        evidence: All runs.
        column: The data set that is left out.
        seed: Of both.
    """

    def __init__(self, evidence: Evidence, column: int, seed: int) -> None:
        self._scores, self._column, self._seed = evidence.scores, column, seed
        self._cards = _coded(evidence)
        ran = np.flatnonzero(np.isfinite(evidence.scores).sum(0) > 2)
        names = tuple(evidence.datasets[c] for c in ran)
        views = dataset_views(names, evidence.features, evidence.likeness)
        self._places = dict(zip(ran.tolist(), views[-1], strict=True))

    def forecast(self, rows: NDArray[np.int64]) -> Floats:
        """(regions,), given the runs of some regions on the data set."""
        from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor

        told, target, weight = self._examples(rows)
        here = self._features(self._column)
        models = [
            ExtraTreesRegressor(150, min_samples_leaf=10, random_state=self._seed),
            GradientBoostingRegressor(
                n_estimators=80, learning_rate=0.05, subsample=0.7, min_samples_leaf=20, random_state=self._seed
            ),
        ]
        return np.asarray(np.mean([model.fit(told, target, weight).predict(here) for model in models], axis=0))

    def _features(self, column: int) -> Floats:
        place = np.tile(self._places[column], (len(self._scores), 1))
        return np.column_stack([column_mean(self._scores, self._column, column), self._cards, place])

    def _examples(self, rows: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        told, target, weight = [], [], []
        for column in range(self._scores.shape[1]):
            seen = np.flatnonzero(np.isfinite(self._scores[:, column]))
            runs = rows if column == self._column else seen
            if len(runs) and len(seen) > 2:
                told.append(self._features(column)[runs])
                target.append(self._scores[runs, column] - self._scores[runs, column].mean())
                weight.append(np.full(len(runs), _SEEN_COUNTS if column == self._column else 1.0))
        return np.vstack(told), np.concatenate(target), np.concatenate(weight)


def _coded(evidence: Evidence) -> Floats:
    """(regions, fields): numbers as they are, words by number; -1 where nothing is known."""
    fields = sorted({name for told in evidence.cards.values() for name in told} - {"key", "name", "embedding", "area"})
    columns = []
    for name in fields:
        values: list[Any] = [evidence.cards.get(key, {}).get(name) for key in evidence.regions]
        if all(value is None or isinstance(value, int | float) for value in values):
            columns.append([-1.0 if value is None else float(value) for value in values])
        else:
            words = {word: code for code, word in enumerate(sorted({str(value) for value in values if value}))}
            columns.append([-1.0 if value is None else float(words[str(value)]) for value in values])
    return np.array(columns).T if columns else np.zeros((len(evidence.regions), 0))
