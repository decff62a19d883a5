"""Mappings: how a job turns the columns of a source into nodes and relationships.

nodes:
  - {source: names, key: id, properties: {name: name}, embed: [name]}
relationships:
  - {source: triples, type: {column: relation}, start: head, end: tail, create: true}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from cortigraph.graph.names import Label, RelType, flaw, instead, label_problem, property_problem, type_problem
from cortigraph.ingest.spec.cells import Cell, CellField, NameField, OwnKeyField, one_name

__all__ = ["LABELS", "EdgeMapping", "End", "NodeMapping", "Property"]

# What mappings may bring; everything else in the graph is made by the parts of the system that own it.
LABELS = (Label.ENTITY, Label.RELATION, Label.REGION, Label.DATASET, Label.TASK, Label.MODALITY, Label.AREA, Label.RUN)


def _property(name: str) -> str:
    problem = property_problem(name)
    if problem is not None:
        raise ValueError(f"{name[:60]!r} {problem}; give it another name")
    return name


def _further(name: str) -> str:
    return _taken(name, label_problem(name))


def _type(told: str | Cell) -> str | Cell:
    name = told.value if isinstance(told, Cell) else told
    return _taken(name, type_problem(name)) if isinstance(name, str) else told


def _given(told: Any) -> Any:
    """Labels as a cell, or as a list: constants are one, so that they are checked when the job is read."""
    if isinstance(told, dict) and set(told) == {"value"}:
        told = told["value"] if isinstance(told["value"], list | tuple) else [told["value"]]
    return told if isinstance(told, list | tuple) else Cell.parse(told)


def _form(told: Any) -> str:
    return "list" if isinstance(told, list | tuple) else "cell"


def _taken(name: str, problem: str | None) -> str:
    if problem is None:
        return name
    remedy = f"write another name, such as {instead(name)}" if flaw(name) is None else "name it"
    raise ValueError(f"{name[:60]!r} {problem}; {remedy}")


def _label(name: str) -> str:
    if name not in LABELS:
        raise ValueError(f"label must be one of {', '.join(LABELS)}, got {name!r}; say other kinds under `labels`")
    return name


Property = Annotated[str, AfterValidator(_property)]
_KnownLabel = Annotated[str, AfterValidator(_label)]
_Further = tuple[Annotated[str, AfterValidator(_further)], ...]
_Labels = Annotated[
    Annotated[_Further, Tag("list")] | Annotated[Cell, Tag("cell")], Discriminator(_form), BeforeValidator(_given)
]


class _Mapping(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    having: tuple[str, ...] = ()
    where: dict[str, str | tuple[str, ...]] = {}
    properties: dict[Property, CellField] = {}

    def numbers(self) -> Collection[str]:
        """The properties that are numbers and nothing else."""
        return ()

    def cells(self) -> Iterator[tuple[tuple[str, ...], Cell]]:
        """Every cell, with its place in the mapping."""
        for name, cell in self.properties.items():
            yield ("properties", name), cell
        for number, column in enumerate(self.having):
            yield ("having", str(number)), Cell(column=column)
        for column in self.where:
            yield ("where", column), Cell(column=column)


class End(BaseModel):
    """The node at an end of a relationship.

    Args:
        label: Of the node.
        key: Its key.
        area: For a region: the area that goes before the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: _KnownLabel = Label.ENTITY
    key: NameField
    area: str | None = None

    @classmethod
    def parse(cls, told: Any) -> Any:
        """A cell alone is the key of an entity."""
        return {"key": told} if isinstance(told, str) or (isinstance(told, dict) and "key" not in told) else told


