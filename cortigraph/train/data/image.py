"""Image files to arrays: any format that Pillow reads, to float32 [channel, height, width], mostly in 0…1.

What the values mean and what lies behind transparent pixels is settled once for a column, over its training rows, and
stays with the decoder: a picture is never scaled by itself, and nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.contents import Content
from cortigraph.train.data.files import Progress
from cortigraph.train.data.pixels import Picture, read_picture
from cortigraph.train.data.problems import DataError
from cortigraph.train.data.spec import Colour, InputSpec
from cortigraph.train.data.survey import BLACK, BYTE, LUMINANCE, Range, span, survey, within

__all__ = ["ImageDecoder"]

_SHORT = (0.0, 65535.0)


@dataclass(frozen=True)
class ImageDecoder:
    """How one image file becomes an array.

    Args:
        size: Height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        depth: What the values of all pictures are, such as `16-bit`; `any` where the user told their range; empty where
            nothing is known of others: then 16 bits are taken whole, floats as 0…1, and the ground is black.
        range: What becomes 0 and 1.
        background: Behind transparent pixels; `None` where no training row has any.
    """

    size: tuple[int, int]
    channels: int
    depth: str = ""
    range: Range = BYTE
    background: Colour | None = None

    modality: ClassVar[str] = "image"
    axes: ClassVar[tuple[str, ...]] = ("channel", "height", "width")
    dtype: ClassVar[str] = "float32"
    from_file: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, *self.size)

    @property
    def rules(self) -> dict[str, Any]:
        """What was settled beyond the usual: nothing for pictures of 8 bits without transparency."""
        usual = ImageDecoder(self.size, self.channels, "8-bit").to_json()
        return {name: value for name, value in self.to_json().items() if value != usual[name]}

    @classmethod
    def settle(
        cls, spec: InputSpec, sources: Sequence[Path | Content | None], train: NDArray[np.int64], progress: Progress
    ) -> tuple[ImageDecoder, list[str]]:
        """Fills in what the user left out, from the images' headers and the training rows' pixels.

        Args:
            spec: What the user wrote.
            sources: One per row, or None.
            train: The rows that may tell anything.
            progress: Told how far it is.

        Returns:
            The decoder, and what the user should know of it.
        """
        found = survey(spec, sources, train, progress)
        return cls(found.size, found.channels, found.depth, found.range, found.background), found.notes(spec)

    def decode(self, source: Path | Content | str) -> NDArray[np.float32]:
        """One image.

        Args:
            source: Its path, or its content.

        Returns:
            (channels, height, width); what lies in `range` in 0…1, the rest beyond.

        Raises:
            DataError: It is not an image that can be read, or not of the kind that the others are.
        """
        source = Path(source) if isinstance(source, str) else source
        try:
            picture = read_picture(within(source))
        except DataError as error:
            raise DataError(f"{source} is not an image that can be read ({error}){_guess(source)}") from None
        try:
            return self._laid_out(picture)
        except DataError as error:
            raise DataError(f"{source} {error}") from None

    def _laid_out(self, picture: Picture) -> NDArray[np.float32]:
        low, high = self._range(picture)
        ground = self._ground(picture)
        if picture.depth == "8-bit":
            values = _small(picture.pixels, ground, self.channels, self.size)
            values = (values - np.float32(low)) / np.float32(high - low)
        else:
            values = _large(picture, (low, high), ground, self.channels, self.size)
        return values[None] if self.channels == 1 else np.ascontiguousarray(values.transpose(2, 0, 1))

    def _range(self, picture: Picture) -> Range:
        if not self.depth:
            return _range_alone(picture)
        if self.depth not in ("any", picture.depth):
            raise DataError(
                f"has {picture.depth} values, but what was learned from has {self.depth}; convert it, or give `range: "
                "[low, high]` for the input if the values mean the same"
            )
        low, high = self.range
        if picture.depth != "8-bit" and not 2 * low - high <= np.median(picture.pixels) <= 2 * high - low:
            raise DataError(
                f"has values of {span(picture.pixels.min(), picture.pixels.max())}, far from the {span(low, high)} "
                "of what was learned from; scale it alike"
            )
        return self.range

    def _ground(self, picture: Picture) -> Colour:
        if picture.transparent and self.background is None and self.depth:
            raise DataError(
                "has transparent pixels, and no picture of the training rows has: what is behind them is not known; "
                "lay it on a ground, or give `background: white` (or another) for the input"
            )
        return self.background or BLACK

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes."""
        return {
            "size": list(self.size),
            "channels": self.channels,
            "depth": self.depth,
            "range": list(self.range),
            "background": None if self.background is None else list(self.background),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ImageDecoder:
        """The decoder that gave these values."""
        size, ground = (values["size"][0], values["size"][1]), values.get("background")
        if "range" not in values:  # decoded before there was one
            return cls(size, values["channels"])
        low, high = values["range"]
        return cls(size, values["channels"], values["depth"], (low, high), ground and (ground[0], ground[1], ground[2]))


def _range_alone(picture: Picture) -> Range:
    """How a picture is scaled where nothing is known of others."""
    if picture.depth == "8-bit":
        return BYTE
    alone = (0.0, 1.0) if picture.depth == "float" else _SHORT
    if picture.pixels.max(initial=0) > alone[1]:
        raise DataError(
            f"has {picture.depth} values up to {picture.pixels.max():.6g}; expected {span(*alone)}, as nothing is "
            "known of others; solve the scene again, which finds the range of its training rows"
        )
    return alone


def _small(image: Any, ground: Colour, channels: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """A picture of 8 bits, in 0…255."""
    from PIL import Image

    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*ground, 255)), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


def _large(
    picture: Picture, limits: Range, ground: Colour, channels: int, size: tuple[int, int]
) -> NDArray[np.float32]:
    """A picture of more bits, in 0…1 where its range is kept to."""
    values = (picture.pixels - limits[0]) / (limits[1] - limits[0])  # before float32, which has 24 bits only
    if picture.alpha is not None:
        behind = np.array(ground) / 255 if values.shape[2] == 3 else LUMINANCE @ np.array(ground) / 255
        values = values * picture.alpha[..., None] + behind * (1 - picture.alpha[..., None])
    if channels == 1 and values.shape[2] == 3:
        values = (values @ LUMINANCE)[..., None]
    planes = [_resized(values[..., plane].astype(np.float32), size) for plane in range(values.shape[2])]
    return planes[0] if channels == 1 else np.stack(planes * (3 // len(planes)), axis=2)


def _resized(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    from PIL import Image

    if plane.shape == size:
        return plane
    resized = Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)


def _guess(source: Path | Content) -> str:
    sounds = {".wav", ".flac", ".ogg", ".mp3", ".aiff"}
    return "; its name says sound: is the modality audio?" if source.suffix.lower() in sounds else ""
