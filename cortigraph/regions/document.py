"""Documents: YAML that a user writes, read into a model, with every problem named by its line.

read     a file → its data and the line of every value
parse    a file → a pydantic model, or one error that lists everything that is wrong
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cortigraph.graph.errors import InputError

__all__ = ["Document", "parse", "read"]

_Model = TypeVar("_Model", bound=BaseModel)
_Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a YAML file holds.

    Args:
        path: The file, as it is called in messages.
        data: Plain dicts, lists and scalars.
        lines: Place of a value, such as `("inputs", "image", "size")`, → its line, from 1.
    """

    path: Path
    data: Any
    lines: dict[_Place, int] = field(repr=False)

    def where(self, place: Sequence[str | int]) -> str:
        """`file:line` of a place, or of the nearest thing around it that is there."""
        for end in range(len(place), -1, -1):
            if tuple(place[:end]) in self.lines:
                return f"{self.path}:{self.lines[tuple(place[:end])]}"
        return str(self.path)

    def into(self, model: type[_Model], at: _Place = ()) -> _Model:
        """The data, or the part of it at a place, as a model.

        Raises:
            InputError: It does not fit the model; one message per problem, each with its line.
        """
        data = self.data
        for step in at:
            data = data[step]
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise InputError([self._explain(at, problem) for problem in _distinct(error)]) from None

    def _explain(self, at: _Place, problem: dict[str, Any]) -> str:
        place = at + tuple(problem["loc"])
        name = ".".join(str(step) for step in place)
        got = problem.get("input")
        told = f" (got {got!r})" if isinstance(got, str | int | float | bool) else ""
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message, told = "is not known here; check its spelling", ""
        return f"{self.where(place)}: {name + ': ' if name else ''}{message}{told}"


def read(path: Path) -> Document:
    """Reads a YAML file.

    Args:
        path: The file, UTF-8.

    Raises:
        InputError: It is missing, not UTF-8, not YAML, empty, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if root is None:
        raise InputError(f"{path} is empty; see docs/ for what belongs in it")
    lines: dict[_Place, int] = {}
    twice = [f"{path}:{line}: {key!r} is there twice" for key, line in _walk(root, (), lines)]
    if twice:
        raise InputError(twice)
    return Document(path, data, lines)


def parse(path: Path, model: type[_Model]) -> _Model:
    """Reads a YAML file into a model.

    Raises:
        InputError: What is wrong with the file, all of it, by line.
    """
    document = read(path)
    if not isinstance(document.data, dict):
        raise InputError(f"{document.where(())}: expected keys and values, got {type(document.data).__name__}")
    return document.into(model)


def _walk(node: yaml.Node, place: _Place, lines: dict[_Place, int]) -> Iterator[tuple[str, int]]:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _walk(value, (*place, key.value), lines)
            lines[(*place, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _walk(value, (*place, number), lines)


def _distinct(error: ValidationError) -> list[dict[str, Any]]:
    """The problems without repeats: a union reports one per member."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for problem in error.errors():
        found.setdefault((problem["loc"], problem["msg"]), dict(problem))
    return list(found.values())
