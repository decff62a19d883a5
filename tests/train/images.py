"""Image files as other tools write them and Pillow does not: PNG of 16 bits, TIFF of any kind of sample."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image


def png16(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel: (height, width, channels)."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + pixels[row].astype(">u2").tobytes() for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff(pixels: np.ndarray) -> bytes:
    """A TIFF of any type of sample: (height, width) or (height, width, channels)."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    form = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    data, bits = pixels.tobytes(), pixels.dtype.itemsize * 8
    colours = 2 if channels >= 3 else 1
    entries = [(256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, colours)]
    entries += [(277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    entries += [(338, 3, 1, 2)] if channels in (2, 4) else []
    start, tail = 8 + 2 + (len(entries) + 3) * 12 + 4, b""
    for tag, value in ((258, bits), (339, form)):
        if channels <= 2:
            entries.append((tag, 3, channels, value | value << 16 if channels == 2 else value))
        else:
            entries.append((tag, 3, channels, start + len(tail)))
            tail += struct.pack(f"<{channels}H", *[value] * channels)
    entries.append((273, 4, 1, start + len(tail)))
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0\0\0\0" + tail + data


def encoded(image: Any, form: str, **how: Any) -> bytes:
    """What Pillow writes."""
    written = BytesIO()
    image.save(written, form, **how)
    return written.getvalue()


def noise(*shape: int, top: int = 256, kind: str = "u1") -> np.ndarray:
    """Pixels that are drawn, the same each time."""
    return np.random.default_rng(len(shape) + top).integers(0, top, shape).astype(kind)


def rgb(size: int = 8) -> Any:
    """A small picture in colours."""
    return Image.fromarray(noise(size, size, 3))
