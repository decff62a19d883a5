"""The selector: for every region the expected score on a data set, an interval, the cost, and on what that rests.

    selector = Selector.for_dataset(evidence, "pets")
    ranking = selector.rank()
    ranking.regions[0].expected, ranking.regions[0].low, ranking.regions[0].high
    explain(selector, ranking.regions[0].key)      # of `selector.explain`

Runs on the data set itself, if there are any, are taken into account; proxies on it as far as they held elsewhere.
Where runs on other data sets are too few to learn from, embeddings and words stand in for what would be learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.selector.cost import cost_of
from cortigraph.reasoning.selector.embedded import SPREAD, by_embeddings, by_words, vague_level
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.features import card_likeness, dataset_views
from cortigraph.reasoning.selector.forecast import Belief, Forecast
from cortigraph.reasoning.selector.kernel import Spectrum
from cortigraph.reasoning.selector.levels import Level, expected_seconds, guess_level, measure_levels
from cortigraph.reasoning.selector.members import Member, Posterior, Said, hear, train_members
from cortigraph.reasoning.selector.trust import proxy_slopes, proxy_table, usual_slopes, weighted_misses

__all__ = ["Expected", "Ranking", "Selector"]

Floats = NDArray[np.float64]

_FEWEST_RUNS, _FEWEST_SETS = 3, 2
_LARGE = 500  # regions, from which on several threads are quicker
_EXACT_CELLS = 800  # runs that are solved one by one


@dataclass(frozen=True)
class Expected:
    """A region, and what may be expected of it on the data set.

    Args:
        key: Its key.
        expected: Score.
        low: Four runs in five are thought to score between this …
        high: … and this.
        uncertainty: One standard deviation.
        apart: The same without what all regions have in common: where the data set's level lies.
        seconds: What a run may cost; nothing if no run was ever timed.
        cost: What its card says that it costs: `parameters`, `flops`, `latency_ms` and the like.
        runs: The keys of its own runs on this data set.
    """

    key: str
    expected: float
    low: float
    high: float
    uncertainty: float
    apart: float
    seconds: float | None
    cost: dict[str, float]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """Regions for a data set, best expectation first."""

    dataset: str
    regions: tuple[Expected, ...]

    @property
    def choice(self) -> str | None:
        """The region to begin with: the best even if it does worse than expected by one standard deviation.

        Of regions that are expected to do alike, the first is often the one of which least is known: it is chosen for
        what is wrong in its forecast.
        """
        best = max(self.regions, key=lambda one: one.expected - one.apart, default=None)
        return None if best is None else best.key


@dataclass(frozen=True)
class Selector:
    """What was learned from all other data sets, ready to be asked of one.

    Args:
        evidence: As given, without data sets that nothing can be learned from.
        column: The data set that is asked for.
        columns: The data sets that it was learned from.
        members: The ways to see it.
        forecasts: Column → what is forecast there without its own runs; for `column` and for each of `columns`.
        slopes: What one unit of each proxy adds.
    """

    evidence: Evidence
    column: int
    columns: NDArray[np.int64]
    members: Sequence[Member]
    forecasts: dict[int, Forecast]
    slopes: Floats

    @classmethod
    def for_dataset(cls, evidence: Evidence, dataset: str, words: Floats | None = None) -> Selector:
        """Learns from the runs on all other data sets.

        Args:
            evidence: Runs, cards, and what is known of data sets.
            dataset: The one that is asked for; what is known of it may be its name alone.
            words: What is wanted, embedded: cards that speak of it come first where nothing else tells regions apart.

        Raises:
            UnknownKeyError: The evidence has no such data set.
            InputError: There are runs on fewer than two other data sets, or of fewer than three regions, and no
                embeddings of regions to go by instead.
        """
        runs = np.isfinite(evidence.scores).sum(0)
        full = int((np.delete(runs, evidence.dataset(dataset)) >= _FEWEST_RUNS).sum())
        few = full < _FEWEST_SETS
        if few and not evidence.vectors:
            raise InputError(
                f"to rank regions for {dataset!r}, at least {_FEWEST_SETS} other data sets with {_FEWEST_RUNS} runs "
                f"each are needed (got {full}); ingest more results, or run regions on more data"
            )
        evidence = _of_use(evidence, dataset, 1 if few else _FEWEST_RUNS)
        column = evidence.dataset(dataset)
        columns = np.array([c for c in range(len(evidence.datasets)) if c != column], dtype=np.int64)
        with _threads(len(evidence.regions)):
            return (cls._from_few if few else cls._learned)(evidence, column, columns, words)

    @classmethod
    def _learned(cls, evidence: Evidence, column: int, columns: NDArray[np.int64], words: Floats | None) -> Selector:
        likeness = card_likeness(evidence.regions, evidence.cards)
        views = dataset_views(evidence.datasets, evidence.features, evidence.likeness)
        levels = measure_levels(evidence.scores)
        spectrum = Spectrum.of(likeness)
        members = train_members(spectrum, likeness, views, evidence.scores, levels, columns)
        if _placed(evidence):
            members.append(_by_embeddings(evidence, levels, columns))
        said = {int(c): hear(members, columns, int(c)) for c in (*columns, column)}
        slopes = _trusted(evidence, said, levels, columns)
        forecasts = {}
        for c, told in said.items():
            others = columns[columns != c]
            level = guess_level(*levels, views, c, others)
            forecasts[c] = _forecast(evidence, told, c, slopes, level, words if c == column else None)
        return cls(evidence, column, columns, members, forecasts, slopes)

    @classmethod
    def _from_few(cls, evidence: Evidence, column: int, columns: NDArray[np.int64], words: Floats | None) -> Selector:
        levels = measure_levels(evidence.scores, SPREAD)
        member = _by_embeddings(evidence, levels, columns)
        told = hear([member], columns, column)
        slopes = usual_slopes(evidence.proxies)
        level = vague_level(*levels, member.covariance, column, columns)
        forecast = _forecast(evidence, told, column, slopes, level, words)
        return cls(evidence, column, columns, [member], {column: forecast}, slopes)

    def rank(self, *, runs: Sequence[str] | None = None, seed: int = 0) -> Ranking:
        """Every region, best first; ties by key.

        Args:
            runs: Regions whose runs on the data set are taken into account; all that there are when left out.
            seed: Of the draws by which the intervals' width is found.
        """
        evidence = self.evidence
        rows = self._shown(runs)
        shown = set(rows.tolist())
        belief = self.now if runs is None else self.belief(rows)
        low, high = self.misses(len(rows), seed)
        bounds = _bounds(evidence.scores) or (-np.inf, np.inf)
        seconds = expected_seconds(evidence, self.column)
        name = evidence.datasets[self.column]
        found = [
            Expected(
                key=key,
                expected=float(belief.mean[i]),
                low=float(np.clip(belief.mean[i] + low * belief.deviation[i], *bounds)),
                high=float(np.clip(belief.mean[i] + high * belief.deviation[i], *bounds)),
                uncertainty=float(belief.deviation[i]),
                apart=float(belief.apart[i]),
                seconds=float(seconds[i]) if np.isfinite(seconds[i]) else None,
                cost=cost_of(evidence.cards.get(key, {})),
                runs=evidence.runs.get((key, name), ()) if i in shown else (),
            )
            for i, key in enumerate(evidence.regions)
        ]
        return Ranking(name, tuple(sorted(found, key=lambda one: (-one.expected, one.key))))

    def belief(self, rows: NDArray[np.int64]) -> Belief:
        """What is believed of all regions, given the runs of some on the data set.

        Args:
            rows: Those regions, by row.
        """
        return self.forecasts[self.column].given(rows, self.evidence.scores[rows, self.column])

    @cached_property
    def now(self) -> Belief:
        """What is believed by all runs on the data set that there are."""
        return self.belief(self.seen())

    def misses(self, shown: int, seed: int = 0) -> tuple[float, float]:
        """Between how many standard deviations four in five runs lay on the known data sets.

        Args:
            shown: How many runs on each the forecast may see.
            seed: Of the draws.
        """
        known = [int(c) for c in self.columns if int(c) in self.forecasts]
        forecasts, scores = [self.forecasts[c] for c in known], [self.evidence.scores[:, c] for c in known]
        return weighted_misses(forecasts, scores, shown, np.random.default_rng(seed))

    @cached_property
    def posteriors(self) -> list[Posterior]:
        """What each member makes of all runs on other data sets."""
        return [member.posterior(self.columns) for member in self.members]

    @cached_property
    def levels(self) -> tuple[Floats, Floats]:
        """Centre and spread of each data set."""
        return measure_levels(self.evidence.scores)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between what the metric lies, if that is known."""
        return _bounds(self.evidence.scores)

    def seen(self) -> NDArray[np.int64]:
        """Rows of the regions that were run on the data set."""
        return self._shown(None)

    def added(self, row: int) -> dict[str, float]:
        """Proxy → what it adds to a region's expectation, in the metric's units; only those that are believed."""
        if not len(self.slopes):
            return {}
        parts = proxy_table(self.evidence.proxies, self.column)[row] * self.slopes
        spread = self.forecasts[self.column].level.spread
        return {
            name: float(spread * part) for name, part in zip(sorted(self.evidence.proxies), parts, strict=True) if part
        }

    def _shown(self, runs: Sequence[str] | None) -> NDArray[np.int64]:
        told = np.isfinite(self.evidence.scores[:, self.column])
        if runs is not None:
            picked = [self.evidence.region(key) for key in runs]
            told &= np.isin(np.arange(len(told)), picked)
        return np.flatnonzero(told)


