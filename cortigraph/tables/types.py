"""The types that a column may have, and how a user writes them: `int`, `list[text]`, `vector[384]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TEXT", "Type", "arrow_type", "parse_type"]

_SCALARS = ("text", "int", "float", "bool", "date", "datetime")
_ITEMS = ("text", "int", "float")


@dataclass(frozen=True)
class Type:
    """What the cells of a column hold.

    Args:
        name: One of `text`, `int`, `float`, `bool`, `date`, `datetime`, `instant`, `list`, `vector`. Nobody writes
            `instant`: it is what `datetime` becomes where the file's times name their zone.
        item: What a list holds.
        size: How many numbers a vector has.
    """

    name: str
    item: str = ""
    size: int = 0

    def __str__(self) -> str:
        if self.name == "list":
            return f"list[{self.item}]"
        if self.name == "vector":
            return f"vector[{self.size}]"
        return "datetime" if self.name == "instant" else self.name


TEXT = Type("text")


def parse_type(text: str) -> Type:
    """A type as a user writes it.

    Raises:
        InputError: There is no such type; lists those that there are.

    Example:
        >>> parse_type("vector[3]")
        Type(name='vector', item='', size=3)
    """
    told = text.replace(" ", "")
    if told in _SCALARS:
        return Type(told)
    if (listed := re.fullmatch(r"list\[(\w+)\]", told)) and listed[1] in _ITEMS:
        return Type("list", item=listed[1])
    if (vector := re.fullmatch(r"vector\[([1-9]\d{0,4})\]", told)) is not None:
        return Type("vector", size=int(vector[1]))
    known = [*_SCALARS, *(f"list[{item}]" for item in _ITEMS), "vector[N]"]
    raise InputError(f"no type {text!r}; there are {', '.join(known)}")


def arrow_type(kind: Type) -> pa.DataType:
    """The Arrow type of its columns.

    Example:
        >>> arrow_type(parse_type("list[int]"))
        ListType(list<item: int64>)
    """
    import pyarrow as pa

    scalars = {
        "text": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "instant": pa.timestamp("us", "UTC"),
    }
    if kind.name == "list":
        return pa.list_(scalars[kind.item])
    if kind.name == "vector":
        return pa.list_(pa.float64(), kind.size)
    return scalars[kind.name]
