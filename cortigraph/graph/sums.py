"""Checksums: what a file must hold, so that one that has been damaged is told of and never read as if it were whole.

A folder that is written whole (a snapshot, a decoded data set, the archive of a batch) has a file `SHA256SUMS`, in the
form of `sha256sum`; each of its files is compared before it is read for the first time. A folder without one is of an
earlier version, and opens unchecked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from cortigraph.graph.errors import StoreError

__all__ = ["SUMS", "DamagedError", "Sums", "compared", "sha256", "write_sums"]

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


class DamagedError(StoreError):
    """A file holds something else than what was written.

    Args:
        path: Of the file.
        expected: SHA-256 in hexadecimal digits, or nothing where not even that can be read.
        got: Of what it holds.
        remedy: What mends it.
    """

    def __init__(self, path: Path, expected: str, got: str, remedy: str) -> None:
        self.path = path
        super().__init__(f"{path} is damaged: expected sha256 {expected or '?'}, got {got}; {remedy}")


class Sums:
    """What the files of a folder must hold.

    Args:
        folder: Whose `SHA256SUMS` is read; without one, nothing is checked.
        remedy: What mends a file of it.

    Raises:
        DamagedError: `SHA256SUMS` itself can't be understood.
    """

    def __init__(self, folder: Path, remedy: str) -> None:
        self.folder, self.remedy = folder, remedy
        self._expected: dict[str, str] | None = None
        path = folder / SUMS
        if path.exists():
            lines = path.read_bytes().decode("utf-8", "replace").splitlines()
            found = [_LINE.fullmatch(line) for line in lines]
            if not all(found):
                raise DamagedError(path, "", sha256(path), remedy)
            self._expected = {match[2]: match[1] for match in found if match}

    def items(self) -> list[tuple[str, str]]:
        """The files that it speaks of, and what they must hold."""
        return list((self._expected or {}).items())

    def check(self, name: str) -> Path:
        """A file of the folder that holds what it should.

        Args:
            name: Of the file.

        Raises:
            DamagedError: It holds something else.
            FileNotFoundError: It is gone.
        """
        path = self.folder / name
        if self._expected is None:
            return path
        return compared(path, self._expected.get(name, ""), self.remedy)


def compared(path: Path, expected: str, remedy: str) -> Path:
    """A file that holds what it should; one that has not changed since it was looked at is not read again.

    Args:
        path: Of the file.
        expected: SHA-256 in hexadecimal digits.
        remedy: What mends it.

    Raises:
        DamagedError: It holds something else.
        FileNotFoundError: It is gone.
    """
    told = path.stat()
    # The time of the last change can't be set back, unlike that of the last write.
    got = _sha256(path, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino)
    if got != expected:
        raise DamagedError(path, expected, got, remedy)
    return path


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, names: Iterable[str] | None = None) -> None:
    """Writes `SHA256SUMS` into a folder.

    Args:
        folder: All of whose files are written.
        names: Those that are to be checked; else all that lie in it.
    """
    listed = sorted(names if names is not None else (path.name for path in folder.iterdir() if path.is_file()))
    lines = [f"{sha256(folder / name)}  {name}\n" for name in listed if name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


@lru_cache(maxsize=4096)
def _sha256(path: Path, *stamp: int) -> str:
    return sha256(path)