def _of_use(evidence: Evidence, dataset: str, fewest: int) -> Evidence:
    """Without data sets that too little was run on; where those lie is nothing to go by."""
    runs = np.isfinite(evidence.scores).sum(0)
    poor = [key for key, count in zip(evidence.datasets, runs, strict=True) if count < fewest and key != dataset]
    return evidence.without(poor) if poor else evidence


def _placed(evidence: Evidence) -> bool:
    """Whether most regions and data sets have embeddings, and runs are few enough to be solved one by one."""
    regions = sum(key in evidence.vectors for key in evidence.regions)
    sets = sum(key in evidence.places for key in evidence.datasets)
    most = 2 * regions > len(evidence.regions) and 2 * sets > len(evidence.datasets)
    return most and int(np.isfinite(evidence.scores).sum()) <= _EXACT_CELLS


def _by_embeddings(evidence: Evidence, levels: tuple[Floats, Floats], columns: NDArray[np.int64]) -> Member:
    centre, spread = levels[0][columns], levels[1][columns]
    likeness, covariance = by_embeddings(evidence)
    few = int(np.isfinite(evidence.scores[:, columns]).sum()) <= _EXACT_CELLS
    seen = (evidence.scores[:, columns] - centre) / spread
    return Member(likeness if few else Spectrum.of(likeness), covariance, seen, spread)


