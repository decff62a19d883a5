"""Tasks: functions that a group runs on all its ranks at once, by name, for whatever is trained by a loop of its own.

A room above registers one and has it run by `trainer.call`; like a builder, it is found by the name it was given and
never by an import path taken from data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import JsonValue

from cortigraph.graph.errors import UnknownKeyError
from cortigraph.train.engine import Engine

__all__ = ["Report", "Task", "find_task", "task"]

Report = Callable[[str], None]  # a line of progress, told by rank 0
Task = Callable[[Engine, Mapping[str, JsonValue], Report], Mapping[str, JsonValue]]
_Function = TypeVar("_Function", bound=Task)

_TASKS: dict[str, Task] = {}


def task(name: str) -> Callable[[_Function], _Function]:
    """Registers a function under a name.

    Args:
        name: Unique.

    Example:
        >>> @task("doubled")
        ... def doubled(engine, arguments, report):
        ...     return {"ranks": engine.size, "twice": 2 * arguments["number"]}
        >>> from cortigraph.train.single import SingleEngine
        >>> find_task("doubled")(SingleEngine(), {"number": 4}, print)
        {'ranks': 1, 'twice': 8}
    """

    def register(function: _Function) -> _Function:
        _TASKS[name] = function
        return function

    return register


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownKeyError: Nothing that was imported registers it.
    """
    if name not in _TASKS:
        raise UnknownKeyError("task", name, _TASKS)
    return _TASKS[name]
