"""Builders: the registered functions that make modules, each with its search space beside it.

A builder is named in data and found here, never by an import path taken from data:

    @builder("mynet", space={"width": [8, 16, 32]})
    def mynet(width: int = 8, classes: int | None = None) -> nn.Module: ...

Another package offers builders through the entry-point group `cortigraph.builders`: `name = "module:function"`. It is
imported when that name is first looked up, so a broken one harms nobody else.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cortigraph.graph.errors import CortigraphError, InputError, SetupError, UnknownKeyError, brief

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GROUP", "Builder", "builder", "get", "names"]

GROUP = "cortigraph.builders"

_BUILT_IN = (
    "convnets",
    "minilm",
    "pools",
    "joints",
    "adapters.program",
    "adapters.timm_models",
    "adapters.transformers_models",
)
_Function = TypeVar("_Function", bound="Callable[..., nn.Module]")
_registered: dict[str, Builder] = {}


@dataclass(frozen=True)
class Builder:
    """A registered function that makes modules.

    Args:
        name: What regions and blueprints call it.
        function: Makes the module; its arguments are JSON values with annotated types.
        space: The values of each argument that are worth searching.
    """

    name: str
    function: Callable[..., nn.Module]
    space: Mapping[str, list[Any]]

    def build(self, **arguments: Any) -> nn.Module:
        """Makes a module once the arguments are known to be right.

        Args:
            arguments: Named values, JSON-like; those left out take the function's defaults.

        Returns:
            A freshly initialised module.

        Raises:
            InputError: Arguments are unknown, missing or of the wrong type, which lists all of them; or the function
                can't make a module of them.

        Example:
            >>> sum(p.numel() for p in get("lenet3").build(classes=10).parameters())
            8906
        """
        problems = self.problems(arguments)
        if problems:
            raise InputError(problems)
        try:
            return self.function(**arguments)
        except CortigraphError:
            raise
        # A builder may be anybody's: there is no common base of what it raises.
        except Exception as error:
            raise InputError(f"builder {self.name!r} can't make a module of its arguments ({brief(error)})") from error

    def problems(self, arguments: Mapping[str, Any]) -> list[str]:
        """What is wrong with these arguments, without building anything.

        Example:
            >>> get("lenet3").problems({"widht": 8})
            ["builder 'lenet3' has no argument 'widht'; did you mean width?"]
        """
        signature = inspect.signature(self.function)
        open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        named = {
            name: p for name, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        missing = [name for name, p in named.items() if p.default is p.empty and name not in arguments]
        problems = [f"builder {self.name!r} needs the argument {name!r}; give it a value" for name in missing]
        if not open_ended:
            unknown = [name for name in arguments if name not in named]
            problems += [
                f"builder {self.name!r} has no argument {name!r}; {_hint(name, list(named))}" for name in unknown
            ]
        return problems + self._type_problems(arguments)

    def _type_problems(self, arguments: Mapping[str, Any]) -> list[str]:
        problems = []
        hints = _hints(self.function)
        for name, value in arguments.items():
            if name not in hints:
                continue
            try:
                TypeAdapter(hints[name]).validate_python(value, strict=True)
            except ValidationError as error:
                told = "; ".join(detail["msg"] for detail in error.errors())
                problems.append(f"builder {self.name!r}, argument {name!r}: got {value!r}; {told}")
        return problems


def builder(name: str, *, space: Mapping[str, list[Any]] | None = None) -> Callable[[_Function], _Function]:
    """Registers a function that makes modules.

    Args:
        name: What regions and blueprints will call it; taken only once.
        space: The values of each argument that are worth searching.

    Returns:
        A decorator that leaves the function as it is.

    Raises:
        InputError: Another function has that name already.

    Example:
        >>> from torch import nn
        >>> @builder("example-identity")
        ... def identity() -> nn.Module:
        ...     return nn.Identity()
        >>> get("example-identity").build()
        Identity()
    """

    def register(function: _Function) -> _Function:
        other = _registered.get(name)
        # A module that is reloaded registers its own functions again: that is no clash.
        if other is not None and _origin(other.function) != _origin(function):
            told = f"{_origin(other.function)} and {_origin(function)}"
            raise InputError(f"builder {name!r} is registered twice, by {told}; rename one of them")
        _registered[name] = Builder(name, function, dict(space or {}))
        return function

    return register


def get(name: str) -> Builder:
    """Finds a builder by its name.

    Args:
        name: A built-in builder, one registered in this process, or one that an installed package offers.

    Raises:
        UnknownKeyError: Nothing has that name; the nearest names are given.
        InputError: Two packages offer that name.
        SetupError: The package that offers it can't be imported.

    Example:
        >>> get("lenet3").space["width"]
        [4, 8, 16]
    """
    _load_built_in()
    if name in _offered():
        _load_offered(name)
    if name not in _registered:
        raise UnknownKeyError("builder", name, names())
    return _registered[name]


def names() -> list[str]:
    """Every builder that can be looked up, sorted; the packages that offer some are not imported.

    Example:
        >>> {"lenet3", "product", "mfas"} <= set(names())
        True
    """
    _load_built_in()
    return sorted({*_registered, *_offered()})


@cache
def _load_built_in() -> None:
    for module in _BUILT_IN:
        importlib.import_module(f"{__package__}.{module}")


@cache
def _offered() -> dict[str, list[metadata.EntryPoint]]:
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


@cache
def _load_offered(name: str) -> None:
    points = _offered()[name]
    if len({point.value for point in points}) > 1:
        told = " and ".join(sorted(point.value for point in points))
        raise InputError(f"builder {name!r} is offered twice, by {told}; uninstall one of the packages")
    try:
        function = points[0].load()
    except Exception as error:
        raise SetupError(
            f"builder {name!r} comes from {points[0].value}, which can't be imported ({error}); reinstall its package"
        ) from error
    # A function that its own package decorated is there already, with its search space.
    if name not in _registered or _origin(_registered[name].function) != _origin(function):
        builder(name)(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    # Without the returned type, which may be imported for type checkers only.
    arguments = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    holder = types.SimpleNamespace(__annotations__=arguments)
    return typing.get_type_hints(holder, vars(sys.modules[function.__module__]), include_extras=True)


def _origin(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}"
