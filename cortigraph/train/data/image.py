"""Image files to arrays: any format that Pillow reads, to float32 [channel, height, width] in 0…1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.problems import DataError
from cortigraph.train.data.spec import InputSpec

__all__ = ["ImageDecoder"]

_LARGEST = 64  # pixels on the longer side when the user names no size


@dataclass(frozen=True)
class ImageDecoder:
    """How one image file becomes an array.

    Args:
        size: Height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
    """

    size: tuple[int, int]
    channels: int

    modality: ClassVar[str] = "image"
    axes: ClassVar[tuple[str, ...]] = ("channel", "height", "width")
    dtype: ClassVar[str] = "float32"
    from_file: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return (self.channels, *self.size)

    @classmethod
    def settle(cls, spec: InputSpec, files: Sequence[Path]) -> ImageDecoder:
        """Fills in what the user left out, from the images' headers."""
        if spec.size is not None and spec.channels is not None:
            return cls(spec.size, spec.channels)
        heads = [head for head in map(_header, files) if head is not None]
        if spec.size is not None or not heads:
            size = spec.size or (_LARGEST, _LARGEST)
        else:
            height, width = median(head[0] for head in heads), median(head[1] for head in heads)
            shrink = min(1.0, _LARGEST / max(height, width))
            size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
        return cls(size, spec.channels or (1 if all(head[2] for head in heads) else 3))

    def decode(self, source: Path | str) -> NDArray[np.float32]:
        """One file.

        Args:
            source: Path of the image.

        Returns:
            (channels, height, width) in 0…1.

        Raises:
            DataError: The file is not an image that can be read.
        """
        from PIL import Image, ImageOps

        path = Path(source)
        try:
            with Image.open(BytesIO(path.read_bytes())) as opened:
                upright = ImageOps.exif_transpose(opened)  # cameras store the turn beside the pixels
                values = _pixels(upright, self.channels, self.size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} is not an image that can be read ({_short(error)}){_guess(path)}") from None
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes."""
        return {"size": list(self.size), "channels": self.channels}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ImageDecoder:
        """The decoder that gave these values."""
        return cls((values["size"][0], values["size"][1]), values["channels"])


def _pixels(image: Any, channels: int, size: tuple[int, int]) -> NDArray[np.float32]:
    from PIL import Image

    if image.mode in ("I;16", "I;16B", "I", "F"):  # Pillow's own conversion to 8 bits would clip at 255
        deep = np.asarray(image, dtype=np.float32)
        if not np.isfinite(deep).all():
            raise ValueError("it holds NaN or infinite values")
        top = 1.0 if image.mode == "F" and deep.max(initial=0) <= 1 else 65535.0
        image = Image.fromarray((deep / top * 255).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or (image.mode == "P" and "transparency" in image.info):
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return values[None] if channels == 1 else np.ascontiguousarray(values.transpose(2, 0, 1))


def _header(path: Path) -> tuple[int, int, bool] | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5 if image.format == "JPEG" else False
            grey = image.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "F")
            return (width, height, grey) if turned else (height, width, grey)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # reported, with its row, when it is decoded


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "unknown format" if "cannot identify" in text else text[:100]


def _guess(path: Path) -> str:
    sounds = {".wav", ".flac", ".ogg", ".mp3", ".aiff"}
    return "; its name says sound: is the modality audio?" if path.suffix.lower() in sounds else ""
