"""Image files to pixels in their own units: how deep they are, what is transparent, nothing reduced on the way.

Pillow gives 8 bits a channel of what it has no deeper mode for. Two readings of the same bytes, in both orders, give
the upper and the lower half of 16-bit colours; what can't be had so is refused.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.problems import DataError

__all__ = ["Depth", "Look", "Picture", "look_at", "read_picture"]

Depth = Literal["8-bit", "16-bit", "32-bit", "float"]

_GREY = ("1", "L", "LA", "La", "I", "F")
_DEEP: dict[str, Depth] = {"I": "32-bit", "F": "float"}
_CLEAR = ("RGBA", "RGBa", "LA", "La", "PA")
_SHORT = ("RGB;16", "RGBA;16", "RGBX;16")  # raw modes of 16 bits a channel that can be read in both orders
_SAMPLE_FORMAT, _BITS, _SIGNED = 339, 258, 2  # tags of TIFF
_NOT_FRAMES = ("MPO", "ICO", "ICNS")  # other sizes or views of the same picture


@dataclass(frozen=True)
class Look:
    """What an image's header says.

    Args:
        height: In pixels, upright.
        width: Likewise.
        grey: Whether it has no colours.
        depth: What its values are.
        clear: Whether parts of it may be transparent.
        several: Whether it holds more than one frame; the first is the picture.
    """

    height: int
    width: int
    grey: bool
    depth: Depth
    clear: bool
    several: bool


@dataclass(frozen=True)
class Picture:
    """An image as it was stored.

    Args:
        depth: What its values are.
        pixels: Of 8 bits: a Pillow image, of mode RGBA where something is transparent. Else (height, width, 1 or 3), in
            the file's units.
        alpha: (height, width) in 0…1, where something is transparent; of 8 bits, the image has it.
    """

    depth: Depth
    pixels: Any
    alpha: NDArray[np.float64] | None = None

    @property
    def transparent(self) -> bool:
        """Whether anything shines through."""
        return self.alpha is not None or getattr(self.pixels, "mode", "") == "RGBA"

    def visible(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values (height, width, 1 or 3), in the file's units, and how much of each pixel is seen, in 0…1."""
        if self.depth != "8-bit":
            seen = np.ones(self.pixels.shape[:2]) if self.alpha is None else self.alpha
            return self.pixels, seen
        values = np.asarray(self.pixels.convert("RGBA"), dtype=np.float64)
        return values[..., :3], values[..., 3] / 255


def look_at(source: Path | bytes) -> Look | None:
    """What the header says; None where it can't be read, which is reported when the image is."""
    try:
        with _opened(source) as image:
            width, height = image.size
            if image.format == "JPEG" and image.getexif().get(0x0112, 1) >= 5:  # it is turned when it is read
                width, height = height, width
            depth = _depth(image, source)
            grey = (
                image.mode in _GREY
                or image.mode[:4] == "I;16"
                or (bool(image.tile) and _raw(image.tile[0]) == "LA;16B")
            )
            several = image.format not in _NOT_FRAMES and bool(getattr(image, "is_animated", False))
            return Look(height, width, grey, depth, _may_be_clear(image), several)
    except DataError:
        return None


