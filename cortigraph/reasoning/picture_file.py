"""Where a picture may be written; known before the work that it will show, and without what draws it."""

from __future__ import annotations

from pathlib import Path

from cortigraph.graph.errors import InputError

__all__ = ["picture_file"]

ENDINGS = (".png", ".svg", ".pdf")


def picture_file(path: Path) -> Path:
    """The same path, if a picture can be written there; asked before the work that it will show.

    Args:
        path: Where a picture is wanted.

    Raises:
        InputError: Another ending, or a folder.

    Example:
        >>> picture_file(Path("paths.svg")).name
        'paths.svg'
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"a picture's name ends in {', '.join(ENDINGS)}, got {str(path)!r}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file for the picture")
    return path
