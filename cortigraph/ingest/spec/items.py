"""The items of a job, as they are written: areas, regions and data sets.

Ports are lines, by name: `image: image[channel=1,height=*,width=*] float32 raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from cortigraph.graph.errors import InputError
from cortigraph.graph.plain_yaml import values_of
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Area, Region
from cortigraph.train.data.mot.tracking import MotSpec
from cortigraph.train.data.spec import DataSpec, InputName, InputSpec

__all__ = ["AreaItem", "DatasetItem", "RegionItem"]

_NEEDED = ("area", "name", "builder", "accepts", "emits")


def _port(text: str) -> str:
    try:
        Port.parse("port", text)
    except InputError as error:
        # The place in the file says which port it is.
        raise ValueError("; ".join(problem.removeprefix("port 'port': ") for problem in error.problems)) from None
    return text


def _quoted(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f'an ID is text: put it in quotes, such as "001"; {value} is a number')
    return value


_PortName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_Ports = dict[_PortName, Annotated[str, AfterValidator(_port)]]
_AreaKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
_Id = Annotated[str, BeforeValidator(_quoted), Field(pattern=r"^[0-9A-Za-z._-]{1,32}$")]
_RegionKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*/[0-9A-Za-z._-]{1,32}$")]
_Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_DatasetKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AreaItem(_Item):
    """A functional area.

    Args:
        key: Dotted lower-case words.
        name: For people.
        description: In words.
        accepts: Port name → port.
        emits: Port name → port.
    """

    key: _AreaKey
    name: str
    description: str = ""
    accepts: _Ports = {}
    emits: _Ports = {}

    def area(self) -> Area:
        """The area that is declared.

        Example:
            >>> AreaItem(key="vision.counting", name="Counting").area().key
            'vision.counting'
        """
        told = self.model_dump(exclude={"accepts", "emits"})
        return Area.model_validate({**told, "accepts": _ports(self.accepts), "emits": _ports(self.emits)})


class RegionItem(_Item):
    """A region: declared in full, or like another one with some things changed.

    Args:
        area: The key of its area; that of the other region, when left out.
        id: Short and unique in the area.
        like: The key of a region to copy: of this job, of the package or in the graph. This one then derives from it.
        name: For people.
        description: In words.
        builder: The registered function that makes the module.
        arguments: What the builder is called with; those of the other region stay, where not given. What looks like a
            number is one, unless it is in quotes.
        accepts: Port name → port, in the order of `forward`.
        emits: Port name → port.
        weights: The hash of trained weights; the other region's are taken over unless arguments are given.
        licence: As an SPDX name.
        trainable: Whether training may change it.
        variadic: Whether it takes any number of inputs.
        shapes: Typical shapes, one per input and without the batch axis.
    """

    area: _AreaKey | None = None
    id: _Id
    like: _RegionKey | None = None
    name: str | None = None
    description: str | None = None
    builder: str | None = None
    arguments: Annotated[dict[str, JsonValue] | None, BeforeValidator(values_of)] = None
    accepts: Annotated[_Ports, Field(min_length=1)] | None = None
    emits: Annotated[_Ports, Field(min_length=1)] | None = None
    weights: _Hash | None = None
    licence: str | None = None
    trainable: bool | None = None
    variadic: bool | None = None
    shapes: tuple[tuple[Annotated[int, Field(gt=0)], ...], ...] | None = None

    @model_validator(mode="after")
    def _whole(self) -> RegionItem:
        missing = [name for name in _NEEDED if getattr(self, name) is None]
        if missing and self.like is None:
            raise ValueError(f"{', '.join(missing)} missing; give them, or `like: area/id` to copy another region")
        if self.like == self.key:
            raise ValueError(f"{self.key} is like itself; give it an ID of its own")
        return self

    @property
    def key(self) -> str:
        """`area/id`."""
        area = self.area or (self.like or "").rpartition("/")[0]
        return f"{area}/{self.id}"

    def region(self, origin: Region | None = None) -> Region:
        """The region that is declared.

        Args:
            origin: The one that it is like, if it is like one.

        Example:
            >>> from cortigraph.regions.vision import REGIONS
            >>> wide = RegionItem(id="001w", like="vision.recognition/001", arguments={"width": 16})
            >>> wide.region(REGIONS[0]).derived_from
            'vision.recognition/001'
        """
        told: dict[str, Any] = {} if origin is None else origin.model_dump() | {"derived_from": origin.key}
        if origin is not None and self.arguments:
            told["weights"] = None  # they were trained with other arguments
        own = {name: value for name, value in self if value is not None and name != "like"}
        own |= {name: _ports(own[name]) for name in ("accepts", "emits") if name in own}
        own["arguments"] = {**told.get("arguments", {}), **(self.arguments or {})}
        return Region.model_validate({**told, **own})


class DatasetItem(DataSpec):
    """A data set: its key and, beside it, what `DataSpec` or `MotSpec` says; paths are relative to the job's file.

    Args:
        key: Names it for ever.
        name: For people; the key when left out.
        description: In words: it is found by them, and likened to others.
        motchallenge: Folder of MOTChallenge sequences, instead of a table or a folder of classes.
        inputs: Input name → what feeds it; none for sequences.
    """

    key: _DatasetKey
    name: str = ""
    description: str = ""
    motchallenge: Path | None = None
    inputs: dict[InputName, InputSpec] = Field(default={})

    @model_validator(mode="after")
    def _whole(self) -> DatasetItem:
        """In the place of the check of `DataSpec`, which knows no sequences."""
        try:
            self.spec()
        except ValidationError as error:
            raise ValueError("; ".join(self._told(each["loc"], each["msg"]) for each in error.errors())) from None
        return self

    def _told(self, place: tuple[int | str, ...], text: str) -> str:
        where = ".".join(map(str, place))
        if self.motchallenge is not None and where in DataSpec.model_fields and where != "split":
            return f"{where} is not for motchallenge, which takes split alone"
        return (f"{where}: " if where else "") + text.removeprefix("Value error, ")

    def spec(self) -> DataSpec | MotSpec:
        """The spec alone.

        Example:
            >>> told = {"key": "digits", "folder": "digits", "inputs": {"image": {"modality": "image"}}}
            >>> str(DatasetItem.model_validate(told).spec().folder)
            'digits'
        """
        told = self.model_dump(exclude_unset=True, exclude={"key", "name", "description"})
        if self.motchallenge is None:
            told.pop("motchallenge", None)
            return DataSpec.model_validate(told)
        return MotSpec.model_validate(told)


def _ports(lines: Mapping[str, str]) -> tuple[Port, ...]:
    return tuple(Port.parse(name, line) for name, line in lines.items())
