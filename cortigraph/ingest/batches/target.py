"""Targets: what the graph shall hold after a batch, or without one, and the changes that lead there.

    asserting     a batch's elements, joined with what other jobs say of them
    withdrawing   elements as the batches that are left describe them; gone where none is left

Both are worked out from the archives and from the graph as it is. So a batch that was interrupted is finished by the
same code that began it, and nothing depends on how far it had come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import StoreError
from cortigraph.ingest.batches.changes import Change
from cortigraph.ingest.batches.diff import Difference, Owner, Wanted, compare, compared
from cortigraph.ingest.batches.history import Folded, History, Record
from cortigraph.ingest.batches.present import Present, carrying, present
from cortigraph.ingest.elements import KEYS, EdgeKind, Elements, Kind, NodeKind, identity

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from cortigraph.graph.store import Store

__all__ = ["Target", "gone_since", "without"]


class Target:
    """Works out the changes of one batch.

    Args:
        store: Only read.
        history: The batches before it.
        job: Whose batch it is.
        number: Its number.
    """

    def __init__(self, store: Store, history: History, job: str, number: int) -> None:
        self._store, self._history = store, history
        self._jobs = {record.number: record.job for record in history.records}
        self._job, self._number = job, number
        self.difference = Difference()

    def asserting(self, elements: Elements, weak: Mapping[Kind, Collection[str]]) -> Target:
        """The elements that the batch asserts."""
        mine = frozenset({self._number, *(number for number, job in self._jobs.items() if job == self._job)})
        for kind, told in elements:
            table = self._with_former(kind, told)
            now = present(self._store, kind, table, compared(table))
            others = _Others(self, kind, table, now, mine)
            filled = others.filled(table)
            if filled is not table:
                now = present(self._store, kind, filled, compared(filled))
            owner = Owner(self._number, mine)
            compare(Wanted(kind, filled, owner, weak.get(kind, ()), others.ours), now, self.difference)
        return self

    def withdrawing(self, ids: Elements, counts: Callable[[Record], bool]) -> Target:
        """Elements that some batches assert no more.

        Args:
            ids: Which, with the properties that were asserted; null where they were not.
            counts: The batches that are left.

        Raises:
            StoreError: What one of those says of the elements can't be read.
        """
        for kind, table in ids:
            folded = self._history.fold(kind, table, counts)
            self._refuse_unknown(kind, table, counts)
            stays = folded.asserted
            self._survive(kind, table, folded, stays)
            self._delete(kind, table.select(list(KEYS[type(kind)])), ~stays)
        return self

    def _refuse_unknown(self, kind: Kind, table: pa.Table, counts: Callable[[Record], bool]) -> None:
        """A batch that can't be read is in the way of its job, and of what still carries its number."""
        lost = {record.number for record in self._history.records if counts(record)} & set(self._history.lost)
        if not lost:
            return
        batches = present(self._store, kind, table, ()).batches
        carried = {number for each in batches for number in each or ()}
        for number in sorted(lost):
            # A later batch of its job has put its own number in the place of that.
            if number in carried or self._jobs[number] == self._job:
                raise StoreError(f"{self._history.lost[number]}; or revert batch {number} before")

    def sorted(self) -> Difference:
        """The changes in an order in which they can be written: what hangs on something goes first and comes last."""
        order = [
            ("delete", EdgeKind), ("create", NodeKind), ("update", NodeKind), ("create", EdgeKind),
            ("update", EdgeKind), ("delete", NodeKind),
        ]  # fmt: skip
        self.difference.changes.sort(key=lambda change: order.index((change.action, type(change.kind))))
        return self.difference

    def jobs_of(self, now: Present) -> set[str]:
        """The jobs whose batches elements carry."""
        numbers = {number for each in set(map(tuple, filter(None, now.batches))) for number in each}
        return {self._jobs[number] for number in numbers if number in self._jobs}

    def delete(self, kind: Kind, ids: pa.Table) -> None:
        """Deletes elements, whoever asserts them."""
        self._delete(kind, ids, np.ones(len(ids), dtype=bool))

    def _with_former(self, kind: Kind, table: pa.Table) -> pa.Table:
        """With a column for each property that the job gave before and gives no more, so that it goes."""
        import pyarrow as pa

        for number, job in self._jobs.items():
            if job == self._job and number != self._number:
                for name, type_ in self._history.columns(number, kind).items():
                    if name not in table.column_names and not name.startswith(":"):
                        table = table.append_column(name, pa.nulls(len(table), type_))
        return table

    def _survive(self, kind: Kind, table: pa.Table, folded: Folded, stays: NDArray[np.bool_]) -> None:
        import pyarrow as pa

        for rows, left in folded.tables(kind, table, np.flatnonzero(stays)):
            # What no batch brought carries no number, once no batch speaks of it.
            batches = [tuple(sorted(told)) if (told := folded.batches[row]) != {0} else () for row in rows.tolist()]
            # What was asserted and is no more goes; so it must be looked at, although nobody gives it.
            withdrawn = table.take(pa.array(rows))
            for name in compared(withdrawn):
                if name not in left.column_names:
                    left = left.append_column(name, pa.nulls(len(rows), withdrawn[name].type))
            now = present(self._store, kind, left, compared(left))
            compare(Wanted(kind, left, batches, (), partial(_given, withdrawn)), now, self.difference)

    def _delete(self, kind: Kind, ids: pa.Table, gone: NDArray[np.bool_]) -> None:
        import pyarrow as pa

        if not gone.any():
            return
        doomed = ids.filter(pa.array(gone))
        there = present(self._store, kind, doomed, ()).there
        self.difference.add(Change("delete", kind, doomed.filter(pa.array(there))))
        self.difference.count(kind, "deleted", int(there.sum()))