class NodeMapping(_Mapping):
    """Rows to nodes. A list in the cell of the key is one node an item, and one in that of the labels all of them.

    Args:
        source: Its name.
        label: What kind of node; entities are what is known about the world.
        labels: Further labels of an entity: a list, or a cell that gives one for each row.
        key: What names the node for ever.
        area: For a region: its key is `area/key`.
        properties: Property → where its value comes from; a row without the value does not assert it.
        embed: The properties whose text is embedded, so that the node is found by meaning.
        weak: The properties that only fill a gap: what the graph says already stays.
        existing: Only say more about nodes that something else in the job, or the graph, brings.
        having: Leave out rows in which one of these columns is empty.
        where: Leave out rows whose column is none of these.

    Example:
        >>> str(NodeMapping(source="names", key="id", properties={"name": "name"}).label)
        'Entity'
    """

    label: _KnownLabel = Label.ENTITY
    labels: _Labels = ()
    key: NameField
    area: str | None = None
    embed: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    existing: bool = False

    @model_validator(mode="after")
    def _fits(self) -> NodeMapping:
        wrong = []
        if self.labels and self.label != Label.ENTITY:
            wrong.append(f"only entities have further labels, not {self.label}")
        if (self.area is not None) != (self.label == Label.REGION):
            wrong.append("a region needs an area, and nothing else has one")
        if self.embed and self.label not in (Label.ENTITY, Label.REGION, Label.DATASET):
            wrong.append(f"{self.label} has no embedding")
        own = [name for name in self.properties if property_problem(name, self.label) is not None]
        wrong += [f"{name!r} of {self.label} {property_problem(name, self.label)}" for name in own]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def with_area(self) -> NodeMapping:
        """A region says in which area it is."""
        if self.area is None:
            return self
        return self.model_copy(update={"properties": {**self.properties, "area": Cell(value=self.area)}})

    def in_area(self) -> tuple[NodeMapping, EdgeMapping]:
        """The area of a region, and the relationship that puts the region into it."""
        rows: dict[str, Any] = {"source": self.source, "having": self.having, "where": self.where}
        area: dict[str, Any] = {"label": Label.AREA, "key": Cell(value=self.area)}
        node = NodeMapping(**rows, **area, properties={"name": Cell(value=self.area)}, weak=("name",))
        region = End(label=Label.REGION, key=self.key, area=self.area)
        return node, EdgeMapping(**rows, type=RelType.HAS_REGION, start=End(**area), end=region)

    def cells(self) -> Iterator[tuple[tuple[str, ...], Cell]]:
        """Every cell, with its place in the mapping."""
        yield ("key",), self.key
        if isinstance(self.labels, Cell):
            yield ("labels",), self.labels
        yield from super().cells()


class EdgeMapping(_Mapping):
    """Rows to relationships. A list in a cell of its type, start, end or key is one relationship an item.

    Args:
        source: Its name.
        type: Text, or a cell that gives the type for each row.
        types: The types that may come; others are rejected. All, if left out.
        start: The node that it leaves.
        end: The node that it reaches.
        key: What tells several of one type between the same nodes apart; `{row: true}` for one relationship a row.
        create: Whether nodes that are missing at its ends are made; else such a row is rejected.
        properties: Property → where its value comes from.
        having: Leave out rows in which one of these columns is empty.
        where: Leave out rows whose column is none of these.

    Example:
        >>> str(EdgeMapping(source="triples", type={"column": "relation"}, start="head", end="tail").start.label)
        'Entity'
    """

    type: Annotated[str | Cell, AfterValidator(_type), AfterValidator(one_name)]
    types: tuple[str, ...] | None = Field(default=None, min_length=1)
    start: Annotated[End, BeforeValidator(End.parse)]
    end: Annotated[End, BeforeValidator(End.parse)]
    key: OwnKeyField | None = None
    create: bool = False

    def cells(self) -> Iterator[tuple[tuple[str, ...], Cell]]:
        """Every cell, with its place in the mapping."""
        if isinstance(self.type, Cell):
            yield ("type",), self.type
        yield ("start", "key"), self.start.key
        yield ("end", "key"), self.end.key
        if self.key is not None:
            yield ("key",), self.key
        yield from super().cells()
