"""From what a job says to what is declared: regions that are like others are completed, and what they need is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.ingest.job import Job, Place
from cortigraph.ingest.spec.checks import builder_problems
from cortigraph.regions import catalogue
from cortigraph.regions.region import Area, Region

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store

__all__ = ["Settled", "settle"]

_Keyed = TypeVar("_Keyed", Area, Region)
_BUILT_IN: Place = ("built_in",)


@dataclass(frozen=True)
class Settled:
    """What a job declares, and what the graph holds of it.

    Args:
        areas: Key → area.
        regions: Key → region, each after the one that it derives from.
        places: Key → where the job says so.
        known_areas: All areas of the graph, by key.
        known_regions: All regions of the graph, by key.
    """

    areas: Mapping[str, Area]
    regions: Mapping[str, Region]
    places: Mapping[str, Place]
    known_areas: Mapping[str, Area]
    known_regions: Mapping[str, Region]


def settle(store: Store, home: Home, job: Job) -> Settled:
    """Completes what a job declares by what the package and the graph hold.

    An area or a region of the package that something in the job needs, and that the graph lacks, is declared too.
    A region of the job that is new or has changed is built and run on shapes alone, so that one that can't work is
    told of before a run.

    Args:
        store: Only read.
        home: Where weights lie.
        job: As loaded.

    Returns:
        What is to be declared.

    Raises:
        InputError: A region is like none that there is, its area or weights are missing, or it can't be built; lists
            every problem, by line.
    """
    return _Settling(store, home, job).settled()


class _Settling:
    def __init__(self, store: Store, home: Home, job: Job) -> None:
        areas, regions = catalogue.built_in()
        self.job, self.home = job, home
        self.shipped_areas = _by_key(areas)
        self.shipped = _by_key(regions)
        self.known_areas = _by_key(catalogue.areas(store))
        self.known = _by_key(catalogue.regions(store))
        self.items = {item.key: (("regions", number), item) for number, item in enumerate(job.regions)}
        self.areas: dict[str, Area] = self.shipped_areas.copy() if job.built_in else {}
        self.regions: dict[str, Region] = self.shipped.copy() if job.built_in else {}
        self.places: dict[str, Place] = dict.fromkeys([*self.areas, *self.regions], _BUILT_IN)
        self.problems: list[str] = []

    def settled(self) -> Settled:
        for number, item in enumerate(self.job.areas):
            self.places[item.key] = ("areas", number)
            self.areas[item.key] = item.area()
        for key in self.items:
            self._region(key, ())
        if self.problems:
            raise InputError(self.problems)
        return Settled(self.areas, self.regions, self.places, self.known_areas, self.known)

    def _region(self, key: str, waiting: tuple[str, ...]) -> Region | None:
        """Declares a region of the job, and before it the one that it is like."""
        if key in self.places:
            return self.regions.get(key)
        place, item = self.items[key]
        self.places[key] = place
        origin = self._origin(place, item.like, (*waiting, key)) if item.like else None
        if item.like and origin is None:
            return None
        try:
            region = item.region(origin)
        except ValidationError as error:
            for told in error.errors():
                self._note((*place, *told["loc"]), told["msg"].removeprefix("Value error, "))
            return None
        for where, problem in self._wrong(place, region):
            self._note(where, problem)
        self._area(place, region)
        self.regions[key] = region
        return region

    def _origin(self, place: Place, key: str, waiting: tuple[str, ...]) -> Region | None:
        if key in waiting:
            self._note((*place, "like"), f"{' is like '.join((*waiting, key))}; one of them must be declared in full")
            return None
        if key in self.items:
            return self._region(key, waiting)
        found = self.regions.get(key) or self._bring(place, key) or self.known.get(key)
        if found is None:
            known = {*self.items, *self.known, *self.shipped}
            self._note((*place, "like"), str(UnknownKeyError("region", key, known)))
        return found

    def _bring(self, place: Place, key: str) -> Region | None:
        """A region of the package, unless the graph has another of that name: it belongs to the job, too."""
        region = self.shipped.get(key)
        if region is not None and self.known.get(key, region) == region:
            self.places[key] = (*place, "like")
            self._area(place, region)
            self.regions[key] = region
            return region
        return None

    def _area(self, place: Place, region: Region) -> None:
        declared = {*self.areas, *(item.key for item in self.job.areas)}
        if region.area in declared:
            return
        shipped, known = (areas.get(region.area) for areas in (self.shipped_areas, self.known_areas))
        if shipped is not None and known in (None, shipped):
            self.areas[region.area] = self.shipped_areas[region.area]
            self.places[region.area] = (*place, "area")
            return
        if known is not None:
            return
        problem = UnknownKeyError("area", region.area, {*declared, *self.known_areas, *self.shipped_areas})
        self._note((*place, "area"), f"{problem}; or declare it under `areas`")

    def _wrong(self, place: Place, region: Region) -> list[tuple[Place, str]]:
        if self.known.get(region.key) == region:
            return []
        told = list(builder_problems(place, region.builder, region.arguments))
        return told or [(place, problem) for problem in _failure(region, self.home)]

    def _note(self, place: Place, problem: str) -> None:
        self.problems.append(f"{self.job.where(place)}: {problem}")


def _failure(region: Region, home: Home) -> Sequence[str]:
    from cortigraph.regions.weights import WeightStore

    if region.weights is not None and not WeightStore(home.weights).has(region.weights):
        return [f"the weights {region.weights} are not in {home.weights}; save them there first"]
    try:
        region.emits_for(*(port.sizes for port in region.typical()))  # type: ignore[arg-type]  # every size is known
    except InputError as error:
        return error.problems
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # A builder is anybody's function: what it raises when a value is out of its range is not ours to choose.
        return [f"can't be built: {error}; change its arguments"]
    return []


def _by_key(told: Iterable[_Keyed]) -> dict[str, _Keyed]:
    return {each.key: each for each in told}