def _given(table: pa.Table, name: str) -> NDArray[np.bool_]:
    """In which rows a property is given."""
    if name not in table.column_names:
        return np.zeros(len(table), dtype=bool)
    return np.asarray(table[name].combine_chunks().is_valid().to_numpy(zero_copy_only=False))


class _Others:
    """What others say of rows; looked up only where the graph shows that there are others."""

    def __init__(self, target: Target, kind: Kind, table: pa.Table, now: Present, mine: frozenset[int]) -> None:
        self._target, self._kind, self._table, self._now, self._mine = target, kind, table, now, mine
        self._foreign: Folded | None = None
        self._own: Folded | None = None

    def filled(self, table: pa.Table) -> pa.Table:
        """The rows, with what other jobs say where they say nothing."""
        import pyarrow.compute as pc

        if not any(set(each) - self._mine - {0} for each in set(map(tuple, filter(None, self._now.batches)))):
            return table
        folded = self._others()
        for name in folded.values:
            if name.startswith(":"):
                continue
            if name not in table.column_names:
                continue  # what we do not speak of stays as the others left it
            column = folded.column(name, table[name].type)
            if column.null_count < len(column):
                at = table.column_names.index(name)
                table = table.set_column(at, name, pc.coalesce(table[name].combine_chunks(), column))
        return table

    def ours(self, name: str) -> NDArray[np.bool_]:
        """Which rows had a property from earlier batches of this job, and from nobody else."""
        if self._own is None:
            target = self._target
            self._own = target._history.fold(
                self._kind, self._table, lambda record: record.job == target._job and record.number != target._number,
                native=False,
            )  # fmt: skip
        own = self._own.has(name)
        return own & ~self._others().has(name) if own.any() else own

    def _others(self) -> Folded:
        if self._foreign is None:
            target = self._target
            jobs = target.jobs_of(self._now) - {target._job}
            self._foreign = target._history.fold(self._kind, self._table, lambda record: record.job in jobs)
        return self._foreign


def without(store: Store, history: History, record: Record) -> Difference:
    """What is to be done so that the graph is as if a batch had never been.

    Args:
        store: Only read.
        history: All batches.
        record: The batch. Where its archive can't be read, what it brought is found by its number, and what it changed
            stays as it is, unless another batch says what it was.

    Raises:
        StoreError: Another batch's archive, which says what elements were like, can't be read.
    """
    try:
        archive = history.archive(record.key)
        asserted, withdrawn = archive.elements(), archive.elements("withdrawn")
    except StoreError:
        asserted, withdrawn = carrying(store, record.number), Elements()
    target = Target(store, history, record.job, record.number)
    for ids in (asserted, withdrawn):
        target.withdrawing(ids, lambda other: other.number != record.number)
    return target.sorted()


def gone_since(history: History, job: str, elements: Elements) -> Elements:
    """What earlier batches of a job assert and its sources speak of no more.

    Args:
        history: Has the archives.
        job: Its name.
        elements: What it asserts now.

    Returns:
        Identity and properties, as they were asserted last.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = Elements()
    for record in history.records:
        if record.job != job or record.void:
            continue
        archive = history.archive(record.key)
        for kind, table in archive.elements():
            ids = identity(kind, table)
            for said in (elements.tables.get(kind), found.tables.get(kind)):
                if said is not None and len(table):
                    new = pc.invert(pc.is_in(ids, identity(kind, said)))
                    table, ids = table.filter(new), ids.filter(new)
            found.add(kind, table if isinstance(table, pa.Table) else pa.table(table))
        if record.pruned:
            break
    return found
