"""Evidence: runs of regions on data sets, and what is known of both, as one grid. Plain data; no database.

    evidence = Evidence.of(
        runs=[{"run": "r1", "region": "vit", "dataset": "pets", "score": 0.93, "seconds": 310.0}, …],
        cards={"vit": {"architecture": "vit", "parameters": 86e6}, …},
        datasets={"pets": {"samples": 3680, "number_of_classes": 37}, …},
        likeness=[{"dataset": "pets", "other": "imagenet", "value": 5.7}, …],
        proxies=[{"region": "vit", "dataset": "pets", "proxy": "LOG_ME", "value": 0.89}, …],
    )

A cell of the grid that was run more than once holds the mean; one that was never run is not a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError, UnknownKeyError

__all__ = ["Evidence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What a ranking may rest on.

    Args:
        regions: Keys, sorted.
        datasets: Keys, sorted.
        scores: (regions, data sets); not a number where there was no run. More is better.
        seconds: What a run took, in the same form.
        runs: (region, data set) → the keys of its runs.
        cards: Region → what is known of it: numbers and words.
        features: Data set → what is known of it: numbers.
        likeness: Data set → other data set → how like, or how far; any scale that is one scale throughout.
        proxies: Name → (regions, data sets): scores that foretell without training, such as LogME.
        vectors: Region → its embedding, where it has one.
        places: Data set → its embedding, where it has one.
    """

    regions: tuple[str, ...]
    datasets: tuple[str, ...]
    scores: Floats
    seconds: Floats
    runs: Mapping[tuple[str, str], tuple[str, ...]]
    cards: Mapping[str, Mapping[str, Any]]
    features: Mapping[str, Mapping[str, Any]]
    likeness: Mapping[str, Mapping[str, float]]
    proxies: Mapping[str, Floats]
    vectors: Mapping[str, Floats] = field(default_factory=dict)
    places: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        runs: Iterable[Mapping[str, Any]],
        cards: Mapping[str, Mapping[str, Any]] | None = None,
        datasets: Mapping[str, Mapping[str, Any]] | None = None,
        likeness: Iterable[Mapping[str, Any]] = (),
        proxies: Iterable[Mapping[str, Any]] = (),
        *,
        vectors: Mapping[str, Floats] | None = None,
        places: Mapping[str, Floats] | None = None,
    ) -> Evidence:
        """From rows.

        Args:
            runs: `run`, `region`, `dataset`, `score`, and `seconds` where it is known.
            cards: Region → its properties; a region without a run belongs here.
            datasets: Data set → its properties; one without a run belongs here.
            likeness: `dataset`, `other`, `value`; the other may be one that nothing was run on.
            proxies: `region`, `dataset`, `proxy`, `value`.
            vectors: Region → its embedding.
            places: Data set → its embedding.

        Raises:
            InputError: A score or a proxy is no number; lists every one.

        Example:
            >>> told = Evidence.of([{"run": "r", "region": "a", "dataset": "x", "score": 0.5}], cards={"b": {}})
            >>> told.regions, told.datasets, told.scores.shape
            (('a', 'b'), ('x',), (2, 1))
        """
        runs, proxies = list(runs), list(proxies)
        _check(runs, proxies)
        keys = sorted({row["region"] for row in (*runs, *proxies)} | set(cards or {}))
        sets = sorted({row["dataset"] for row in (*runs, *proxies)} | set(datasets or {}))
        named: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in runs:
            cell = (row["region"], row["dataset"])
            named[cell] = (*named.get(cell, ()), str(row.get("run", "/".join(cell))))
        by_proxy = {name: [row for row in proxies if row["proxy"] == name] for name in _names(proxies)}
        return cls(
            regions=tuple(keys),
            datasets=tuple(sets),
            scores=_grid(runs, "score", keys, sets),
            seconds=_grid(runs, "seconds", keys, sets),
            runs=named,
            cards=dict(cards or {}),
            features=dict(datasets or {}),
            likeness=_likeness(likeness),
            proxies={name: _grid(rows, "value", keys, sets) for name, rows in by_proxy.items()},
            vectors=dict(vectors or {}),
            places=dict(places or {}),
        )

    def region(self, key: str) -> int:
        """Row of a region.

        Raises:
            UnknownKeyError: There is no such region.
        """
        return _row("region", key, self.regions)

    def dataset(self, key: str) -> int:
        """Column of a data set.

        Raises:
            UnknownKeyError: There is no such data set.
        """
        return _row("data set", key, self.datasets)

    def knowing(
        self,
        dataset: str,
        features: Mapping[str, Any],
        place: Floats | None = None,
        proxies: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Evidence:
        """The same, with what is known of one data set, which may be new.

        Args:
            dataset: Its key.
            features: What is known of it; in place of what was.
            place: Its embedding.
            proxies: Name → region → value on it; beside those that were.
        """
        known = self if dataset in self.datasets else self._with_column(dataset)
        grids = dict(known.proxies)
        for name, told in (proxies or {}).items():
            grid = np.array(grids.get(name, np.full(known.scores.shape, np.nan)))
            for key, value in told.items():
                grid[known.region(key), known.dataset(dataset)] = value
            grids[name] = grid
        places = known.places if place is None else {**known.places, dataset: place}
        return replace(known, features={**known.features, dataset: features}, places=places, proxies=grids)

    def _with_column(self, dataset: str) -> Evidence:
        at = int(np.searchsorted(np.array(self.datasets, dtype=object), dataset)) if self.datasets else 0
        wider = {name: np.insert(grid, at, np.nan, axis=1) for name, grid in self.proxies.items()}
        return replace(
            self,
            datasets=(*self.datasets[:at], dataset, *self.datasets[at:]),
            scores=np.insert(self.scores, at, np.nan, axis=1),
            seconds=np.insert(self.seconds, at, np.nan, axis=1),
            proxies=wider,
        )

    def without_runs_on(self, dataset: str, but: Sequence[str] = ()) -> Evidence:
        """The same, with the runs on a data set hidden; its features, likeness and proxies stay.

        Args:
            dataset: Its key.
            but: Regions whose run stays in sight.
        """
        column = self.dataset(dataset)
        keep = {self.region(key) for key in but}
        scores, seconds = self.scores.copy(), self.seconds.copy()
        hidden = [row for row in range(len(self.regions)) if row not in keep]
        scores[hidden, column] = seconds[hidden, column] = np.nan
        runs = {cell: named for cell, named in self.runs.items() if cell[1] != dataset or cell[0] in but}
        return replace(self, scores=scores, seconds=seconds, runs=runs)

    def without(self, datasets: Iterable[str]) -> Evidence:
        """The same without some data sets, as if nothing had ever been run on them."""
        dropped = {self.dataset(key) for key in datasets}
        keep = [column for column in range(len(self.datasets)) if column not in dropped]
        names = tuple(self.datasets[column] for column in keep)
        return replace(
            self,
            datasets=names,
            scores=self.scores[:, keep],
            seconds=self.seconds[:, keep],
            runs={cell: named for cell, named in self.runs.items() if cell[1] in names},
            features={key: told for key, told in self.features.items() if key in names},
            proxies={name: grid[:, keep] for name, grid in self.proxies.items()},
        )


def _row(kind: str, key: str, keys: Sequence[str]) -> int:
    try:
        return keys.index(key)
    except ValueError:
        raise UnknownKeyError(kind, key, keys) from None


def _names(proxies: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({row["proxy"] for row in proxies})


def _check(runs: Sequence[Mapping[str, Any]], proxies: Sequence[Mapping[str, Any]]) -> None:
    problems = [
        f"{row.get('region')} on {row.get('dataset')}: {column} must be a finite number (got {row.get(column)!r})"
        for rows, column in ((runs, "score"), (proxies, "value"))
        for row in rows
        if not isinstance(row.get(column), int | float | np.number) or not np.isfinite(row[column])
    ]
    if problems:
        raise InputError(problems)


def _grid(rows: Sequence[Mapping[str, Any]], column: str, keys: Sequence[str], sets: Sequence[str]) -> Floats:
    """(regions, data sets): the mean of what was told for each cell."""
    at = {key: row for row, key in enumerate(keys)}, {key: row for row, key in enumerate(sets)}
    total, count = np.zeros((len(keys), len(sets))), np.zeros((len(keys), len(sets)))
    for row in rows:
        value = row.get(column)
        if value is not None and np.isfinite(value):
            cell = at[0][row["region"]], at[1][row["dataset"]]
            total[cell] += float(value)
            count[cell] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _likeness(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Both ways, whichever was told."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["dataset"] != row["other"] and row["value"] is not None:
            found.setdefault(row["other"], {}).setdefault(row["dataset"], float(row["value"]))
            found.setdefault(row["dataset"], {})[row["other"]] = float(row["value"])
    return found
