"""The difference between what is wanted and what the graph holds, as changes.

A property that somebody set by hand, and that no batch speaks of, is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.errors import StoreError
from cortigraph.ingest.batches.changes import Change
from cortigraph.ingest.batches.present import Present
from cortigraph.ingest.elements import KEYS, VECTORS, Elements, Kind, NodeKind, properties

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Difference", "Owner", "Wanted", "compare", "compared"]

Batches = tuple[int, ...]


@dataclass(frozen=True)
class Owner:
    """The batch that asserts rows.

    Args:
        number: Its own.
        mine: Those of its job.
    """

    number: int
    mine: frozenset[int]

    def batches(self, has: Batches | None, changed: bool) -> Batches:
        """What an element shall carry: the number of the batch of this job that brought it or changed it last.

        Args:
            has: What it carries; empty if no batch brought it, None if it is not there.
            changed: Whether the batch changes it.

        Example:
            >>> owner = Owner(3, frozenset({1}))
            >>> owner.batches(None, True), owner.batches((), False), owner.batches((1, 2), True)
            ((3,), (0, 3), (2, 3))
        """
        if has is None:
            return (self.number,)
        if not has:
            return (0, self.number)
        if not changed and self.mine & set(has):
            return has
        return tuple(sorted(({*has} - self.mine) | {self.number}))


@dataclass(frozen=True)
class Wanted:
    """What elements of a kind shall be.

    Args:
        kind: Of the elements.
        table: Identity and properties; each element once.
        batches: Those that each row shall carry, or whose they are.
        weak: Properties that only fill gaps.
        ours: Says of which rows a property, which they do not give, was ours, so that it goes.
    """

    kind: Kind
    table: pa.Table
    batches: list[Batches] | Owner
    weak: Collection[str] = ()
    ours: Callable[[str], NDArray[np.bool_]] | None = None


@dataclass
class Difference:
    """What is to be done, and what is so already.

    Args:
        changes: In an order in which they can be written.
        before: What elements were like that no batch had brought, where something is set.
        counts: Kind → created, updated, deleted, unchanged → how many.
    """

    changes: list[Change] = field(default_factory=list)
    before: Elements = field(default_factory=Elements)
    counts: dict[Kind, dict[str, int]] = field(default_factory=dict)

    def count(self, kind: Kind, action: str, number: int) -> None:
        """Adds to the counts."""
        told = self.counts.setdefault(kind, {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0})
        told[action] += number

    def told(self) -> dict[str, dict[str, int]]:
        """The counts, by the name of the kind."""
        return {str(kind): dict(counts) for kind, counts in self.counts.items()}

    def totals(self) -> dict[str, int]:
        """How many nodes and relationships are created, updated and deleted in all."""
        found: dict[str, int] = {}
        for kind, counts in self.counts.items():
            what = "nodes" if isinstance(kind, NodeKind) else "relationships"
            for action in ("created", "updated", "deleted"):
                found[f"{what}_{action}"] = found.get(f"{what}_{action}", 0) + counts[action]
        return found

    def add(self, change: Change) -> None:
        """Adds a change, unless it is empty."""
        if len(change.table):
            self.changes.append(change)


def compare(wanted: Wanted, now: Present, into: Difference) -> None:
    """Compares elements of a kind with the graph.

    Args:
        wanted: What shall be.
        now: What the graph holds of them, with `compared(table)`.
        into: Takes the changes.
    """
    import pyarrow as pa

    table = wanted.table
    if not now.there.any():
        _all_new(wanted, into)
        return
    names = compared(table)
    columns, dropped = _columns(wanted, now, names)
    labels = _new_labels(table, now)
    changed = np.zeros(len(table), dtype=bool)
    for mask, _ in columns.values():
        changed |= mask
    changed |= np.array([bool(each) for each in dropped]) | np.array([bool(each) for each in labels])
    batches, moved = _batches(wanted, now, changed)
    made = np.flatnonzero(~now.there)
    into.add(Change("create", wanted.kind, table.append_column(":batches", batches).take(pa.array(made))))
    rows = np.flatnonzero(now.there & (changed | moved))
    if len(rows):
        update = _update(wanted, columns, dropped, labels).append_column(":batches", batches)
        into.add(Change("update", wanted.kind, update.take(pa.array(rows))))
        _note_before(wanted, now, rows, names, into)
    into.count(wanted.kind, "created", len(made))
    into.count(wanted.kind, "updated", len(rows))
    into.count(wanted.kind, "unchanged", len(table) - len(made) - len(rows))


def _all_new(wanted: Wanted, into: Difference) -> None:
    """Nothing of it is there, as in every first run: no row need be looked at."""
    import pyarrow as pa

    rows = len(wanted.table)
    if isinstance(wanted.batches, Owner):
        numbers = pa.repeat(pa.scalar(wanted.batches.number, pa.int64()), rows)
        batches = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1), pa.int32()), numbers)
    else:
        batches = pa.array(wanted.batches, pa.list_(pa.int64()))
    into.add(Change("create", wanted.kind, wanted.table.append_column(":batches", batches)))
    into.count(wanted.kind, "created", rows)


def compared(table: pa.Table) -> list[str]:
    """The properties that say whether a row has changed: vectors follow from them."""
    return [name for name in properties(table) if name not in VECTORS]


def _batches(wanted: Wanted, now: Present, changed: NDArray[np.bool_]) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The batches of every row, and whether that is news; few lists differ, so each is worked out once."""
    import pyarrow as pa

    there = now.there.tolist()
    has = [tuple(given or ()) if is_there else None for is_there, given in zip(there, now.batches, strict=True)]
    owner = wanted.batches
    if isinstance(owner, Owner):
        cases = list(zip(has, changed.tolist(), strict=True))
        known = {case: owner.batches(*case) for case in set(cases)}
        shall = [known[case] for case in cases]
    else:
        shall = owner
    moved = [each is not None and each != wants for each, wants in zip(has, shall, strict=True)]
    return pa.array([each or None for each in shall], pa.list_(pa.int64())), np.array(moved, dtype=bool)


