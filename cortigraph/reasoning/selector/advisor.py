"""The advisor: which regions suit a data set or a scene, asked of the graph.

    advice = Advisor(store).for_dataset("pets")["vision.transfer"]
    advice.regions[0].expected, advice.choice, advice.why(advice.choice).rests_on[0].path

What was read and learned is kept as long as the graph stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.store import Store
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.explain import Explanation, explain, most_telling
from cortigraph.reasoning.selector.model import Expected, Ranking, Selector
from cortigraph.reasoning.selector.recall import areas_for, recall_evidence

__all__ = ["Advice", "Advisor", "Asked"]

T = TypeVar("T")

_KEPT = 8  # answers
_TELLING = 3
_FIRST = 3


@dataclass(frozen=True)
class Asked:
    """A data set that is asked for, which the graph may never have seen.

    Args:
        dataset: Its key.
        features: What is known of it: `samples`, `classes` and the like.
        place: Its embedding.
        words: What is wanted, embedded.
        proxies: Name → region → value: what was computed on its samples.
    """

    dataset: str
    features: Mapping[str, Any]
    place: NDArray[np.float64]
    words: NDArray[np.float64]
    proxies: Mapping[str, Mapping[str, float]]


class Advice:
    """Regions for a data set, best expectation first, and why.

    Args:
        selector: What was learned.
        among: The regions that may be advised; all that are known when left out.
        left_out: Region → why it can't serve, of those that are left out for it.
    """

    def __init__(
        self, selector: Selector, among: Sequence[str] | None = None, left_out: Mapping[str, str] | None = None
    ) -> None:
        self.selector = selector
        self._among = None if among is None else list(among)
        self.left_out = dict(left_out or {})

    @cached_property
    def ranking(self) -> Ranking:
        """As the selector gives it, of the regions that may be advised."""
        whole = self.selector.rank()
        if self._among is None:
            return whole
        may = set(self._among)
        return Ranking(whole.dataset, tuple(one for one in whole.regions if one.key in may))

    def __repr__(self) -> str:
        """The first few, as a person reads them."""
        rows = [f"{one.key} {one.expected:.3f} ({one.low:.3f} to {one.high:.3f})" for one in self.regions[:_FIRST]]
        more = [f"and {len(self.regions) - _FIRST} more"] if len(self.regions) > _FIRST else []
        return f"Advice for {self.ranking.dataset}: {'; '.join([*rows, *more])}"

    @property
    def regions(self) -> tuple[Expected, ...]:
        """Best expectation first; ties by key."""
        return self.ranking.regions

    @property
    def choice(self) -> str | None:
        """The region to begin with; see `Ranking.choice`."""
        return self.ranking.choice

    def why(self, region: str) -> Explanation:
        """The runs that an expectation rests on, and what would change it.

        Args:
            region: Its key.
        """
        return explain(self.selector, region, among=self._among)

    def most_telling(self, top: int = _TELLING) -> tuple[str, ...]:
        """Regions whose run on the data set would make the ranking surest."""
        return most_telling(self.selector, top, among=self._among)

    def told(self, explained: int | None = None) -> dict[str, Any]:
        """All of it as plain data.

        Args:
            explained: How many of the first are explained; all when left out.
        """
        rows = []
        for place, one in enumerate(self.regions):
            row: dict[str, Any] = {**asdict(one), "choice": one.key == self.choice}
            if explained is None or place < explained or row["choice"]:
                why = self.why(one.key)
                row["rests_on"] = [{**asdict(support), "path": support.path} for support in why.rests_on]
                row["would_change"] = [asdict(change) for change in why.would_change]
                row["proxies"] = why.proxies
            rows.append(row)
        told = {"dataset": self.ranking.dataset, "most_telling": self.most_telling(), "regions": rows}
        return {**told, "left_out": self.left_out}


class Advisor:
    """Ranks regions by what the graph holds.

    Args:
        store: Where runs, regions and data sets lie; only read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Hashable, Any] = {}

    def for_dataset(
        self,
        dataset: str,
        *,
        metric: str = "accuracy",
        area: str | None = None,
        scenes: Sequence[str] | None = None,
    ) -> dict[str, Advice]:
        """Ranks the regions that the graph knows for a data set that it knows.

        Args:
            dataset: Key. Runs on it, if there are any, count.
            metric: A property of runs; more is better.
            area: Only regions of this functional area; those where the data set, or its like, is known when left out.
            scenes: Only what was learned for these; all when left out.

        Returns:
            Functional area → its regions.

        Raises:
            UnknownKeyError: There is no such data set.
            InputError: There is too little to learn from.
        """
        version = self._store.version()
        found = [area] if area else self._once((version, dataset, metric), areas_for, self._store, dataset, metric)

        def advise(name: str) -> Advice:
            return Advice(Selector.for_dataset(self._evidence(version, metric, name, scenes), dataset))

        told = None if scenes is None else tuple(scenes)
        return {name: self._once((version, dataset, metric, name, told), advise, name) for name in found}

    def for_slots(
        self,
        asked: Asked,
        slots: Mapping[str, Sequence[str]],
        *,
        metric: str = "accuracy",
        scenes: Sequence[str] | None = None,
        left_out: Mapping[str, Mapping[str, str]] | None = None,
    ) -> dict[str, Advice]:
        """Ranks regions for the slots of a scene: those that may serve there.

        Args:
            asked: The scene's data set.
            slots: Slot → the keys of its regions.
            metric: A property of runs; more is better.
            scenes: Only what was learned for these; all when left out.
            left_out: Slot → region → why it can't serve there; passed on.
        """
        version, told = self._store.version(), left_out or {}
        return {
            slot: Advice(self._for_slot(version, asked, keys, metric, scenes), keys, told.get(slot))
            for slot, keys in slots.items()
        }

    def _for_slot(
        self, version: str, asked: Asked, keys: Sequence[str], metric: str, scenes: Sequence[str] | None
    ) -> Selector:
        areas = sorted({key.rpartition("/")[0] for key in keys})
        evidence = self._evidence(version, metric, tuple(areas), scenes, tuple(keys))
        proxies = {
            name: {key: value for key, value in told.items() if key in keys} for name, told in asked.proxies.items()
        }
        told = evidence.knowing(asked.dataset, asked.features, asked.place, {n: t for n, t in proxies.items() if t})
        return Selector.for_dataset(told, asked.dataset, asked.words)

    def _evidence(
        self,
        version: str,
        metric: str,
        area: str | tuple[str, ...],
        scenes: Sequence[str] | None,
        keys: tuple[str, ...] = (),
    ) -> Evidence:
        def recall() -> Evidence:
            return recall_evidence(self._store, metric=metric, area=area, scenes=scenes, keys=keys)

        return self._once((version, metric, area, None if scenes is None else tuple(scenes), keys), recall)

    def _once(self, key: Hashable, make: Callable[..., T], *arguments: Any) -> T:
        if key not in self._known:
            made = make(*arguments)
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = made
        return self._known[key]  # type: ignore[no-any-return]
