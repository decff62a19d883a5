"""Where the records of a text file begin and end, found in whole blocks at a time.

A newline ends a record unless it lies within quotes. Quotes are counted by numpy as long as each opens at the start of
a cell and closes at its end; a block in which one does not is read by a regular expression that knows the rest of the
rules (a quote within an unquoted cell is just a character).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortigraph.graph.errors import InputError
from cortigraph.tables._bytes import Content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Chunk", "Cut", "chunks_of"]

_LF, _CR = 10, 13
BLOCK = 4 << 20


@dataclass(frozen=True)
class Cut:
    """How records are told apart.

    Args:
        quote: Within a pair of it a newline ends nothing; `None`: there is no quoting.
        delimiter: Between cells; only looked at where there is quoting.
        header: Whether the first record names the columns; it is left out.
        largest: A record of more bytes than this is taken for a file that is damaged.
    """

    quote: bytes | None = None
    delimiter: bytes = b","
    header: bool = False
    largest: int = 64 << 20


@dataclass(frozen=True)
class Chunk:
    """Some consecutive records, blank lines left out.

    Args:
        data: Their bytes.
        starts: Where each begins in `data`.
        ends: Where each ends, its newline not included.
        first: The number of the first.
        newlines: Where each line of `data` ends, within quotes too.
        line: The number, from 1, of the line that `data` begins in.
        tight: Whether nothing was left out after the first record.
        unclosed: Whether the last record has a quote that never closes.
        done: How many bytes of the file have been read so far.
    """

    data: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    first: int
    newlines: NDArray[np.int64]
    line: int
    tight: bool
    unclosed: bool
    done: int

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, row: int) -> bytes:
        """The bytes of a record."""
        return self.data[self.starts[row] : self.ends[row]]

    def line_of(self, row: int) -> int:
        """The line that a record starts in."""
        import numpy as np

        return self.line + int(np.searchsorted(self.newlines, self.starts[row]))

    def dense(self) -> memoryview:
        """The records, a newline after each, and nothing else."""
        if not self.tight:
            return memoryview(b"".join(self.raw(row) + b"\n" for row in range(len(self))))
        return memoryview(self.data)[self.starts[0] :] if len(self) else memoryview(b"")


def chunks_of(content: Content, cut: Cut, block: int = BLOCK) -> Iterator[Chunk]:
    """The records of a file.

    Args:
        content: Its bytes.
        cut: How records are told apart.
        block: About how many bytes a chunk has; more where one record has more.

    Raises:
        InputError: The file is damaged, or a record is larger than any sensible one.
    """
    state = _State(cut, content)
    parts: list[bytes] = []
    size, wanted = 0, block
    for piece in content:
        parts.append(piece)
        size += len(piece)
        if size < wanted:
            continue
        data = b"".join(parts)
        chunk, rest = state.take(data, final=False)
        wanted = max(block, 2 * len(rest))  # a record that does not fit makes the next block larger
        parts, size = [rest], len(rest)
        if chunk is not None:
            yield chunk
    chunk, _ = state.take(b"".join(parts), final=True)
    if chunk is not None:
        yield chunk


class _State:
    """How far reading has come."""

    def __init__(self, cut: Cut, content: Content) -> None:
        self.cut = cut
        self.content = content
        self.record = 0
        self.line = 1
        self.header = cut.header

    def take(self, data: bytes, *, final: bool) -> tuple[Chunk | None, bytes]:
        """The records that are whole, and the bytes that are left."""
        if final and data and data[-1] not in (_LF, _CR):
            data += b"\n"
        newlines, stops = _stops(data, self.cut, final)
        whole = int(stops[-1]) + 1 if len(stops) else 0
        unclosed = final and whole < len(data)
        if unclosed:
            stops, whole = _with(stops, len(data) - 1), len(data)
        if not whole:
            self._check_size(len(data))
            return None, data
        lines = newlines if whole == len(data) else newlines[newlines < whole]
        chunk = self._chunk(data if whole == len(data) else data[:whole], stops, lines, unclosed)
        self.line += len(lines)
        self.record += len(chunk)
        return chunk if len(chunk) else None, data[whole:]

    def _chunk(self, data: bytes, stops: NDArray[np.int64], lines: NDArray[np.int64], unclosed: bool) -> Chunk:
        import numpy as np

        codes = np.frombuffer(data, np.uint8)
        starts = np.concatenate((np.zeros(1, np.int64), stops[:-1] + 1))
        ends = stops - ((codes[stops] == _LF) & (stops > starts) & (codes[stops - 1] == _CR))
        filled = ends > starts
        if self.header and filled.any():
            filled[: int(np.argmax(filled)) + 1] = False
            self.header = False
        kept = np.flatnonzero(filled)
        tight = bool(len(kept)) and len(kept) == len(starts) - int(kept[0])
        return Chunk(
            data, starts[kept], ends[kept], self.record, lines, self.line, tight, unclosed, self.content.position
        )

    def _check_size(self, size: int) -> None:
        if size > self.cut.largest:
            hint = "; a quote that opens in it may not be closed" if self.cut.quote else ""
            raise InputError(
                f"{self.content.label}:{self.line}: the record that starts here has more than "
                f"{self.cut.largest:,} bytes{hint}"
            )


def _stops(data: bytes, cut: Cut, final: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ends of lines, and those of them that end a record."""
    import numpy as np

    codes = np.frombuffer(data, np.uint8)
    marks = codes == _LF
    if b"\r" in data:
        alone = codes == _CR
        alone[:-1] &= ~marks[1:]
        alone[-1] &= final  # the line feed that belongs to it may be the next byte
        marks = marks | alone
    newlines = np.flatnonzero(marks)
    if cut.quote is None or cut.quote not in data:
        return newlines, newlines
    quotes = np.flatnonzero(codes == cut.quote[0])
    if _regular(codes, quotes, cut):
        return newlines, newlines[np.searchsorted(quotes, newlines) & 1 == 0]
    return newlines, _stops_by_rule(data, cut, final)


def _regular(codes: NDArray[np.uint8], quotes: NDArray[np.int64], cut: Cut) -> bool:
    """Whether every quote opens or closes a cell, or stands doubled within one, so that counting them is enough."""
    import numpy as np

    edges = np.frombuffer(cut.delimiter + b"\n\r" + (cut.quote or b""), np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = codes[opening[opening > 0] - 1]
    after = codes[closing[closing + 1 < len(codes)] + 1]
    return bool(np.isin(before, edges).all() and np.isin(after, edges).all())


def _stops_by_rule(data: bytes, cut: Cut, final: bool) -> NDArray[np.int64]:
    import numpy as np

    quote, delimiter = re.escape(cut.quote or b""), re.escape(cut.delimiter)
    rest = rb"[^%b\r\n]*+" % delimiter
    cell = rb"(?:%b(?:[^%b]++|%b%b)*+%b%b|[^%b%b\r\n]%b)?+" % (
        (quote, quote, quote, quote, quote, rest, quote, delimiter, rest)
    )
    end = rb"(?:\r\n|\n|\r)" if final else rb"(?:\r\n|\n|\r(?=[^\n]))"
    record = re.compile(rb"%b(?:%b%b)*+%b" % (cell, delimiter, cell, end))
    found = []
    match = record.match(data)
    while match:
        found.append(match.end() - 1)
        match = record.match(data, match.end())
    return np.array(found, np.int64)


def _with(stops: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    import numpy as np

    return np.append(stops, last)
