"""Ending a batch that can't be applied: what it wrote is taken back, so that it stands in nobody's way.

Whatever the server refuses (a name, a value, a constraint that somebody made, more memory or disk than there is) ends
the batch. A server that can't be reached, or a process that is killed, does not: `resume` goes on with that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cortigraph.graph._driver import UnreachableError
from cortigraph.graph.errors import CortigraphError, InputError, QueryError, StoreError
from cortigraph.ingest.batches import ledger
from cortigraph.ingest.batches.changes import Change
from cortigraph.ingest.batches.embed import embed
from cortigraph.ingest.batches.history import COUNTS, History, Record
from cortigraph.ingest.batches.target import without
from cortigraph.ingest.batches.undo import Note, Undo
from cortigraph.ingest.batches.write import MismatchError, Writing, apply, write

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store, Transaction

__all__ = ["Place", "ends", "failed", "guilty", "reason", "take_back", "undone"]

# Where an element is from, in words to begin a message with; empty where that is not known.
Place = Callable[[Change, str], str]

_AT_ONCE = 10_000
_LONGEST_REASON = 2_000
_GONE = {"failing": "failed", "abandoning": "abandoned"}
_CREATED_EDGES = """
MATCH ()-[r]->() WHERE r.batches = [$number] WITH r LIMIT $most
DELETE r RETURN count(r) AS gone"""
# What somebody's relationship has needed since stays, as if it had been there always.
_CREATED_NODES = """
MATCH (n) WHERE n.batches = [$number] WITH n LIMIT $most
CALL (n) { WITH n WHERE EXISTS { (n)--() } SET n = {key: n.key, batches: [0]} }
CALL (n) { WITH n WHERE NOT EXISTS { (n)--() } DELETE n }
RETURN count(n) AS gone"""


class _TriedError(Exception):
    """Rolls back what was only tried."""


def ends(error: BaseException) -> bool:
    """Whether an error ends the batch that it befell; else its process, or `resume`, can still finish it."""
    return isinstance(error, Exception) and not isinstance(error, UnreachableError | ledger.LeaseLostError)


def reason(error: BaseException) -> str:
    """An error as the ledger keeps it.

    Example:
        >>> reason(ValueError("no such thing")), reason(InputError("no such thing"))
        ('ValueError: no such thing', 'no such thing')
    """
    told = str(error) if isinstance(error, CortigraphError) else f"{type(error).__name__}: {error}"
    return told[:_LONGEST_REASON]


def failed(writing: Writing, home: Home, record: Record, error: Exception, place: Place | None = None) -> Exception:
    """Takes back a batch whose writing was refused.

    Args:
        writing: What it was written with.
        home: Has its notes.
        record: The batch.
        error: Why it can't be applied.
        place: Says where an element is from.

    Returns:
        What is to be raised: why, with the row where it is known, and what became of the batch.
    """
    why = error
    try:
        named = guilty(writing.store, writing.chunk, error) if writing.chunk is not None else None
        if named is not None:
            why = QueryError(f"{(place or _nowhere)(*named)}{_called(named[0])}: {named[1]}")
        take_back(writing.store, home, writing.lease, record, reason(why))
    except CortigraphError as trouble:  # the disk is full, or the server is gone: later, then
        told = f"batch {record.key} was refused: {reason(why)}\nwhat was written of it could not be taken back yet"
        return StoreError(f"{told}: {trouble}\n`cortigraph ingest resume` goes on with that")
    told = f"{reason(why)}\nbatch {record.key} has failed; nothing of it stays in the graph"
    return InputError(told) if isinstance(why, InputError) else StoreError(told)


def take_back(store: Store, home: Home, lease: ledger.Lease, record: Record, why: str, state: str = "failing") -> None:
    """Makes the graph what it was before a batch that is not done, and says so in the ledger.

    Args:
        store: Where it was written.
        home: Has its notes.
        lease: Held.
        record: The batch.
        why: It ends.
        state: `failing` or `abandoning`.

    Raises:
        StoreError: The store does not take it; done again, it goes on.
    """
    ledger.finish(store, lease, record.key, state=state, reason=why)
    if Undo(home, record.key).kept:
        undone(store, home, lease, record.key)
        for query in (_CREATED_EDGES, _CREATED_NODES):
            while store.execute(_Deleting(lease, query, record.number)):
                pass
    else:  # of another home, or begun by a version that took no notes: as well as the archives can say
        difference = without(store, History(home, ledger.records(store)), record)
        embed(difference, home)
        write(Writing(store, lease, record.key), difference.changes)
    ledger.finish(store, lease, record.key, state=_GONE[state], **dict.fromkeys(COUNTS))
    Undo(home, record.key).forget()


def undone(store: Store, home: Home, lease: ledger.Lease, key: str) -> None:
    """Brings back what a batch has changed and deleted."""
    for note in Undo(home, key).notes():

        def bring_back(transaction: Transaction, note: Note = note) -> None:
            ledger.check(transaction, lease)
            note.bring_back(transaction)

        store.execute(bring_back)


def guilty(store: Store, chunk: Change, error: Exception) -> tuple[Change, str] | None:
    """The first row of a part that the server refuses, and why: tried on ever fewer rows, and never kept.

    Args:
        store: Where it was refused.
        chunk: The part.
        error: Why it was refused.

    Returns:
        None where no row is at fault.
    """
    if not isinstance(error, InputError | MismatchError):
        return None
    fine, refused, why = 0, len(chunk.table), ""
    while refused - fine > 1 or not why:
        rows = (fine + refused) // 2 if refused - fine > 1 else refused
        told = _tried(store, Change(chunk.action, chunk.kind, chunk.table.slice(0, rows)))
        if told is None and rows == len(chunk.table):
            return None  # it would be taken now
        fine, refused, why = (rows, refused, why) if told is None else (fine, rows, told)
    return Change(chunk.action, chunk.kind, chunk.table.slice(refused - 1, 1)), why


def _tried(store: Store, chunk: Change) -> str | None:
    """Why the server refuses some rows; None if it takes them."""
    try:
        with store.transaction() as transaction:
            apply(transaction, chunk)
            raise _TriedError
    except _TriedError:
        return None
    except (InputError, MismatchError) as error:
        return str(error)


def _called(row: Change) -> str:
    names = [name for name in (":type", ":start", ":end", ":key") if name in row.table.column_names]
    return f"{row.kind} {' '.join(repr(v) for name in names if (v := row.table[name][0].as_py()) is not None)}"


def _nowhere(row: Change, why: str) -> str:
    return ""


@dataclass(frozen=True)
class _Deleting:
    """Deletes some of what carries the number of a batch, and nothing else's."""

    lease: ledger.Lease
    query: str
    number: int

    def __call__(self, transaction: Transaction) -> int:
        ledger.check(transaction, self.lease)
        return int(transaction.write(self.query, number=self.number, most=_AT_ONCE).rows[0]["gone"])
