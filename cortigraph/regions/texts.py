"""Vectors of texts, each computed once: equal texts share one, and a folder keeps those that were computed before.

    text_hash     what a text's vector depends on, as a short name
    embed_texts   texts → vectors, with the ones known from before read from a folder

The folder holds two files that grow together: row i of `names` says which text row i of `vectors` belongs to, and
carries a checksum over both. Rows are only ever added, under a lock, vectors first: a process that is killed leaves at
most a tail that the next one cuts off, and a reader needs no lock. A row that does not match its checksum counts for
nothing, so damage costs time and never gives a wrong vector. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import StoreError
from cortigraph.graph.home import private_folder
from cortigraph.graph.schema import TEXT_DIMENSION
from cortigraph.regions import language

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["embed_texts", "text_hash"]

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

# Texts between two writes to the folder: what a killed process loses at most.
_STEP = 256
_DIGEST = 12
_NAME = _DIGEST + 4  # with the checksum
_VECTOR = TEXT_DIMENSION * 4


def text_hash(text: str) -> str:
    """What a text's vector depends on: the text and the encoder. The same in every process and on every machine.

    Args:
        text: Any text.

    Returns:
        24 hexadecimal digits.

    Example:
        >>> text_hash("a red circle")
        'b47a1bb15f02a9ccea47ca15'
    """
    return _digest(text).hex()


def embed_texts(
    texts: Sequence[str], cache: Path | None = None, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Unit vectors of texts, as `embed_text` gives them; equal texts are computed once.

    Args:
        texts: Any number of texts.
        cache: A folder that keeps vectors. Those that it holds are not computed again; new ones are added to it as they
            are made, so that a job that was killed goes on where it was. Several processes may share it.
        progress: Told how many different texts are done.

    Returns:
        Shape (texts, 384), one row per text.

    Raises:
        StoreError: The folder can't be read or written.

    Example:
        >>> embed_texts(["a red circle", "a bridge", "a red circle"]).shape
        (3, 384)
    """
    digests = [_digest(text) for text in texts]
    different = dict(zip(digests, texts, strict=True))
    kept = None if cache is None else _Kept(cache)
    vectors = {} if kept is None else kept.read(different)
    # Texts of like length are computed together, so that little padding is.
    missing = sorted(different.keys() - vectors.keys(), key=lambda digest: (len(different[digest]), digest))
    _tell(progress, len(vectors), len(different))
    for start in range(0, len(missing), _STEP):
        step = missing[start : start + _STEP]
        made = dict(zip(step, language.embed_text([different[digest] for digest in step]), strict=True))
        if kept is not None:
            kept.add(made)
        vectors |= made
        _tell(progress, len(vectors), len(different))
    rows = [vectors[digest] for digest in digests]
    return np.stack(rows) if rows else np.empty((0, TEXT_DIMENSION), dtype=np.float32)


class _Kept:
    """The folder of vectors.

    Args:
        folder: Is made if it is not there.

    Raises:
        StoreError: It can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self.folder = folder
        self.names = folder / "names"
        self.vectors = folder / "vectors"

    def read(self, wanted: Iterable[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors of those that are there and whole."""
        try:
            return self._read(set(wanted))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._refusal(error) from error

    def _read(self, wanted: set[bytes]) -> dict[bytes, NDArray[np.float32]]:
        names = self.names.read_bytes()
        found = {}
        with self.vectors.open("rb") as file:
            for start in range(0, len(names) - _NAME + 1, _NAME):
                digest = names[start : start + _DIGEST]
                if digest not in wanted:
                    continue
                # Read and not mapped: a mapped file that someone cuts short kills the process.
                file.seek(start // _NAME * _VECTOR)
                numbers = file.read(_VECTOR)
                if len(numbers) == _VECTOR and names[start : start + _NAME] == _name(digest, numbers):
                    found[digest] = np.frombuffer(numbers, dtype="<f4").astype(np.float32)
        return found

    def add(self, made: dict[bytes, NDArray[np.float32]]) -> None:
        """Adds vectors for good: when this returns they outlive the process."""
        from filelock import FileLock

        numbers = {digest: vector.astype("<f4").tobytes() for digest, vector in made.items()}
        try:
            with FileLock(self.folder / "lock"):
                whole = min(_size(self.names) // _NAME, _size(self.vectors) // _VECTOR)
                _append(self.vectors, whole * _VECTOR, b"".join(numbers.values()))
                _append(self.names, whole * _NAME, b"".join(_name(*pair) for pair in numbers.items()))
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> StoreError:
        return StoreError(
            f"the vectors of texts in {self.folder} can't be kept: {error.strerror or error}; "
            "free some space, or delete that folder, which loses nothing but time"
        )


def _digest(text: str) -> bytes:
    whole = f"{language.ENCODER}\n{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=_DIGEST).digest()


def _name(digest: bytes, numbers: bytes) -> bytes:
    return digest + zlib.crc32(numbers, zlib.crc32(digest)).to_bytes(4, "little")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(path: Path, at: int, content: bytes) -> None:
    """Writes from a place on, and forgets what was behind it."""
    path.touch(mode=0o600)
    with path.open("r+b") as file:
        file.truncate(at)
        file.seek(at)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("embedding texts", done, total)
