"""The data sets of a job: decoded before anything is written, and compared with what the graph remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job, Place
from cortigraph.ingest.spec.checks import data_problem
from cortigraph.ingest.spec.items import DatasetItem
from cortigraph.train.data.kinds import AnyData, load_any, seconds_to_load

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store
    from cortigraph.train.data.files import Progress
    from cortigraph.train.data.record import Described

__all__ = ["decode", "describe", "known", "seconds_to_decode"]

# The vectors of data sets whose samples and words are as they were.
_VECTORS = """
MATCH (d:Dataset) WHERE d.key IN $keys AND d.embedding IS NOT NULL AND d.text_embedding IS NOT NULL
RETURN d.key AS key, [d.fingerprint, d.name, d.description] AS told,
       d {.embedding, .text_embedding} AS vectors"""
_KNOWN = "MATCH (d:Dataset) WHERE d.key IN $keys AND d.spec IS NOT NULL RETURN d.key AS key"


def known(store: Store, job: Job) -> set[str]:
    """The keys of a job's data sets that the graph has."""
    return {row["key"] for row in store.read(_KNOWN, keys=[item.key for item in job.datasets])}


def decode(job: Job, items: Sequence[DatasetItem], home: Home, progress: Progress | None = None) -> dict[str, AnyData]:
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
    decoded: dict[str, AnyData] = {}
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


def describe(
    store: Store, job: Job, items: Sequence[DatasetItem], home: Home, progress: Progress | None = None
) -> list[Described]:
    """Data sets as the graph is to hold them; only those that are new or have changed are embedded.

    Raises:
        InputError: Everything that is wrong with their samples, by line.
    """
    if not items:
        return []
    from cortigraph.train.data.record import rows

    decoded = decode(job, items, home, progress)
    kept = {row["key"]: row for row in store.read(_VECTORS, keys=list(decoded))}
    found = []
    for item in items:
        data, before = decoded[item.key], kept.get(item.key)
        same = before is not None and before["told"] == [data.fingerprint, item.name or item.key, item.description]
        vectors = before["vectors"] if before is not None and same else None
        place, name, words = job.origin.base, item.name, item.description
        found.append(rows(item.key, data, item.spec(), place, name=name, description=words, vectors=vectors))
    return found


def seconds_to_decode(job: Job, item: DatasetItem) -> float:
    """How long decoding takes if nothing of it was decoded before, by rates that were measured."""
    return seconds_to_load(item.spec(), job.origin.base)


def _load(job: Job, item: DatasetItem, home: Home, progress: Progress | None) -> AnyData:
    def named(what: str, done: int, whole: int) -> None:
        if progress is not None:
            progress(f"{item.key}: {what}", done, whole)

    return load_any(item.spec(), job.origin.base, home.cache, named)


def _told(job: Job, place: Place, problem: str) -> str:
    where, text = data_problem(place, problem)
    return f"{job.where(where)}: {text}"