def _forecast(
    evidence: Evidence, told: Said, column: int, slopes: Floats, level: Level, words: Floats | None
) -> Forecast:
    """What the members say, with what proxies and words add."""
    mean = told.mean + by_words(evidence, words, told.covariance.diagonal())
    if len(slopes):
        mean = mean + proxy_table(evidence.proxies, column) @ slopes
    return Forecast(mean, told.covariance, told.noise, level, _bounds(evidence.scores))


def _threads(regions: int) -> AbstractContextManager[Any]:
    """Small matrices are quicker on one thread."""
    from threadpoolctl import threadpool_limits

    return nullcontext() if regions > _LARGE else threadpool_limits(1)


def _trusted(
    evidence: Evidence, said: dict[int, Said], levels: tuple[Floats, Floats], columns: NDArray[np.int64]
) -> Floats:
    """How far each proxy is believed, by what the forecasts missed on known data sets."""
    if not evidence.proxies:
        return np.zeros(0)
    centre, spread = levels
    tables = [proxy_table(evidence.proxies, int(c)) for c in columns]
    missed = [(evidence.scores[:, c] - centre[c]) / spread[c] - said[int(c)].mean for c in columns]
    return proxy_slopes(tables, missed, usual_slopes(evidence.proxies))


def _bounds(scores: Floats) -> tuple[float, float] | None:
    """0 and 1 if no score lies outside; nothing otherwise."""
    told = scores[np.isfinite(scores)]
    return (0.0, 1.0) if not len(told) or (told.min() >= 0 and told.max() <= 1) else None
