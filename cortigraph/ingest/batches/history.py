"""The history of batches: what each job asserts of given elements, from the archives of its batches.

Of what one job's batches say of an element the latest counts; of what several jobs say of a property, the latest
batch's. A batch that was run with `--prune` says everything that its job has to say: what came before it is void.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cortigraph.graph.errors import StoreError
from cortigraph.ingest.batches.archive import Archive
from cortigraph.ingest.elements import KEYS, Kind, identity

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.graph.home import Home

__all__ = ["COUNTS", "Folded", "History", "Record"]

COUNTS = tuple(
    f"{what}_{action}" for what in ("nodes", "relationships") for action in ("created", "updated", "deleted")
)
"""What the ledger counts of a batch."""

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """What the graph says of a batch.

    Args:
        key: Names it and its archive.
        number: What its elements carry.
        job: Whose it is.
        state: See the ledger.
        pruned: Whether it says everything that its job has to say.
        chunks: How many parts it is written in.
        done: How many of them are written.
        reason: Why it failed, or who ended it.
        told: What else there is to show.
    """

    key: str
    number: int
    job: str
    state: str
    pruned: bool = False
    chunks: int = 0
    done: int = 0
    reason: str = ""
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether something is still to be written for it."""
        return self.state in ("applying", "reverting", "failing", "abandoning")

    @property
    def counts(self) -> dict[str, int]:
        """How many `nodes_created`, `relationships_updated` and the like it brings; nothing where that is not known."""
        return {name: self.told[name] for name in COUNTS if name in self.told}

    @property
    def void(self) -> bool:
        """Whether what it asserts counts no more."""
        return self.state in ("reverted", "failing", "failed", "abandoning", "abandoned")


@dataclass
class Folded:
    """What batches say of given elements, one entry a row.

    Args:
        batches: The batches that assert it; 0 if it was there before any.
        values: Property → value, None where nobody gives one.
        types: Property → the type that it has in each row: batches need not agree on it.
    """

    batches: list[set[int]]
    values: dict[str, list[Any]]
    types: dict[str, list[pa.DataType]]

    @property
    def asserted(self) -> NDArray[np.bool_]:
        """Which rows somebody asserts."""
        return np.array([bool(each) for each in self.batches], dtype=bool)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Which rows are given a property."""
        values = self.values.get(name)
        rows = len(self.batches)
        return np.zeros(rows, dtype=bool) if values is None else np.array([v is not None for v in values], dtype=bool)

    def column(self, name: str, type_: pa.DataType) -> pa.Array:
        """What rows are given of a property as a column of a type; null where it has another type."""
        import pyarrow as pa

        told = zip(self.values[name], self.types[name], strict=True)
        return pa.array([value if own == type_ else None for value, own in told], type_)

    def tables(
        self, kind: Kind, ids: pa.Table, rows: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
        """Rows as tables with their identity, each of rows in which every property has one type.

        Args:
            kind: Of the elements.
            ids: Their identity columns.
            rows: Which of them are wanted.

        Returns:
            Rows, and their table.
        """
        import pyarrow as pa

        alike: dict[tuple[pa.DataType, ...], list[int]] = {}
        for row in rows.tolist():
            alike.setdefault(tuple(types[row] for types in self.types.values()), []).append(row)
        for types, which in alike.items():
            found = ids.select(list(KEYS[type(kind)])).take(pa.array(which))
            for (name, values), type_ in zip(self.values.items(), types, strict=True):
                found = found.append_column(name, pa.array([values[row] for row in which], type_))
            yield np.array(which), found


class History:
    """The batches of a store whose archives lie in a home.

    Args:
        home: Keeps the archives.
        records: All batches of the graph.
    """

    def __init__(self, home: Home, records: Sequence[Record]) -> None:
        self._home = home
        self._records = sorted(records, key=lambda record: -record.number)
        self._archives: dict[str, Archive] = {}
        self.lost: dict[int, StoreError] = {}  # numbers of batches whose archives were asked and can't be read, and why

    @property
    def records(self) -> list[Record]:
        """The batches, the latest first."""
        return self._records

    def archive(self, key: str) -> Archive:
        """The archive of a batch.

        Raises:
            StoreError: It is not here.
        """
        if key not in self._archives:
            self._archives[key] = Archive.open(self._home, key)
        return self._archives[key]

    def columns(self, number: int, kind: Kind) -> dict[str, pa.DataType]:
        """The columns in which a batch told of a kind of element; none if it counts no more, or can't be read."""
        for record in self._records:
            if record.number == number and not record.void:
                return self._read(record, lambda archive: archive.columns(kind)) or {}
        return {}

    def fold(self, kind: Kind, ids: pa.Table, counts: Callable[[Record], bool], *, native: bool = True) -> Folded:
        """What batches say of elements, as far as their archives can be read; `lost` says which can't.

        Args:
            kind: Of the elements.
            ids: Their identity columns.
            counts: Which batches are asked.
            native: Whether what was there before any batch counts, too.
        """
        rows = len(ids)
        folded = Folded([set() for _ in range(rows)], {}, {})
        asked = identity(kind, ids)
        spoken: dict[str, NDArray[np.bool_]] = {}
        for record in self._records:
            if record.void or not counts(record):
                continue
            silent = ~spoken.setdefault(record.job, np.zeros(rows, dtype=bool))
            table = self._read(record, lambda archive: archive.table(kind))
            if table is not None and silent.any():
                spoken[record.job] |= _join(folded, kind, asked, table, silent, record.number)
            if record.pruned:
                spoken[record.job][:] = True
        for record in self._records if native else ():
            table = self._read(record, lambda archive: archive.table(kind, "before"))
            if table is not None:
                _join(folded, kind, asked, table, np.ones(rows, dtype=bool), 0)
        return folded

    def _read(self, record: Record, what: Callable[[Archive], T | None]) -> T | None:
        """Something of an archive; None where it can't be read, which is noted unless the batch counts no more."""
        try:
            return what(self.archive(record.key))
        except StoreError as error:
            if not record.void:
                self.lost[record.number] = error
            return None


def _join(
    folded: Folded, kind: Kind, asked: pa.Array, table: pa.Table, allowed: NDArray[np.bool_], number: int
) -> NDArray[np.bool_]:
    """Adds what one batch says, below what was said already. Returns the rows that it speaks of."""
    import pyarrow.compute as pc

    at = pc.fill_null(pc.index_in(asked, value_set=identity(kind, table)), -1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((at >= 0) & allowed)
    found = np.zeros(len(allowed), dtype=bool)
    found[rows] = True
    for row in rows:
        folded.batches[row].add(number)
    for name in table.column_names:
        if name in KEYS[type(kind)]:
            continue
        values = table[name].to_pylist()
        into = folded.values.setdefault(name, [None] * len(allowed))
        types = folded.types.setdefault(name, [table[name].type] * len(allowed))
        for row in rows:
            if into[row] is None and values[at[row]] is not None:
                into[row], types[row] = values[at[row]], table[name].type
    return found
