"""What is wrong with the items of a job, as far as it shows without the graph: keys, builders, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, TypeAdapter, ValidationError

from cortigraph.graph.errors import CortigraphError, InputError
from cortigraph.graph.plain_yaml import values_of
from cortigraph.ingest.spec.items import AreaItem, DatasetItem, RegionItem
from cortigraph.train.data.kinds import check_any
from cortigraph.train.data.problems import DataError

if TYPE_CHECKING:
    from cortigraph.ingest.job import Origin, Place

__all__ = ["builder_problems", "data_problem", "problems_of"]


def problems_of(items: Mapping[Place, BaseModel], origin: Origin) -> Iterator[tuple[Place, str]]:
    """Everything that is wrong with items that are whole by themselves.

    Args:
        items: By their place in the job.
        origin: Where the job comes from.

    Yields:
        Place and problem.
    """
    yield from _doubles(items, origin)
    yield from _builders(origin)
    for place, item in items.items():
        if isinstance(item, DatasetItem):
            yield from _data_problems(place, item, origin)


def builder_problems(place: Place, name: str, arguments: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    """Why a builder can't be called so, without calling it.

    Args:
        place: Of the region.
        name: Of the builder.
        arguments: What it would be called with.

    Yields:
        Place and problem.
    """
    from cortigraph.regions import builders

    try:
        builder = builders.get(name)
    except CortigraphError as error:
        yield (*place, "builder"), str(error)
        return
    for problem in builder.problems(arguments):
        yield (*place, "arguments"), problem


def data_problem(place: Place, problem: str) -> tuple[Place, str]:
    """Place and text of what the reader of data says; it calls a place of the spec `data.table`.

    Example:
        >>> data_problem(("datasets", 0), "data.table: no file a.csv")
        (('datasets', 0, 'table'), 'no file a.csv')
    """
    head, colon, rest = problem.partition(": ")
    if colon and head.startswith("data.") and " " not in head:
        return (*place, *head.split(".")[1:]), rest
    return place, problem


def _doubles(items: Mapping[Place, BaseModel], origin: Origin) -> Iterator[tuple[Place, str]]:
    first = dict(_shipped()) if _brings_built_in(origin) else {}
    for place, item in items.items():
        assert isinstance(item, AreaItem | RegionItem | DatasetItem)
        mark = (str(place[0]), item.key)
        if mark in first:
            yield place, f"{item.key!r} is declared twice, first at {first[mark]}; give each a key of its own"
        else:
            first[mark] = origin.document.where(place)


def _brings_built_in(origin: Origin) -> bool:
    """From the plain data, as the job as a whole may be wrong."""
    try:
        return TypeAdapter(bool).validate_python(origin.document.data.get("built_in", False))
    except ValidationError:
        return False


def _shipped() -> Iterator[tuple[tuple[str, str], str]]:
    from cortigraph.regions.catalogue import built_in

    areas, regions = built_in()
    for kind, declared in (("areas", areas), ("regions", regions)):
        for each in declared:
            yield (kind, each.key), "`built_in`"


def _builders(origin: Origin) -> Iterator[tuple[Place, str]]:
    """From the plain data: a region whose ports are wrong may have a wrong builder too."""
    regions = origin.document.data.get("regions")
    for number, told in enumerate(regions if isinstance(regions, list) else ()):
        if isinstance(told, dict) and isinstance(told.get("builder"), str) and "like" not in told:
            arguments = values_of(told.get("arguments"))
            yield from builder_problems(
                ("regions", number), told["builder"], arguments if isinstance(arguments, dict) else {}
            )


def _data_problems(place: Place, item: DatasetItem, origin: Origin) -> Iterator[tuple[Place, str]]:
    try:
        check_any(item.spec(), origin.base)
    except DataError as error:
        for problem in error.problems:
            yield data_problem(place, problem)
    except InputError as error:
        yield place, str(error)
