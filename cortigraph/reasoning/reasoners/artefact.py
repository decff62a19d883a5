"""Artefacts: a trained reasoner as one file, which holds its weights, its configuration and the names that it knows.

It is a safetensors file; what is not a tensor stands in its header as JSON. No pickle is ever loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortigraph.graph.errors import InputError, StoreError
from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.registry import kind
from cortigraph.regions.weights import sealed, unsealed, write_whole

__all__ = ["Artefact", "content", "load", "save"]

_HEADER = "cortigraph"
_FORMAT = 1
_REMEDY = "train it again (`cortigraph reason train`), or restore a backup of the home"


@dataclass(frozen=True)
class Artefact:
    """What was saved.

    Args:
        reasoner: As it was trained.
        about: Plain values: what it was trained on, how long, with which versions.
    """

    reasoner: Reasoner
    about: Mapping[str, Any] = field(default_factory=dict)


def save(reasoner: Reasoner, path: str | Path, about: Mapping[str, Any] | None = None) -> Path:
    """Saves a reasoner; the file appears whole or not at all.

    Args:
        reasoner: Any.
        path: Of the file; one that is there is replaced.
        about: Plain values that are to be kept with it.

    Returns:
        The path.

    Raises:
        StoreError: It can't be written.
    """
    path = Path(path)
    try:
        write_whole(path, content(reasoner, about))
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror or error}") from error
    return path


def content(reasoner: Reasoner, about: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of the file.

    Args:
        reasoner: Any.
        about: Plain values that are to be kept with it.
    """
    import cortigraph

    told = {
        "format": _FORMAT,
        "reasoner": reasoner.name,
        "config": reasoner.config(),
        "about": {"version": cortigraph.__version__, **(about or {})},
    }
    return sealed(reasoner.state(), {_HEADER: json.dumps(told, ensure_ascii=False)})


def load(path: str | Path) -> Artefact:
    """Loads a reasoner.

    Args:
        path: As it was saved.

    Raises:
        InputError: There is no such file, or it is something else.
        DamagedError: It holds something else than what was saved.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; `cortigraph reason train … --out {path}` makes one")
    try:
        state, header = unsealed(path, {_HEADER}, _REMEDY)
        told = json.loads(header.get(_HEADER, "null"))
    except ValueError as error:
        raise InputError(f"{path} is no reasoner that cortigraph has saved: {error}") from None
    if not isinstance(told, dict) or "reasoner" not in told:
        raise InputError(f"{path} holds weights, but no reasoner; expected a file of `cortigraph reason train`")
    if told.get("format") != _FORMAT:
        raise InputError(f"{path} is of another version; upgrade with `pip install -U cortigraph`")
    return Artefact(kind(told["reasoner"]).restore(told["config"], state), told["about"])
