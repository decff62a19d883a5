"""What the pictures of a column have in common, from their headers and from the pixels of the training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.contents import Content
from cortigraph.train.data.files import Progress, in_threads
from cortigraph.train.data.pixels import Look, look_at, read_picture
from cortigraph.train.data.problems import DataError
from cortigraph.train.data.spec import Colour, InputSpec, ground_of

__all__ = ["BLACK", "BYTE", "LUMINANCE", "Range", "Survey", "span", "survey", "within"]

_LARGEST = 64  # pixels on the longer side when the user names no size
BYTE = (0.0, 255.0)
BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
LUMINANCE = np.array([0.299, 0.587, 0.114])

Range = tuple[float, float]
Sources = Sequence["Path | Content | None"]


@dataclass(frozen=True)
class Survey:
    """What was found of a column, or told.

    Args:
        size: Height and width in pixels.
        channels: 1 or 3.
        depth: What the values of its training rows are; `any` where the user told their range.
        range: What becomes 0 and 1.
        background: Behind transparent pixels; `None` where no training row has any.
        several: How many files hold more than one frame.
    """

    size: tuple[int, int]
    channels: int
    depth: str
    range: Range
    background: Colour | None
    several: int

    def notes(self, spec: InputSpec) -> list[str]:
        """What the user should know of it."""
        told = []
        if self.depth not in ("8-bit", "any"):
            told.append(f"{self.depth} values, of which {span(*self.range)} (training rows) becomes 0…1")
        if self.background is not None:
            mixed = "#{:02x}{:02x}{:02x}".format(*self.background)
            name = {_WHITE: "white", BLACK: "black"}.get(self.background, mixed)
            why = "as told" if spec.background else "which contrasts with what is seen in the training rows"
            told.append(f"transparent pictures are laid on {name}, {why}")
        if self.several:
            told.append(f"{self.several} of several frames: the first is used")
        return told


def survey(spec: InputSpec, sources: Sources, train: NDArray[np.int64], progress: Progress) -> Survey:
    """Looks at a column of pictures.

    Args:
        spec: What the user wrote, which goes before what is found.
        sources: One per row, or None.
        train: The rows that may tell how pictures are scaled and laid out.
        progress: Told how far it is.
    """
    looks = in_threads(lambda row: _look(sources[row]), range(len(sources)), "reading", progress)
    known = [look for look in looks if look is not None]
    learned = {int(row): look for row in train if (look := looks[row]) is not None}
    depths = Counter(look.depth for look in learned.values())
    depth = "any" if spec.range else depths.most_common(1)[0][0] if depths else "8-bit"
    limits, background = _limits_and_ground(spec, depth, sources, learned, progress)
    return Survey(
        size=spec.size or _size(known),
        channels=spec.channels or (1 if known and all(look.grey for look in known) else 3),
        depth=depth,
        range=limits,
        background=ground_of(spec.background) if spec.background else background,
        several=sum(look.several for look in known),
    )


def span(low: float, high: float) -> str:
    """How a message writes from where to where values go."""
    return f"{low:.6g}…{high:.6g}"


def within(source: Path | Content | None) -> Path | bytes:
    """Where the bytes of a picture are."""
    assert source is not None
    return source.data if isinstance(source, Content) else source


def _limits_and_ground(
    spec: InputSpec, depth: str, sources: Sources, learned: Mapping[int, Look], progress: Progress
) -> tuple[Range, Colour | None]:
    """The range of the training rows, and the ground that the transparent ones ask for."""
    ranged = spec.range is not None or depth == "8-bit"
    asked = [row for row, look in learned.items() if depth in ("any", look.depth) and (look.clear or not ranged)]
    found = in_threads(lambda row: _extent(sources[row]), asked, "reading", progress)
    seen = [extent for extent in found if extent is not None]
    low, high = spec.range or BYTE
    if seen and not ranged:
        low, high = min(extent.low for extent in seen), max(extent.high for extent in seen)
        high = high if high > low else low + 1
    clear = [extent for extent in seen if extent.clear]
    if not clear:
        return (low, high), None
    light = sum(extent.light for extent in clear) / max(sum(extent.weight for extent in clear), 1e-9)
    # What contrasts with what is seen: black behind a light drawing, white behind all else.
    return (low, high), BLACK if light - low > (high - low) / 2 else _WHITE


@dataclass(frozen=True)
class _Extent:
    """Of one picture: its extremes, whether anything is transparent, the light of what is seen, and how much it is."""

    low: float
    high: float
    clear: bool
    light: float
    weight: float


def _extent(source: Path | Content | None) -> _Extent | None:
    try:
        picture = read_picture(within(source))
    except DataError:
        return None  # reported, with its row, when it is decoded
    values, seen = picture.visible()
    light = values @ LUMINANCE if values.shape[2] == 3 else values[..., 0]
    shown = values[seen > 0] if (seen > 0).any() else values
    weight = float(seen.sum()) if picture.transparent else 0.0
    return _Extent(float(shown.min()), float(shown.max()), picture.transparent, float((light * seen).sum()), weight)


def _look(source: Path | Content | None) -> Look | None:
    return None if source is None else look_at(within(source))


def _size(looks: Sequence[Look]) -> tuple[int, int]:
    if not looks:
        return (_LARGEST, _LARGEST)
    height, width = median(look.height for look in looks), median(look.width for look in looks)
    shrink = min(1.0, _LARGEST / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))
