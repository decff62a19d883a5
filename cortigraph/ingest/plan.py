"""What a job would change in the graph, without changing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cortigraph.graph.schema import Label
from cortigraph.ingest import data
from cortigraph.ingest.items import DatasetItem
from cortigraph.ingest.job import Job
from cortigraph.ingest.settle import Settled, settle
from cortigraph.ingest.statements import statements
from cortigraph.regions.region import Area, Region

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.train.data.files import Progress

__all__ = ["KINDS", "Action", "Change", "Plan", "plan"]

Action = Literal["created", "updated", "unchanged"]
KINDS = (str(Label.AREA), str(Label.REGION), str(Label.DATASET))

# Measured on two cores: a small region is built, profiled and embedded; the text encoder is loaded once per process.
_REGION_SECONDS = 0.5
_ENCODER_SECONDS = 2.0
_WRITE_SECONDS = 0.5

_Keyed = TypeVar("_Keyed", Area, Region)


@dataclass(frozen=True)
class Change:
    """What becomes of one item.

    Args:
        kind: `Area`, `Region` or `Dataset`.
        key: Of its node.
        action: What a run does with it.
    """

    kind: str
    key: str
    action: Action


@dataclass(frozen=True)
class Plan:
    """What a run of a job would do now.

    Args:
        job: Its name.
        source: Its file, or its name where it comes with the package.
        changes: Every item of the job.
        seconds: About how long a run takes, at most: data that was decoded before is not decoded again.
        cypher: The statements that change the graph; none when nothing changes.
        areas: Those to write.
        regions: Those to write, each after the one that it derives from.
        datasets: Those to write.
        settled: All that the job declares.
    """

    job: str
    source: str
    changes: tuple[Change, ...]
    seconds: float
    cypher: tuple[str, ...]
    areas: tuple[Area, ...] = field(repr=False)
    regions: tuple[Region, ...] = field(repr=False)
    datasets: tuple[DatasetItem, ...] = field(repr=False)
    settled: Settled = field(repr=False)

    @property
    def empty(self) -> bool:
        """Whether the graph holds all of it already."""
        return all(change.action == "unchanged" for change in self.changes)

    def keys(self, kind: str, *actions: Action) -> list[str]:
        """The keys of a kind that are created, updated or unchanged, as asked."""
        return [change.key for change in self.changes if change.kind == kind and change.action in actions]

    def counts(self) -> dict[str, dict[Action, int]]:
        """Kind → action → how many."""
        actions: tuple[Action, ...] = ("created", "updated", "unchanged")
        return {kind: {action: len(self.keys(kind, action)) for action in actions} for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {
            "job": self.job,
            "source": self.source,
            "counts": self.counts(),
            "changes": [vars(change) for change in self.changes],
            "seconds": round(self.seconds, 1),
            "cypher": list(self.cypher),
        }


def plan(store: Store, home: Home, job: Job, progress: Progress | None = None) -> Plan:
    """Compares a job with the graph; nothing is written.

    A data set that the graph knows is decoded if its files have changed since, because only that shows whether the
    samples have; a new one is only listed.

    Args:
        store: Only read.
        home: Where decoded data and weights lie.
        job: As loaded.
        progress: Told how far decoding is.

    Returns:
        What a run would do.

    Raises:
        InputError: Everything that would stop a run, as far as it shows without decoding new data; by line.
    """
    settled = settle(store, home, job)
    areas = list(_compared(str(Label.AREA), settled.areas, settled.known_areas))
    regions = list(_compared(str(Label.REGION), settled.regions, settled.known_regions))
    datasets = list(_compared_data(store, home, job, progress))
    due = {change.key for change in _due(datasets)}
    written = tuple(settled.regions[change.key] for change in _due(regions))
    items = tuple(item for item in job.datasets if item.key in due)
    return Plan(
        job=job.job,
        source=job.origin.key,
        changes=(*areas, *regions, *datasets),
        seconds=_seconds(job, written, items, bool(_due(areas))),
        cypher=statements(
            areas=len(_due(areas)),
            regions=len(written),
            derived=sum(region.derived_from is not None for region in written),
            datasets=len(items),
        ),
        areas=tuple(settled.areas[change.key] for change in _due(areas)),
        regions=written,
        datasets=items,
        settled=settled,
    )


def _compared(kind: str, told: Mapping[str, _Keyed], known: Mapping[str, _Keyed]) -> Iterable[Change]:
    for key, each in told.items():
        action: Action = "created" if key not in known else "unchanged" if known[key] == each else "updated"
        yield Change(kind, key, action)


def _compared_data(store: Store, home: Home, job: Job, progress: Progress | None) -> Iterable[Change]:
    known = data.known(store, job)
    same = [item for item in job.datasets if item.key in known and not data.changed(job, item, known[item.key])]
    decoded = data.decode(job, same, home, progress)
    for item in job.datasets:
        if item.key not in known:
            action: Action = "created"
        elif item.key in decoded and decoded[item.key].fingerprint == known[item.key].fingerprint:
            action = "unchanged"
        else:
            action = "updated"
        yield Change(str(Label.DATASET), item.key, action)


def _due(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.action != "unchanged"]


def _seconds(job: Job, regions: Sequence[Region], items: Sequence[DatasetItem], areas: bool) -> float:
    if not (regions or items or areas):
        return 0.0
    encoder = _ENCODER_SECONDS if regions or items else 0.0
    decoding = sum(data.seconds_to_decode(job, item) for item in items)
    return _WRITE_SECONDS + encoder + _REGION_SECONDS * len(regions) + decoding
