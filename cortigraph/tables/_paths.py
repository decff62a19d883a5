"""Finds the files that a job names: relative to it, with patterns, `~`, and what the environment says."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cortigraph.graph.errors import InputError
from cortigraph.tables._files import Place

__all__ = ["Found", "expanded", "files_of"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass
class Found:
    """Files, and what is wrong with those that are not there."""

    places: list[Place] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def files_of(paths: str | Sequence[str], base: Path) -> Found:
    """The files that paths and patterns mean, each once; those of a pattern by name.

    Args:
        paths: As a user writes them.
        base: The folder that relative ones start from.
    """
    found = Found()
    known: set[Path] = set()
    for told in [paths] if isinstance(paths, str) else paths:
        try:
            matches = _matches(expanded(told), base)
        except InputError as error:
            found.problems += error.problems
            continue
        for path in matches:
            if path not in known:
                known.add(path)
                found.places.append(Place(path, _label(path, base)))
    return found


def expanded(text: str) -> str:
    """A path with the variables of the environment filled in.

    Raises:
        InputError: One is not set and has no default.

    Example:
        >>> expanded("${NO_SUCH_VARIABLE:-data}/a.csv")
        'data/a.csv'
    """
    unset = [name for name, default in _VARIABLE.findall(text) if name not in os.environ and f"${{{name}:-" not in text]
    if unset:
        raise InputError([f"{text} needs the environment variable {name}, which is not set; set it" for name in unset])
    return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[2] or "", text)


def _matches(text: str, base: Path) -> list[Path]:
    path = base / Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise InputError(f"{text} is a folder; name its files, for instance {text.rstrip('/')}/*.csv")
    if glob.has_magic(text):
        pattern = str(Path(text).expanduser())
        named = sorted(base / match for match in glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207
        matches = [match for match in named if match.is_file()]
        if not matches:
            raise InputError(f"no file matches {text} in {base}")
        return matches
    beside = sorted(file.name for file in path.parent.iterdir()) if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=3)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise InputError(f"no file {text} in {base}{hint}")


def _label(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
