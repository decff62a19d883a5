"""A file's content, unpacked, in pieces; a file that ends too early is an error, never a short answer."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cortigraph.graph.errors import InputError

__all__ = ["Content", "is_gzip"]

_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
_NO_TEXT = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"PK\3\4": "is a ZIP file, as spreadsheets are; save the sheet as CSV, or unpack it",
    b"PAR1": "is a Parquet file; give `format: parquet`",
}
_PIECE = 1 << 20


def is_gzip(path: Path) -> bool:
    """Whether its first bytes are those of gzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


class Content:
    """The bytes of a file without gzip and byte-order mark.

    Args:
        path: Where it lies.
        label: How messages call it.
    """

    def __init__(self, path: Path, label: str) -> None:
        self.path = path
        self.label = label
        self.position = 0  # how much of the file, as it lies there, has been read

    def __iter__(self) -> Iterator[bytes]:
        """The pieces.

        Raises:
            InputError: It is cut off or damaged, or is not UTF-8 by its mark.
        """
        pieces = self._raw()
        first = b""
        for piece in pieces:
            first += piece
            if len(first) >= 4:
                break
        for start, told in _NO_TEXT.items():
            if first.startswith(start):
                raise InputError(f"{self.label} {told}")
        if b"\0" in first[:4]:
            raise InputError(f"{self.label} begins with zero bytes, as UTF-16 and UTF-32 do; save it as UTF-8")
        yield first.removeprefix(_MARK)
        yield from pieces

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self)

    def _raw(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            yield from self._unpacked(file) if packed else self._plain(file)

    def _plain(self, file: BinaryIO) -> Iterator[bytes]:
        while piece := file.read(_PIECE):
            self.position += len(piece)
            yield piece

    def _unpacked(self, file: BinaryIO) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(wbits=31)
        told = 0
        while packed := file.read(_PIECE >> 2):
            self.position += len(packed)
            while packed:
                if unpacker.eof:  # members may follow one another, and zeros may fill the end
                    packed = packed.lstrip(b"\0")
                    unpacker = zlib.decompressobj(wbits=31) if packed else unpacker
                    if not packed:
                        break
                try:
                    piece = unpacker.decompress(packed, _PIECE)
                except zlib.error as error:
                    raise self._broken(f"is damaged ({error})", told) from error
                told += len(piece)
                if piece:
                    yield piece
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        if not unpacker.eof:
            if piece := unpacker.flush():
                told += len(piece)
            raise self._broken("is cut off", told)

    def _broken(self, what: str, told: int) -> InputError:
        return InputError(
            f"{self.label}: the gzip data {what} within its first {self.position:,} bytes, after {told:,} bytes of "
            "content; fetch or pack the file again"
        )
