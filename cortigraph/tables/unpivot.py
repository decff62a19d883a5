"""A matrix as a long table: one row for each of its cells that has a value.

    unpivot: {keep: [model], name: dataset, value: accuracy}

turns `model, cifar10, pets` into rows of `model, dataset, accuracy`. Records keep their numbers: what is wrong with a
value is told of the record, and the column, that it stands in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from cortigraph.graph.errors import InputError
from cortigraph.tables.base import Block, Fault, Part, Source, batch_of, settle
from cortigraph.tables.names import lacking, named

if TYPE_CHECKING:
    from cortigraph.tables.base import Progress, Raw
    from cortigraph.tables.rejects import Rejects
    from cortigraph.tables.spec import SourceSpec

__all__ = ["Unpivot", "Unpivoted"]


class Unpivot(BaseModel):
    """How a matrix becomes a long table.

    Args:
        keep: The columns that name a row; they stand in every row that is made of it.
        name: What the column is called that holds the names of the others.
        value: What the column is called that holds their values, as numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Annotated[list[str], Field(min_length=1)]
    name: str
    value: str


class Unpivoted:
    """Another source, seen as a long table.

    Args:
        source: The matrix.
        how: What is what in it.

    Raises:
        InputError: A column that is to be kept is not there.
    """

    def __init__(self, source: Source, how: Unpivot) -> None:
        self.name = source.name
        self._source, self._how = source, how
        problems = [f"unpivot: there is {told}" for name in how.keep if (told := lacking(name, source)) is not None]
        if problems:
            raise InputError(problems)

    def columns(self) -> list[str]:
        """Those that are kept, the name and the value."""
        return [*self._how.keep, self._how.name, self._how.value]

    def blocks(
        self, rejects: Rejects, progress: Progress | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """A block for each column of each block of the matrix; as `Source.blocks`."""
        wanted = named(self.columns() if columns is None else columns, self)
        kept = named(self._how.keep, self._source)
        spread = [column for column in self._source.columns() if column not in kept.values()]
        keep = [column for column in self._how.keep if column in wanted.values()]
        for block in self._source.blocks(rejects, progress, [*keep, *spread]):
            for column in spread:
                long = self._long(block, column, keep, rejects)
                yield replace(
                    long,
                    table=batch_of({name: long.table.column(own) for name, own in wanted.items()}, len(long.records)),
                )

    def locate(self, file: str, records: Collection[int]) -> dict[int, tuple[int | None, Raw]]:
        """As the matrix's."""
        return self._source.locate(file, records)

    def fingerprint(self) -> str:
        """Of the matrix, and of how it is seen."""
        return hashlib.sha256(f"{self._source.fingerprint()} {self._how.model_dump_json()}".encode()).hexdigest()

    def bytes(self) -> int:
        """As the matrix's."""
        return self._source.bytes()

    def remains(self) -> SourceSpec:
        """A file of rejects is a matrix again."""
        return self._source.remains().model_copy(update={"unpivot": self._how})

    def assemble(self, records: Sequence[Raw]) -> Raw:
        """As the matrix's."""
        return self._source.assemble(records)

    def _long(self, block: Block, column: str, keep: Sequence[str], rejects: Rejects) -> Block:
        import numpy as np
        import pyarrow as pa

        from cortigraph.tables.cells import from_text
        from cortigraph.tables.types import Type

        values = block.table.column(column)
        reasons: dict[int, str] = {}
        if pa.types.is_string(values.type):
            values, reasons = from_text(values, Type("float"), "|")
        given = block.table.column(column)
        faults = [Fault(int(block.records[row]), column, given[row].as_py(), why) for row, why in reasons.items()]
        told = {name: block.table.column(name) for name in keep}
        told |= {self._how.name: pa.repeat(column, len(values)), self._how.value: values}
        there = np.asarray(given.is_valid().to_numpy(zero_copy_only=False))
        table = pa.RecordBatch.from_pydict(told).filter(pa.array(there))
        return settle(self, block.file, Part(block.records[there], table, faults, 0), rejects)
