"""Documents: YAML that a user writes, read into a model, with every problem named by its line.

read     a file → its data and the line of every value
parse    a file → a pydantic model, or one error that lists everything that is wrong

What the model takes as text is the text that was written, with or without quotes: `id: 001`, `label: no`. Where it
takes none, a scalar without quotes is the number, the truth value or the nothing that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cortigraph.graph.errors import InputError
from cortigraph.graph.plain_yaml import Place, Plain, YamlError, read_yaml

__all__ = ["Document", "parse", "read"]

_Model = TypeVar("_Model", bound=BaseModel)
_WIDTH = 80


@dataclass(frozen=True)
class Document:
    """What a YAML file holds.

    Args:
        path: The file, as it is called in messages.
        data: Dicts, lists and scalars; those without quotes are `Plain`.
        lines: Place of a value, such as `("inputs", "image", "size")`, → its line, from 1.
    """

    path: Path
    data: Any
    lines: dict[Place, int] = field(repr=False)

    def where(self, place: Sequence[str | int]) -> str:
        """`file:line` of a place, or of the nearest thing around it that is there."""
        for end in range(len(place), -1, -1):
            if tuple(place[:end]) in self.lines:
                return f"{self.path}:{self.lines[tuple(place[:end])]}"
        return str(self.path)

    def into(self, model: type[_Model], at: Place = ()) -> _Model:
        """The data, or the part of it at a place, as a model.

        Raises:
            InputError: It does not fit the model; one message per problem, each with its line.
        """
        data = self.data
        for step in at:
            data = data[step]
        try:
            return model.model_validate(_reading(data, set()))
        except ValidationError as error:
            failed = error
        # What is refused as text may be meant as a value, and what is refused as nothing as text.
        wrong = {_leaf(data, each["loc"]) for each in failed.errors() if _of_kind(each["type"])}
        if wrong:
            try:
                return model.model_validate(_reading(data, wrong))
            except ValidationError as error:
                failed = error
        raise InputError([self._explain(at, problem) for problem in _distinct(failed)]) from None

    def _place(self, at: Place, problem: dict[str, Any]) -> Place:
        """Where a problem is; pydantic names members of unions besides, which are no places."""
        data = self.data
        for step in at:
            data = data[step]
        steps = tuple(problem["loc"])
        lacking = steps[-1:] if problem["type"] == "missing" else ()
        return (*at, *_leaf(data, steps), *lacking)

    def _explain(self, at: Place, problem: dict[str, Any]) -> str:
        place = self._place(at, problem)
        name = ".".join(str(step) for step in place)
        got = problem.get("input")
        told = f" (got {_shown(got)})" if isinstance(got, str | int | float | bool) else ""
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
        tree = read_yaml(text)
    except YamlError as error:
        raise InputError(f"{path}:{error.line}: not YAML: {error.problem}") from None
    if tree.empty:
        raise InputError(f"{path} is empty; see docs/ for what belongs in it")
    twice = [f"{path}:{line}: {key!r} is there twice" for key, line in tree.twice]
    if twice:
        raise InputError(twice)
    return Document(path, tree.data, tree.lines)


def parse(path: Path, model: type[_Model]) -> _Model:
    """Reads a YAML file into a model.

    Raises:
        InputError: What is wrong with the file, all of it, by line.
    """
    document = read(path)
    if not isinstance(document.data, dict):
        raise InputError(f"{document.where(())}: expected keys and values, got {type(document.data).__name__}")
    return document.into(model)


def _reading(tree: Any, other: set[Place], place: Place = ()) -> Any:
    """Data for a model: plain scalars are text or nothing, and at some places the value or the text instead."""
    if isinstance(tree, dict):
        return {name: _reading(each, other, (*place, name)) for name, each in tree.items()}
    if isinstance(tree, list):
        return [_reading(each, other, (*place, number)) for number, each in enumerate(tree)]
    if not isinstance(tree, Plain):
        return tree
    if tree.value is None:
        return tree if tree and place in other else None
    return tree.value if place in other else tree


def _of_kind(problem: str) -> bool:
    """Whether what is wrong may be the kind of value; a text that is too long is a text."""
    return problem == "string_type" or not problem.startswith(("string_", "value_error", "extra_"))


def _leaf(tree: Any, steps: Sequence[str | int]) -> Place:
    """The place that an error is about; it also names the members of unions, which are no places."""
    place: Place = ()
    for step in steps:
        listed = isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        if listed or (isinstance(tree, dict) and step in tree):
            tree, place = tree[step], (*place, step)
    return place


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 10**_WIDTH:
        return "a number of many digits"
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _distinct(error: ValidationError) -> list[dict[str, Any]]:
    """The problems without repeats: a union reports one per member."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for problem in error.errors():
        found.setdefault((problem["loc"], problem["msg"]), dict(problem))
    return list(found.values())
