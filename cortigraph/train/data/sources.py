"""What feeds each input, row by row: a file, a clip of a file, or for a text in a table the row itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cortigraph.train.data.clips import Clip, find_clips
from cortigraph.train.data.files import find_files
from cortigraph.train.data.problems import Problems
from cortigraph.train.data.spec import DataSpec
from cortigraph.train.data.table import Listing

__all__ = ["find_sources"]


def find_sources(spec: DataSpec, listing: Listing, problems: Problems) -> dict[str, Sequence[Path | Clip | None]]:
    """The files of a data set, found and checked but not decoded: of clips, that they lie within their file.

    Args:
        spec: What the user wrote.
        listing: Its samples.
        problems: Takes each row whose file is missing, out of bounds or too short.

    Returns:
        Input name → one per row, None where there is none that may be read; empty for texts of a table.

    Example:
        `find_sources(spec, list_samples(spec, base), problems)`
    """
    found: dict[str, Sequence[Path | Clip | None]] = {}
    for name, item in spec.inputs.items():
        if item.modality == "text" and spec.folder is None:
            found[name] = []
        elif item.clips:
            found[name] = find_clips(listing, name, item, spec.allow_outside, problems)
        else:
            found[name] = find_files(listing, item.column, spec.allow_outside, problems)
    return found
