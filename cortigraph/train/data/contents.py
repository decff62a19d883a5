"""Pictures and sounds that lie inside a Parquet table, as Hugging Face data sets hold them.

A cell is bytes, a list of bytes, `{bytes, path}`, or for a sound `{array, sampling_rate}`. Where a cell holds just a
path, its file is read. Contents are copied once to an unnamed file beside the decoded data, so that they are at hand in
any order however large the table is.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.train.data.problems import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Content", "Contents", "Mixed", "holds_contents", "read_contents"]

_ROWS = 64  # handled at once: a picture may well have a megabyte


@dataclass(frozen=True)
class Content:
    """A picture or a sound in a cell.

    Args:
        data: As a file would hold it.
        name: How messages call it.

    Example:
        >>> str(Content(b"", "cat.png")), Content(b"", "cat.png").suffix
        ('cat.png', '.png')
    """

    data: bytes
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def suffix(self) -> str:
        """Of its name."""
        return PurePath(self.name).suffix


class Contents:
    """What a column holds itself, by row.

    Args:
        names: Each row's path; empty where it has none.
        held: (rows,) whether the row holds its content, and need not be looked for.
        ends: (rows,) where each row's content ends in `spool`.
        spool: All of them, one after the other; `None` where just the names are asked for.
    """

    def __init__(self, names: list[str], held: Any, ends: Any, spool: mmap.mmap | None) -> None:
        self.names, self.held, self._ends, self._spool = names, held, ends, spool

    def at(self, row: int) -> Content | None:
        """The content of a row; `None` where it holds just a path, or nothing."""
        if self._spool is None or not self.held[row]:
            return None
        start = int(self._ends[row - 1]) if row else 0
        return Content(self._spool[start : int(self._ends[row])], self.names[row])


class Mixed(Sequence["Path | Content | None"]):
    """The sources of an input some of whose rows hold their content; the others have files.

    Args:
        contents: Of its column.
        files: One per row, or None.
    """

    def __init__(self, contents: Contents, files: Sequence[Path | None]) -> None:
        self.contents, self.files = contents, files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[at] for at in range(*row.indices(len(self)))]
        found = self.contents.at(row)
        return self.files[row] if found is None else found


def holds_contents(arrow: pa.DataType) -> bool:
    """Whether cells of this Arrow type may be pictures or sounds themselves.

    Example:
        >>> import pyarrow as pa
        >>> holds_contents(pa.struct({"bytes": pa.binary(), "path": pa.string()})), holds_contents(pa.string())
        (True, False)
    """
    import pyarrow as pa

    of = pa.types
    if of.is_struct(arrow):
        fields = {field.name: field.type for field in arrow}
        sound = "sampling_rate" in fields and _is_list(fields.get("array", pa.null()))
        return sound or ("bytes" in fields and (of.is_null(fields["bytes"]) or _is_octets(fields["bytes"])))
    return _is_octets(arrow)


def read_contents(path: Path, column: str, folder: Path | None) -> Contents:
    """The contents of a column of a Parquet file.

    Args:
        path: Of the file.
        column: Its name.
        folder: Where they are kept until nobody uses them any more; left out, just their names are read.

    Raises:
        DataError: A cell holds something else.
    """
    names, ends, held, end = [], [], [], 0
    with tempfile.TemporaryFile(dir=folder) as spool:
        for row, (data, name) in enumerate(_cells(path, column)):
            if folder is not None and data is not None:
                spool.write(data)
            end += len(data or b"")
            ends.append(end)
            held.append(data is not None)
            names.append(name or (f"the {column} of row {row + 1}" if data is not None else ""))
        spool.flush()
        kept = mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) if folder is not None and end else None
    return Contents(names, np.array(held, dtype=np.bool_), np.array(ends, dtype=np.int64), kept)


def _cells(path: Path, column: str) -> Iterator[tuple[bytes | None, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=[column]):
                cells = batch.column(0)
                fields = set(cells.type.names) if pa.types.is_struct(cells.type) else {}
                for cell in cells:
                    yield _one({name: cell[name] for name in fields} if cell.is_valid and fields else {"bytes": cell})
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from None


def _one(cell: Mapping[str, pa.Scalar]) -> tuple[bytes | None, str]:
    """What a cell holds, and how it calls it."""
    told = {name: value for name, value in cell.items() if value.is_valid}
    name = str(told["path"].as_py()) if "path" in told else ""
    if "array" in told and "bytes" not in told:
        rate = told["sampling_rate"].as_py() if "sampling_rate" in told else None
        return _as_wav(told["array"], rate), name
    data = told.get("bytes")
    if data is None:
        return None, name
    found = data.as_py() if _is_binary(data.type) else np.asarray(data.values).astype(np.uint8).tobytes()
    return found or None, name


def _as_wav(cell: pa.Scalar, rate: Any) -> bytes:
    """Samples as a file would hold them; what is wrong with them is then told as of any file."""
    import soundfile

    written = BytesIO()
    try:
        wave = np.array(cell.as_py() if _is_list(cell.type.value_type) else cell.values, dtype=np.float64)
        if wave.ndim == 2 and wave.shape[0] < wave.shape[1]:
            wave = wave.T  # channels first
        soundfile.write(written, wave, int(rate), format="WAV", subtype="DOUBLE")
    except (RuntimeError, TypeError, ValueError, OverflowError):
        return b"not a sound"
    return written.getvalue()


def _is_octets(arrow: pa.DataType) -> bool:
    import pyarrow as pa

    return _is_binary(arrow) or (_is_list(arrow) and pa.types.is_integer(arrow.value_type))


def _is_list(arrow: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow))


def _is_binary(arrow: pa.DataType) -> bool:
    import pyarrow as pa

    of = pa.types
    return bool(
        of.is_binary(arrow) or of.is_large_binary(arrow) or of.is_fixed_size_binary(arrow) or of.is_binary_view(arrow)
    )
