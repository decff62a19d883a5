"""The data sets of a job: decoded before anything is written, and compared with what the graph remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job, Place
from cortigraph.ingest.spec.checks import data_problem
from cortigraph.ingest.spec.items import DatasetItem
from cortigraph.train.data.table import list_samples

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.train.data.dataset import Dataset
    from cortigraph.train.data.files import Progress
    from cortigraph.train.data.record import Described

__all__ = ["decode", "describe", "known", "seconds_to_decode"]

# Samples a second, measured on two cores, rounded: PNGs of 64 × 64, clips of one second, texts of ten words.
_RATES = {"image": 1000.0, "audio": 300.0, "text": 4000.0}


_KNOWN = "MATCH (d:Dataset) WHERE d.key IN $keys AND d.spec IS NOT NULL RETURN d.key AS key"


def known(store: Store, job: Job) -> set[str]:
    """The keys of a job's data sets that the graph has."""
    return {row["key"] for row in store.read(_KNOWN, keys=[item.key for item in job.datasets])}


def decode(job: Job, items: Sequence[DatasetItem], home: Home, progress: Progress | None = None) -> dict[str, Dataset]:
    """Decodes data sets; what was decoded before is found again in milliseconds.

    Args:
        job: Whose they are.
        items: Some of its data sets.
        home: Keeps the decoded data.
        progress: Told how far it is.

    Returns:
        Key → data set.

    Raises:
        InputError: Everything that is wrong with their samples, by line.
    """
    decoded: dict[str, Dataset] = {}
    problems: list[str] = []
    for item in items:
        place = ("datasets", job.datasets.index(item))
        try:
            decoded[item.key] = _load(job, item, home, progress)
        except InputError as error:
            problems += [_told(job, place, problem) for problem in error.problems]
    if problems:
        raise InputError(problems)
    return decoded


def describe(job: Job, items: Sequence[DatasetItem], home: Home, progress: Progress | None = None) -> list[Described]:
    """Data sets as the graph is to hold them.

    Raises:
        InputError: Everything that is wrong with their samples, by line.
    """
    if not items:
        return []
    from cortigraph.train.data.record import rows

    decoded = decode(job, items, home, progress)
    return [
        rows(item.key, decoded[item.key], item.spec(), job.origin.base, name=item.name, description=item.description)
        for item in items
    ]


def seconds_to_decode(job: Job, item: DatasetItem) -> float:
    """How long decoding takes if nothing of it was decoded before, by rates that were measured."""
    samples = len(list_samples(item, job.origin.base))
    return sum(samples / _RATES[each.modality] for each in item.inputs.values())


def _load(job: Job, item: DatasetItem, home: Home, progress: Progress | None) -> Dataset:
    from cortigraph.train.data.load import load

    def named(what: str, done: int, whole: int) -> None:
        if progress is not None:
            progress(f"{item.key}: {what}", done, whole)

    return load(item.spec(), job.origin.base, home.cache, named)


def _told(job: Job, place: Place, problem: str) -> str:
    where, text = data_problem(place, problem)
    return f"{job.where(where)}: {text}"
