"""Running a job: everything that takes long first, then one transaction that writes all of it or nothing.

    (:Batch {key, job, digest, at, …})-[:FROM]->(:Source {key, digest})

Every node that a run writes carries the key of its batch. What the graph holds already is left as it is, and keeps
the batch that brought it; a run that finds nothing to do writes no batch.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.write import merge_edges, merge_nodes
from cortigraph.ingest.data import decode
from cortigraph.ingest.job import Job
from cortigraph.ingest.plan import Action, Plan, plan
from cortigraph.ingest.statements import ADOPT, MEASURE_AGAIN, STORED
from cortigraph.ingest.tally import Tally

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store, Transaction
    from cortigraph.train.data.dataset import Dataset
    from cortigraph.train.data.files import Progress

__all__ = ["Report", "run"]


@dataclass(frozen=True)
class Report:
    """What a run did.

    Args:
        job: Its name.
        source: Its file, or its name where it comes with the package.
        batch: The key of what it wrote; None when there was nothing to write.
        counts: Kind → created, updated, unchanged → how many; what was written is as the server reports it.
        counters: What the server says it changed, such as `nodes_created`.
        seconds: How long it took, decoding included.
    """

    job: str
    source: str
    batch: str | None
    counts: Mapping[str, Mapping[Action, int]]
    counters: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {**vars(self), "seconds": round(self.seconds, 2)}


def run(store: Store, home: Home, job: Job, progress: Progress | None = None) -> Report:
    """Writes what a job declares; running it again changes nothing.

    Killed at any moment, it leaves the graph as it was before, or as it is after.

    Args:
        store: An open store.
        home: Where decoded data and weights lie.
        job: As loaded.
        progress: Told how far it is.

    Returns:
        What was done.

    Raises:
        InputError: Everything that is wrong with the job; nothing was written.
        StoreError: The store can't be reached, or did not take what it was sent; nothing was written.

    Example:
        >>> run(store, home, load_job("standard")).counts["Region"]  # doctest: +SKIP
        {'created': 15, 'updated': 0, 'unchanged': 0}
    """
    from filelock import FileLock

    if store.read_only:
        raise InputError("the store was opened read-only; open it with read_only=False to ingest")
    began = time.perf_counter()
    # One run at a time in a home: two that compare at once would both write the same. The system lets go of the lock
    # when its holder is killed.
    with FileLock(home.work / "ingest.lock"):
        wanted = plan(store, home, job, progress)
        if wanted.empty:
            return Report(job.job, wanted.source, None, wanted.counts(), {}, time.perf_counter() - began)
        write = _Write(job, home, wanted, decode(job, wanted.datasets, home, progress), progress)
        counts, counters = store.execute(write)
    return Report(job.job, wanted.source, write.batch, counts, counters, time.perf_counter() - began)


class _Write:
    """The one transaction; it may be run more than once, so everything in it merges."""

    def __init__(
        self, job: Job, home: Home, wanted: Plan, datasets: Mapping[str, Dataset], progress: Progress | None
    ) -> None:
        self.job, self.home, self.wanted, self.datasets = job, home, wanted, datasets
        self.progress = progress or (lambda what, done, whole: None)
        self.at = datetime.now(UTC)
        self.digest = _digest(wanted, datasets)
        self.batch = f"{job.job}/{self.at:%Y%m%dT%H%M%SZ}-{self.digest[7:15]}"

    def __call__(self, transaction: Transaction) -> tuple[dict[str, dict[Action, int]], dict[str, int]]:
        tally = Tally(transaction)
        before = {kind: self._stored(tally, kind)[0] for kind in STORED}
        self._catalogue(tally)
        self._datasets(tally)
        tally.write(ADOPT, keys=[key for kind in STORED for key in self._due(kind)], batch=self.batch)
        self._record(tally)
        return {kind: self._counted(tally, kind, found) for kind, found in before.items()}, dict(tally.counters)

    def _catalogue(self, tally: Tally) -> None:
        """First, because regions are measured here: so nothing else is locked meanwhile."""
        from cortigraph.regions.catalogue import declare
        from cortigraph.regions.weights import WeightStore

        regions = self.wanted.regions
        if not (regions or self.wanted.areas):
            return
        self.progress("measuring regions", 0, len(regions))
        tally.write(MEASURE_AGAIN, keys=[region.key for region in regions])
        weights = WeightStore(self.home.weights)
        declare(tally, self.wanted.areas, regions, weights=weights, batch=self.batch)
        self.progress("measuring regions", len(regions), len(regions))

    def _datasets(self, tally: Tally) -> None:
        from cortigraph.train.data.record import record

        if not self.wanted.datasets:
            return
        base = self.job.origin.base
        for number, item in enumerate(self.wanted.datasets, start=1):
            told = {"name": item.name, "description": item.description, "batch": self.batch}
            record(tally, item.key, self.datasets[item.key], item.spec(), base, **told)
            self.progress("writing data sets", number, len(self.wanted.datasets))

    def _record(self, tally: Tally) -> None:
        """The batch, and where it is from."""
        from cortigraph import __version__

        origin = self.job.origin
        written = {kind.lower() + "s": len(self._due(kind)) for kind in STORED}
        batch = {"key": self.batch, "job": self.job.job, "description": self.job.description, "digest": self.digest}
        merge_nodes(tally, Label.SOURCE, [{"key": origin.key, "digest": origin.digest}])
        merge_nodes(tally, Label.BATCH, [{**batch, "at": self.at, "version": __version__, **written}])
        merge_edges(tally, RelType.FROM, Label.BATCH, Label.SOURCE, [{"start": self.batch, "end": origin.key}])

    def _counted(self, tally: Tally, kind: str, found: int) -> dict[Action, int]:
        due = self._due(kind)
        brought = self._stored(tally, kind)[1]
        if brought != len(due):
            raise StoreError(
                f"sent {len(due)} nodes {kind}, the server holds {brought} of this batch; nothing was written"
            )
        return {"created": brought - found, "updated": found, "unchanged": len(self.wanted.keys(kind, "unchanged"))}

    def _stored(self, tally: Tally, kind: str) -> tuple[int, int]:
        row = tally.read(STORED[kind], keys=self._due(kind), batch=self.batch)[0]
        return int(row["found"]), int(row["brought"])

    def _due(self, kind: str) -> list[str]:
        return self.wanted.keys(kind, "created", "updated")


def _digest(wanted: Plan, datasets: Mapping[str, Dataset]) -> str:
    """Of what is written, wherever it lies: the same job over the same data has the same."""
    told = [
        [area.model_dump(mode="json") for area in wanted.areas],
        [region.model_dump(mode="json") for region in wanted.regions],
        [[item.key, item.name, item.description, item.spec().model_dump(mode="json")] for item in wanted.datasets],
        {key: dataset.fingerprint for key, dataset in datasets.items()},
    ]
    return f"sha256:{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"
