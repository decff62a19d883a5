"""Whether the columns that a job's mappings name are there: known before a row is read, and told with lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.tables.names import lacking

if TYPE_CHECKING:
    from cortigraph.ingest.job import Job, Place
    from cortigraph.tables.base import Source

__all__ = ["check_columns", "check_names"]


def check_names(job: Job, names: Collection[str]) -> None:
    """Whether every source that a mapping names is there.

    Args:
        job: As loaded.
        names: Of its sources, and of the tables that are given from Python.

    Raises:
        InputError: Everything that is wrong, by line.
    """
    wrong = [
        f"{job.where((*place, 'source'))}: {UnknownKeyError('source', source, names)}"
        for place, source, _ in _read(job)
        if source not in names
    ]
    if wrong:
        raise InputError(list(dict.fromkeys(wrong)))


def check_columns(job: Job, sources: Mapping[str, Source]) -> None:
    """Whether every column that a mapping reads is in its source.

    Args:
        job: As loaded.
        sources: By name, opened.

    Raises:
        InputError: Everything that is wrong, by line.
    """
    wrong = [
        f"{job.where(place)}: source {source!r} has {problem}"
        for place, source, columns in _read(job)
        for column in columns
        if (problem := lacking(column, sources[source])) is not None
    ]
    wrong += _unknown_embedded(job)
    if wrong:
        raise InputError(list(dict.fromkeys(wrong)))


def _read(job: Job) -> Iterator[tuple[Place, str, list[str]]]:
    """Place in the job, source, and the columns that are read there."""
    for section, mappings in (("nodes", job.nodes), ("relationships", job.relationships)):
        for number, mapping in enumerate(mappings):
            for place, cell in mapping.cells():
                yield (section, number, *place), mapping.source, cell.columns()
    for number, item in enumerate(job.results):
        nodes, edges = item.mappings(job.job)
        for mapping in (*nodes, *edges):
            for _, cell in mapping.cells():
                yield ("results", number), item.source, cell.columns()


def _unknown_embedded(job: Job) -> Iterator[str]:
    for number, mapping in enumerate(job.nodes):
        given = {name for other in job.nodes if other.label == mapping.label for name in other.properties}
        for name in (*mapping.embed, *mapping.weak):
            if name not in given:
                place = ("nodes", number, "embed" if name in mapping.embed else "weak")
                yield f"{job.where(place)}: no mapping gives {mapping.label} a property {name!r}; name one of those"
