"""What a source is: named columns, read in blocks, whose every record can be found again for a message.

A source knows its columns before it is read, and gives its records in blocks of typed columns. A record that can't be
read is handed to `Rejects` with the reason; the numbers of the records tell where those that are left come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.tables.rejects import Rejects
    from cortigraph.tables.spec import SourceSpec

__all__ = ["Block", "Fault", "Part", "Progress", "Raw", "Source", "batch_of", "settle"]

Raw = bytes  # a source has a method `bytes`, beside which the type needs another name


class Progress(Protocol):
    """Is told how far reading has come."""

    def __call__(self, what: str, done: int, whole: int) -> None:
        """`done` of `whole` bytes of the source `what`, or rows where it lies in memory."""


@dataclass(frozen=True)
class Block:
    """Consecutive records of one file.

    Args:
        source: Name of the source in the job.
        file: How messages call the file.
        records: The number of each row within its file, from 0; rejected records count.
        table: Typed columns; null where a value is missing.
    """

    source: str
    file: str
    records: NDArray[np.int64]
    table: pa.RecordBatch


class Source(Protocol):
    """Where records come from."""

    name: str

    def columns(self) -> list[str]:
        """The names of the columns, known before reading."""

    def blocks(
        self, rejects: Rejects, progress: Progress | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Reads everything, in order.

        Args:
            rejects: Takes the records that can't be read.
            progress: Is told how far it has come.
            columns: Those that are wanted, by which names the blocks have them too (`named` says how they are found);
                nothing else is looked at, so that nothing else can refuse a record. All, where it is not given.

        Raises:
            RejectedError: More records can't be read than `rejects` tolerates.
            InputError: A file is damaged, or has no such column, or one that can't be read.
        """

    def locate(self, file: str, records: Collection[int]) -> dict[int, tuple[int | None, Raw]]:
        """Finds records again, for messages and for files of rejects; reads the file once more.

        Args:
            file: As blocks call it.
            records: Their numbers.

        Returns:
            Number → the line that it starts in, counted from 1 (`None` where there are no lines), and its bytes.
        """

    def fingerprint(self) -> str:
        """SHA-256 of the content and of what the job says about it, not of where it lies."""

    def bytes(self) -> int:
        """How large it is, for estimates."""

    def remains(self) -> SourceSpec:
        """How a file that `assemble` makes is to be read: format, header, and the types that follow from the source."""

    def assemble(self, records: Sequence[Raw]) -> Raw:
        """A file of the source's own format (JSON lines for what has no text) that holds just these records."""


@dataclass(frozen=True)
class Fault:
    """Why a record can't be used.

    Args:
        record: Its number in the file.
        column: Whose cell is wrong; `None` where it is the record as a whole.
        value: What is there.
        reason: What was expected, and what to do.
    """

    record: int
    column: str | None
    value: object
    reason: str


@dataclass(frozen=True)
class Part:
    """What was read at a time, before faulty records are taken out.

    Args:
        records: The number of each row.
        table: The rows; a faulty cell is null.
        faults: All that is wrong.
        done: How much of the file has been read, in the units of progress.
    """

    records: NDArray[np.int64]
    table: pa.RecordBatch
    faults: Sequence[Fault]
    done: int


def batch_of(columns: Mapping[str, pa.Array], rows: int) -> pa.RecordBatch:
    """Columns as a batch, which knows its rows even where it has no column.

    Example:
        >>> batch_of({}, 3).num_rows
        3
    """
    import pyarrow as pa

    if not columns:
        return pa.RecordBatch.from_struct_array(pa.nulls(rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def settle(source: Source, file: str, part: Part, rejects: Rejects) -> Block:
    """The good records of a part as a block; the others go to the rejects.

    Raises:
        RejectedError: Those are more than are tolerated.
    """
    import numpy as np
    import pyarrow as pa

    if not part.faults:
        return Block(source.name, file, part.records, part.table)
    rejects.extend(source, file, sorted(part.faults, key=lambda fault: fault.record))
    good = ~np.isin(part.records, [fault.record for fault in part.faults])
    return Block(source.name, file, part.records[good], part.table.filter(pa.array(good)))
