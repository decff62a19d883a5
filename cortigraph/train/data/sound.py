"""Sound files to waves: any format that libsndfile reads; one that was cut short is told, not filled with silence."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.contents import Content
from cortigraph.train.data.problems import DataError

__all__ = ["measure", "opened", "part", "short", "whole"]

_RATES = (100, 1_000_000)  # Hz; what says less or more is a header that is wrong, or no sound
_MP3_FRAMES = 2304  # samples of two
_PAGE = 65_307  # bytes of Ogg's, at most
_NIST_HEAD = 1024  # bytes
_UNKNOWN = 0x7FFFFF00  # what writes to a pipe does not know the length, and says the largest
# What libsndfile notes where a chunk of samples ends before its header says it does,
_LACKS = re.compile(
    r"^\s*(?:data|SSND|BODY|riff|Riff size|Data Size|Data length)\s*:? (\d+) \(?should be (\d+)", re.MULTILINE
)
_CUT = re.compile("seems to be (?:a )?truncated", re.IGNORECASE)
# or just how long it would be; of NIST it notes nothing.
_FRAMES = {"AVR": r"Frames\s*: (\d+)", "MPC2K": r"Frames\s*: (\d+)", "MAT5": r"Cols\s*: (\d+)"}
_NIST = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)


@contextmanager
def opened(source: Path | Content) -> Iterator[Any]:
    """A sound to read from, if it is one, and all there.

    Args:
        source: A file, or what it holds.

    Raises:
        DataError: It can't be read, is cut short, or says a rate that no sound has; without the file's name.
    """
    import soundfile

    try:
        # By number: the name would decide what a file is, rather than what it holds.
        with _silent(_is_mp3(source)), _file(source) as file, soundfile.SoundFile(file, closefd=False) as sound:
            _check(sound)
            _check_length(sound, source)
            if sound.format == "OGG":
                _check_last_page(source)
            yield sound
    except (OSError, RuntimeError, TypeError) as error:
        raise DataError(short(error)) from None


def whole(sound: Any) -> NDArray[np.float32]:
    """A wave, (samples, channels).

    Args:
        sound: Just opened.

    Raises:
        DataError: It ends before its header says.
    """
    wave: NDArray[np.float32] = sound.read(sound.frames, dtype="float32", always_2d=True)
    # The last frame of an MP3 is often cut, and no loss.
    return _all_there(wave, sound.frames, _MP3_FRAMES if sound.format == "MP3" else 0)


def part(sound: Any, length: int) -> NDArray[np.float32]:
    """The next samples, (samples, channels).

    Raises:
        DataError: There are fewer.
    """
    return _all_there(sound.read(length, dtype="float32", always_2d=True), length)


def _all_there(wave: NDArray[np.float32], length: int, least: int = 0) -> NDArray[np.float32]:
    if len(wave) < length - least:
        raise DataError(f"it ends after {len(wave)} of {length} samples: the file is cut short")
    return wave


def measure(source: Path | Content) -> tuple[int, int]:
    """Samples, and samples per second, as the header says.

    Raises:
        DataError: It can't be read.
    """
    with opened(source) as sound:
        return int(sound.frames), int(sound.samplerate)


def short(error: Exception) -> str:
    """What libsndfile says is wrong, without the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).rsplit(": ", 1)[-1].strip()
    if "not recognised" in text:
        return "unknown format"
    return text[:100] if text and "'" not in text else "damaged or cut short"


def _check(sound: Any) -> None:
    low, high = _RATES
    if not low <= sound.samplerate <= high:
        raise DataError(
            f"its header says {sound.samplerate:,} samples a second; expected {low} to {high:,}; correct or resample it"
        )


def _check_length(sound: Any, source: Path | Content) -> None:
    notes = sound.extra_info
    for told, there in _LACKS.findall(notes):
        if int(there) < int(told) < _UNKNOWN:
            raise DataError(f"its header says {told} bytes of sound and it has {there}: the file is cut short")
    if sound.format == "NIST":
        frames = [int(found) for found in _NIST.findall(_head(source, _NIST_HEAD))]
    else:
        frames = [int(found) for found in re.findall(_FRAMES.get(sound.format, "(?!)"), notes)]
    if _CUT.search(notes) or sound.frames < max(frames, default=0) < _UNKNOWN:
        raise DataError(f"it ends after {sound.frames} samples, before its header says: the file is cut short")


def _check_last_page(source: Path | Content) -> None:
    """Ogg has no length in its header, but its last page says that it is the last."""
    with BytesIO(source.data) if isinstance(source, Content) else source.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * _PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    sizes = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if not sizes or not page[5] & 4 or len(page) < 27 + len(sizes) + sum(sizes):
        raise DataError("its last page is missing: the file is cut short")


@contextmanager
def _file(source: Path | Content) -> Iterator[Any]:
    if isinstance(source, Content):
        yield BytesIO(source.data)
    else:
        with source.open("rb") as file:
            yield file.fileno()


def _head(source: Path | Content, size: int) -> bytes:
    if isinstance(source, Content):
        return source.data[:size]
    with source.open("rb") as file:
        return file.read(size)


def _is_mp3(source: Path | Content) -> bool:
    head = _head(source, 2)
    return source.suffix.lower() == ".mp3" or head == b"ID" or (head[:1] == b"\xff" and head[1:] >= b"\xe0")


class _Silence:
    """Keeps what a library prints off the screen: libmpg123 writes to standard error by itself, whatever it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._kept = -1

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._kept = os.dup(2)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                os.dup2(self._kept, 2)
                os.close(self._kept)


_silence = _Silence()


@contextmanager
def _silent(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