def _columns(
    wanted: Wanted, now: Present, names: list[str]
) -> tuple[dict[str, tuple[NDArray[np.bool_], pa.Array]], list[list[str]]]:
    """Property → which rows get a new value, and the values; and for every row the properties that go."""
    columns: dict[str, tuple[NDArray[np.bool_], pa.Array]] = {}
    dropped: list[list[str]] = [[] for _ in range(len(wanted.table))]
    for name in names if now.there.any() else ():
        column = wanted.table[name].combine_chunks()
        has = [value.to_native() if hasattr(value, "to_native") else value for value in now.values[name]]
        shall = column.to_pylist()
        weak = name in wanted.weak
        moved = [
            value is not None and not _same(value, old) and not (weak and old is not None)
            for value, old in zip(shall, has, strict=True)
        ]
        mask = np.array(moved, dtype=bool) & now.there
        if mask.any():
            columns[name] = (mask, column)
        gaps = np.array([value is None and old is not None for value, old in zip(shall, has, strict=True)], dtype=bool)
        if wanted.ours is not None and gaps.any():
            gone = [name, *VECTORS] if name == "embedded" else [name]  # without its text a vector means nothing
            for row in np.flatnonzero(gaps & wanted.ours(name)):
                dropped[row] += gone
    return columns, dropped


def _same(value: Any, old: Any) -> bool:
    """Equal in value and in kind: 1, 1.0 and True are three things."""
    return bool(value == old) and type(value) is type(old)


def _new_labels(table: pa.Table, now: Present) -> list[list[str]]:
    """The further labels that nodes lack."""
    if ":labels" not in table.column_names or not now.there.any():
        return [[]] * len(table)
    return [
        [label for label in (shall or []) if label not in has]
        for shall, has in zip(table[":labels"].to_pylist(), now.labels, strict=True)
    ]


def _update(
    wanted: Wanted,
    columns: dict[str, tuple[NDArray[np.bool_], pa.Array]],
    dropped: list[list[str]],
    labels: list[list[str]],
) -> pa.Table:
    """Rows in which null means that a property stays as it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = wanted.table
    found = table.select(list(KEYS[type(wanted.kind)]))
    moved = np.zeros(len(table), dtype=bool)
    for name, (mask, column) in columns.items():
        moved |= mask
        found = found.append_column(name, pc.if_else(pa.array(mask), column, pa.scalar(None, column.type)))
    for name in (*VECTORS, ":text"):
        if name in table.column_names:
            # A text's vector is as new as the text's hash; any other is sent whenever its row is.
            mask = columns["embedded"][0] if name == ":text" and "embedded" in columns else moved & (name != ":text")
            values = zip(table[name].to_pylist(), mask.tolist(), strict=True)
            column = pa.array([value if new else None for value, new in values], table[name].type)
            found = found.append_column(name, column)
    if any(dropped):
        found = found.append_column(":drop", pa.array(dropped, pa.list_(pa.string())))
    if any(labels):
        found = found.append_column(":labels", pa.array(labels, pa.list_(pa.string())))
    return found


def _note_before(wanted: Wanted, now: Present, rows: NDArray[np.int64], names: list[str], into: Difference) -> None:
    """Keeps what elements were like that were there before any batch, so that a revert can bring it back."""
    import pyarrow as pa

    native = [int(row) for row in rows if not now.batches[row]]
    if not native:
        return
    table = wanted.table.select(list(KEYS[type(wanted.kind)])).take(pa.array(native))
    for name in names:
        values = [now.values[name][row] for row in native]
        try:
            column = pa.array([value.to_native() if hasattr(value, "to_native") else value for value in values])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise StoreError(
                f"property {name!r} of {wanted.kind} has values of several types in the graph; give them one type first"
            ) from None
        if column.null_count < len(column):
            table = table.append_column(name, column)
    if isinstance(wanted.kind, NodeKind) and ":labels" in wanted.table.column_names:
        table = table.append_column(":labels", pa.array([now.labels[row] for row in native], pa.list_(pa.string())))
    into.before.add(wanted.kind, table)
