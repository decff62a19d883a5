"""Options that many commands have."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cortigraph.graph.errors import InputError

__all__ = ["HomeOption", "Json", "JsonArray", "Limit", "Timeout", "folder", "picture", "since_start"]


def picture(path: Path | None) -> Path | None:
    """Checks the file of a picture while words are read, before any work."""
    if path is not None:
        from cortigraph.reasoning.picture_file import picture_file

        picture_file(path)
    return path


def folder(path: Path | None) -> Path | None:
    """Checks, while words are read, that a folder can be one."""
    for part in (path, *path.absolute().parents) if path is not None else ():
        if part.exists() and not part.is_dir():
            raise InputError(f"expected a folder, got {path}: {part} is a file")
    return path


def since_start() -> float:
    """Seconds since this command was given: what a user has waited already, where the time is limited."""
    import psutil

    return max(0.0, time.time() - float(psutil.Process().create_time()))


HomeOption = Annotated[str | None, typer.Option("--home", help="The home folder; else CORTIGRAPH_HOME.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
JsonArray = Annotated[bool, typer.Option("--json", help="One JSON array.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="Show so many rows at most.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", help="Seconds after which a query is ended, on the server too.")
]
