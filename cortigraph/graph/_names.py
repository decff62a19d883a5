"""Names that users choose by: a label or a type that nothing has is told, with what is near, and never found empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cortigraph.graph import cypher
from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.schema import Label

if TYPE_CHECKING:
    from cortigraph.graph.schema import Executor

__all__ = ["check_labels", "check_types", "listed"]


def listed(what: str, names: Iterable[str] | None) -> list[str] | None:
    """Names as a user gave them, each once; None if there was no choice.

    Args:
        what: They are.
        names: Any list of them.

    Raises:
        InputError: One name alone, or something else.

    Example:
        >>> listed("labels", ("Area", "Region", "Area"))
        ['Area', 'Region']
    """
    if names is None:
        return None
    given = [names] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in given):
        raise InputError(f"{what} must be a list of names, got {names!r}")
    return list(dict.fromkeys(map(str, given)))


def check_labels(store: Executor, labels: Sequence[str]) -> None:
    """Labels that can be chosen: those of the schema, and those that some node has.

    Args:
        store: Whose.
        labels: As a user gave them.

    Raises:
        UnknownKeyError: The first that can't.
    """
    strange = [label for label in labels if label not in set(Label)]
    if strange:
        _check("label", strange, {*Label, *(row["label"] for row in store.read(cypher.LABELS))})


def check_types(store: Executor, types: Sequence[str]) -> None:
    """Types that some relationship has.

    Args:
        store: Whose.
        types: As a user gave them.

    Raises:
        UnknownKeyError: The first that none has.
    """
    if types:
        _check("relationship type", types, {row["type"] for row in store.read(cypher.TYPES)})


def _check(kind: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownKeyError(kind, name, known, where="in the graph")
