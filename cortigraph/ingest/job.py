"""Jobs: what a user wants the graph to hold, in YAML, read and checked as a whole.

job: ears
description: A wider recogniser, and the data that it was made for.
regions:
  - {like: audio.recognition/001, id: 001w, name: LeNet3 wide, arguments: {width: 16}}
datasets:
  - key: birds
    folder: birds            # one sub-folder a class, relative to this file
    inputs: {audio: {modality: audio}}
sources:
  species: {path: species.csv}
nodes:
  - {source: species, key: id, labels: [Species], properties: {name: name}, embed: [name]}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.ingest.spec.cards import CardsItem
from cortigraph.ingest.spec.items import AreaItem, DatasetItem, RegionItem
from cortigraph.ingest.spec.mapping import EdgeMapping, NodeMapping
from cortigraph.ingest.spec.results import ResultsItem
from cortigraph.regions.document import Document, read
from cortigraph.tables.spec import SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Job", "Origin", "Place", "load_job"]

Place = tuple[str | int, ...]

_SHIPPED = Path(__file__).parent / "jobs"
_KINDS: dict[str, type[BaseModel]] = {"areas": AreaItem, "regions": RegionItem, "datasets": DatasetItem}


@dataclass(frozen=True)
class Origin:
    """Where a job comes from.

    Args:
        key: The path of its file, or the name of one that comes with the package.
        digest: SHA-256 of the file's bytes; empty for a job that was made in Python.
        base: The folder that relative paths in it start from.
        document: Knows the line of every value.
    """

    key: str
    digest: str
    base: Path
    document: Document


class Job(BaseModel):
    """What the graph is to hold. Running it again changes nothing.

    Args:
        job: Its name, part of the key of the batches that it brings.
        description: In words.
        built_in: Whether the areas and regions that come with the package belong to it.
        areas: Functional areas.
        regions: Regions, in any order.
        datasets: Data sets.
        max_rejects: How many wrong rows are left out before everything stops, unless a run says otherwise: for sources
            that are known to have some.
        sources: Files (or, from Python, tables) that mappings read, by name.
        nodes: Mappings of rows to nodes.
        relationships: Mappings of rows to relationships.
        results: Tables of how models did on data sets.
        cards: Folders of model cards.

    Example:
        >>> job = Job.parse({"job": "more", "regions": [{"like": "vision.recognition/001", "id": "mine"}]})
        >>> job.regions[0].key
        'vision.recognition/mine'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    description: str = ""
    built_in: bool = False
    areas: tuple[AreaItem, ...] = ()
    regions: tuple[RegionItem, ...] = ()
    datasets: tuple[DatasetItem, ...] = ()
    max_rejects: Annotated[int, Field(ge=0)] = 0
    sources: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")], SourceSpec] = {}
    nodes: tuple[NodeMapping, ...] = ()
    relationships: tuple[EdgeMapping, ...] = ()
    results: tuple[ResultsItem, ...] = ()
    cards: tuple[CardsItem, ...] = ()

    _origin: Origin | None = PrivateAttr(default=None)

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        return self._origin or _from_python(self.job, {}, Path())

    def where(self, place: Place) -> str:
        """`file:line: place`, to begin a message with.

        Args:
            place: Such as `("regions", 0, "builder")`.
        """
        return _where(self.origin.document, place)

    def tables(self) -> dict[str, pa.Table]:
        """The tables that its cards make.

        Raises:
            InputError: A card can't be read; lists everything, by line.
        """
        found: dict[str, pa.Table] = {}
        problems: list[str] = []
        for number, item in enumerate(self.cards):
            try:
                found |= item.tables(number, self.origin.base)
            except InputError as error:
                problems += [f"{self.where(('cards', number))}: {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems)
        return found

    def mappings(self, tables: Mapping[str, pa.Table]) -> tuple[list[NodeMapping], list[EdgeMapping]]:
        """Every mapping, those that results and cards stand for included.

        Args:
            tables: Of its cards.
        """
        nodes, edges = list(self.nodes), list(self.relationships)
        for item in self.results:
            brought, joined = item.mappings(self.job)
            nodes += brought
            edges += joined
        for number, card in enumerate(self.cards):
            brought, joined = card.mappings(number, self.job, tables)
            nodes += brought
            edges += joined
        areas = [node.in_area() for node in nodes if node.area is not None]
        nodes = [node.with_area() for node in nodes] + [area for area, _ in areas]
        return nodes, edges + [edge for _, edge in areas]

    @classmethod
    def parse(cls, values: Mapping[str, Any], base: str | Path = ".") -> Job:
        """A job from plain data.

        Args:
            values: As in a file.
            base: The folder that relative paths start from.

        Raises:
            InputError: Everything that is wrong with it.
        """
        return _parsed(_from_python(str(values.get("job", "job")), values, Path(base)))


def load_job(job: str | Path) -> Job:
    """Reads a job and checks whatever can be checked without the graph.

    Args:
        job: A YAML file, or the name of a job that comes with the package: `standard`.

    Returns:
        The job; paths in it are relative to its file.

    Raises:
        UnknownKeyError: There is no such file, nor a job of that name.
        InputError: Everything that is wrong with it, by line.

    Example:
        >>> load_job("standard").built_in
        True
    """
    path, key = _found(job)
    document = read(path)
    if not isinstance(document.data, dict):
        raise InputError(f"{document.where(())}: expected keys and values, such as job and regions")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return _parsed(Origin(key, digest, path.parent.resolve(), document))


def _found(job: str | Path) -> tuple[Path, str]:
    path = Path(job).expanduser()
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path, str(path.resolve())
    shipped = sorted(file.stem for file in _SHIPPED.glob("*.yaml"))
    if str(job) not in shipped:
        raise UnknownKeyError("job", str(job), shipped, where="with the package, and no file of that name")
    return _SHIPPED / f"{job}.yaml", str(job)


def _from_python(name: str, values: Mapping[str, Any], base: Path) -> Origin:
    return Origin(f"python:{name}", "", base.resolve(), Document(Path(f"job {name!r}"), dict(values), {}))


def _parsed(origin: Origin) -> Job:
    from cortigraph.ingest.spec.checks import problems_of

    job: Job | None = None
    problems: list[str] = []
    try:
        job = origin.document.into(Job)
    except InputError as error:
        problems += error.problems
    # The items that are whole are looked into even when others are not: all problems at once.
    problems += [
        f"{_where(origin.document, place)}: {problem}"
        for place, problem in problems_of(dict(_items(origin.document)), origin)
    ]
    if job is None or problems:
        raise InputError(problems)
    job._origin = origin
    return job


def _items(document: Document) -> Iterator[tuple[Place, BaseModel]]:
    for kind, model in _KINDS.items():
        told = document.data.get(kind)
        for number in range(len(told)) if isinstance(told, list) else ():
            try:
                yield (kind, number), document.into(model, (kind, number))
            except InputError:
                continue  # told of when the job is read as a whole


def _where(document: Document, place: Place) -> str:
    return f"{document.where(place)}: {'.'.join(map(str, place))}"