def read_picture(source: Path | bytes) -> Picture:
    """An image in its own units, upright.

    Args:
        source: A file, or what it holds.

    Raises:
        DataError: It is no image that can be read, or would lose values; says which, without the file's name.
    """
    from PIL import ImageOps

    with _opened(source) as image:
        depth = _depth(image, source)
        if depth != "8-bit":
            return _deep(image, source, depth)
        upright = ImageOps.exif_transpose(image)  # cameras store the turn beside the pixels
        if not _may_be_clear(upright):
            upright.load()
            return Picture(depth, upright)
        whole = upright.convert("RGBA")
        opaque = whole.getchannel("A").getextrema()[0] == 255
        return Picture(depth, whole.convert("RGB") if opaque else whole)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Any]:
    from PIL import Image

    _hush()
    try:
        with Image.open(_file(source)) as image:
            yield image
    except DataError:
        raise
    except (
        OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError,
        struct.error, Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise DataError(_short(error, source)) from None


@lru_cache(maxsize=1)
def _hush() -> None:
    import warnings

    # Of metadata that don't matter here; what matters is raised.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _may_be_clear(image: Any) -> bool:
    return image.mode in _CLEAR or "transparency" in image.info


def _depth(image: Any, source: Path | bytes) -> Depth:
    """What the values are; refuses what Pillow would reduce to 8 bits in a way that can't be helped."""
    if image.mode in _DEEP:
        tile = image.tile[0] if image.tile else None
        return "16-bit" if (tile and "16" in _raw(tile)) or _levels(image) else _DEEP[image.mode]
    if image.mode.startswith("I;16") or _raw_is_short(image) or _levels(image):
        return "16-bit"
    raw = next((_raw(tile) for tile in image.tile if ";16" in _raw(tile) and not _raw(tile).startswith("BGR")), "")
    bits = max(16 if raw else 0, _bits_of_codec(image, source))
    if bits > 8:
        raise DataError(f"it has {bits} bits a channel, of which 8 would be left; save it as a 16-bit PNG or TIFF")
    if _tags(image).get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED:
        raise DataError("it has signed 8-bit values, which can't be read; save it with 16 bits")
    return "8-bit"


def _deep(image: Any, source: Path | bytes, depth: Depth) -> Picture:
    from PIL import ImageOps

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        if _levels(image):
            image.tile = [tile._replace(codec_name="raw", args=("I;16B", 0, 1)) for tile in image.tile]
        key = image.info.get("transparency")
        values = np.asarray(ImageOps.exif_transpose(image))
        if image.mode == "I" and _tags(image).get(_BITS) == (32,) and _tags(image).get(_SAMPLE_FORMAT, (1,))[0] == 1:
            values = values.view(np.uint32)  # Pillow has no unsigned mode of 32 bits
        alpha = (values != key).astype(np.float64) if isinstance(key, int) else None
        return _finite(depth, values[..., None], alpha)
    values = _both_halves(image, source)
    alpha = values[..., -1] / 65535 if values.shape[2] in (2, 4) and "X" not in _raw(image.tile[0]) else None
    return _finite(depth, values[..., : 1 if values.shape[2] == 2 else 3], alpha)


def _finite(depth: Depth, values: NDArray[Any], alpha: NDArray[np.float64] | None) -> Picture:
    values = values.astype(np.float64)
    odd = int((~np.isfinite(values)).sum())
    if odd:
        raise DataError(f"it holds NaN or infinite values, {odd} of them; write what they stand for, such as 0")
    return Picture(depth, values, None if alpha is None or (alpha >= 1).all() else alpha)


def _both_halves(image: Any, source: Path | bytes) -> NDArray[np.int64]:
    """(height, width, channels) of 16-bit colours."""
    raw = _raw(image.tile[0])
    if raw == "LA;16B":  # its four bytes, as they are
        parts = _as_read(source, "RGBA")
        return parts[..., 0::2] * 256 + parts[..., 1::2]
    kind, order = ("RGB", "B") if _levels(image) else raw.split(";16")
    big = order == "B" or (order == "N" and sys.byteorder == "big")
    upper, lower = (_as_read(source, f"{kind};16{each}") for each in ("BL" if big else "LB"))
    return upper * 256 + lower


def _as_read(source: Path | bytes, raw: str) -> NDArray[np.int64]:
    from PIL import Image, ImageOps

    with Image.open(_file(source)) as image:
        codec = "raw" if _levels(image) else image.tile[0].codec_name
        image.tile = [tile._replace(codec_name=codec, args=_with_raw(tile, raw, codec)) for tile in image.tile]
        return np.asarray(ImageOps.exif_transpose(image), dtype=np.int64)


def _with_raw(tile: Any, raw: str, codec: str) -> Any:
    if codec == "raw" and tile.codec_name != "raw":
        return (raw, 0, 1)
    return raw if isinstance(tile.args, str) else (raw, *tile.args[1:])


def _raw(tile: Any) -> str:
    """How the bytes of a tile lie."""
    told = tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0]
    return told if isinstance(told, str) else ""


def _raw_is_short(image: Any) -> bool:
    return bool(image.tile) and (_raw(image.tile[0])[:-1] in _SHORT or _raw(image.tile[0]) == "LA;16B")


def _levels(image: Any) -> int:
    """The largest value of a binary PNM file of more than 8 bits; 0 for all else."""
    if not image.tile or image.tile[0].codec_name != "ppm":
        return 0
    return int(image.tile[0].args[1]) if int(image.tile[0].args[1]) > 255 else 0


def _file(source: Path | bytes) -> Path | BytesIO:
    return BytesIO(source) if isinstance(source, bytes) else source


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _tags(image: Any) -> Any:
    return getattr(image, "tag_v2", {})


def _bits_of_codec(image: Any, source: Path | bytes) -> int:
    """Bits a channel that the header of JPEG 2000, AVIF or PNM in plain text says; 0 for all else."""
    if image.tile and image.tile[0].codec_name == "ppm_plain" and isinstance(image.tile[0].args, tuple):
        return int(image.tile[0].args[-1]).bit_length()
    mark, further = {"JPEG2000": (b"\xff\x51", 40), "AVIF": (b"pixi", 9)}.get(image.format, (b"", 0))
    content = (source if isinstance(source, bytes) else source.read_bytes()) if mark else b""
    at = content.find(mark) + further
    return (content[at] & 127) + 1 - (image.format == "AVIF") if further <= at < len(content) else 0


def _short(error: Exception, source: Path | bytes) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "cannot identify" not in text:
        return text[:100]
    head = source[:4] if isinstance(source, bytes) else _head(source)
    tiff = head in (b"II*\0", b"MM\0*")
    return "a TIFF of a kind that is not known, such as 64-bit or several floats a pixel" if tiff else "unknown format"
