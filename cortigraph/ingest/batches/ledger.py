"""The ledger: the batches of the graph, who may write just now, and how far a batch is written.

    (:Lease {key: 'ingest', token, host, pid, started, until})     held by the one process that applies a batch
    (:Batch {key, number, job, state, chunks, done, …})-[:FROM]->(:Source {key, digest})

    applying → done → reverting → reverted        a revert that is refused is taken back itself: done again
       └→ failing → failed                        refused: what was written of it is taken back, `reason` says why
       └→ abandoning → abandoned                  the same, because somebody said so

Every chunk is written in one transaction that also counts `done` up, and only if the lease is still held: so a chunk is
written once, whatever is killed when. A lease whose holder died on this machine is taken over at once, any other when
its time is over.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cortigraph.graph import cypher
from cortigraph.graph.errors import StoreError
from cortigraph.graph.names import Label
from cortigraph.graph.processes import alive, myself
from cortigraph.ingest.batches.history import Record

if TYPE_CHECKING:
    from cortigraph.graph.store import Store, Transaction

__all__ = [
    "Lease",
    "LeaseLostError",
    "advance",
    "begin",
    "check",
    "finish",
    "hold",
    "next_number",
    "records",
    "register",
    "retake",
]

_NAME = "ingest"
_MILLISECONDS = 600_000
_POLL_SECONDS = 0.2

_BATCHES = f"MATCH (b:Batch&!Entity) WHERE {cypher.BATCH.format('b')}"
_RECORDS = f"{_BATCHES} RETURN b {{.*}} AS batch ORDER BY b.number"
_NUMBER = f"{_BATCHES} RETURN coalesce(max(b.number), 0) + 1 AS number"
# Setting something takes the node's lock: of two who ask at once, the second sees what the first has done.
_TAKE = f"""
{cypher.freed(Label.LEASE, "[$name]")}
MERGE (l:Lease {{key: $name}})
SET l.asked = timestamp()
WITH l, l.token IS NULL OR l.until < timestamp() OR l.token IN $free AS free
FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END |
  SET l.token = $token, l.host = $host, l.pid = $pid, l.started = $started, l.until = timestamp() + $duration)
RETURN free, l.token AS token, l.host AS host, l.pid AS pid, l.started AS started"""
_RELEASE = "MATCH (l:Lease {key: $name, token: $token}) SET l.token = null, l.until = 0"
_REGISTER = f"""
{cypher.freed(Label.SOURCE, "[$source.key]")}
{cypher.freed(Label.BATCH, "[$batch.key]")}
MATCH (l:Lease {{key: $name, token: $token}})
SET l.until = timestamp() + $duration
MERGE (s:Source {{key: $source.key}}) SET s += $source
MERGE (b:Batch {{key: $batch.key}}) SET b += $batch, b.at = datetime()
MERGE (b)-[:FROM]->(s)
RETURN count(b) AS held"""
_BEGIN = """
MATCH (l:Lease {key: $name, token: $token})
MATCH (b:Batch {key: $key}) SET b.done = 0, b.chunks = $chunks
RETURN count(b) AS held"""
_ADVANCE = """
MATCH (b:Batch {key: $key})
OPTIONAL MATCH (l:Lease {key: $name, token: $token})
SET l.until = timestamp() + $duration
WITH b, l IS NOT NULL AS held, b.done AS done
FOREACH (_ IN CASE WHEN held AND done = $chunk THEN [1] ELSE [] END | SET b.done = $chunk + 1)
RETURN held, done"""
_KEEP = """
MATCH (l:Lease {key: $name, token: $token}) SET l.until = timestamp() + $duration
RETURN count(l) > 0 AS held"""
_FINISH = """
MATCH (l:Lease {key: $name, token: $token})
MATCH (b:Batch {key: $key}) SET b += $told
RETURN count(b) AS held"""

Waiting = Callable[[str], None]

_ABANDONED: set[str] = set()  # this process ended these, but the store did not hear of it


class LeaseLostError(StoreError):
    """Another process has taken over, because this one did not write for too long."""


class Lease:
    """The right to apply a batch; held until its block ends.

    Args:
        token: Tells this holder from all others.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    def parameters(self) -> dict[str, Any]:
        """What the ledger's queries need of it."""
        return {"name": _NAME, "token": self.token, "duration": _MILLISECONDS}


@contextmanager
def hold(store: Store, waiting: Waiting | None = None) -> Iterator[Lease]:
    """Waits until nobody else applies a batch, and keeps others out meanwhile.

    Args:
        store: Where batches are applied.
        waiting: Told for whom we wait.

    Yields:
        The lease.
    """
    lease = Lease(uuid.uuid4().hex)
    _take(store, lease, waiting or (lambda text: None))
    try:
        yield lease
    finally:
        _release(store, lease)


def retake(store: Store, lease: Lease) -> None:
    """Takes a lease that is held, in a store that does not know of it: another database has taken its place."""
    _take(store, lease, lambda text: None)


def records(store: Store) -> list[Record]:
    """All batches of the graph, by number."""
    names = set(Record.__dataclass_fields__) - {"told"}
    found = []
    for row in store.read(_RECORDS):
        batch = row["batch"]
        own = {name: batch[name] for name in names if batch.get(name) is not None}
        found.append(Record(**own, told={name: value for name, value in batch.items() if name not in names}))
    return found


def next_number(store: Store) -> int:
    """The number of the next batch."""
    return int(store.read(_NUMBER)[0]["number"])


def register(store: Store, lease: Lease, batch: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """Puts a batch into the graph, before the first of its elements.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    written = store.write(_REGISTER, batch=dict(batch), source=dict(source), **lease.parameters())
    if not written.rows or not written.rows[0]["held"]:
        raise _lost()


def begin(store: Store, lease: Lease, key: str, chunks: int) -> None:
    """Says in how many parts what is left of a batch will be written.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    written = store.write(_BEGIN, key=key, chunks=chunks, name=_NAME, token=lease.token)
    if not written.rows or not written.rows[0]["held"]:
        raise _lost()


def advance(transaction: Transaction, lease: Lease, key: str, chunk: int) -> bool:
    """Counts a chunk of a batch as written, in the transaction that writes it.

    Returns:
        Whether it is still to be written; not, if an earlier try was committed although nobody heard of it.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    rows = transaction.write(_ADVANCE, key=key, chunk=chunk, **lease.parameters()).rows
    if not rows or not rows[0]["held"]:
        raise _lost()
    return int(rows[0]["done"]) == chunk


def finish(store: Store, lease: Lease, key: str, **told: Any) -> None:
    """Says what became of a batch.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    written = store.write(_FINISH, key=key, told=told, name=_NAME, token=lease.token)
    if not written.rows or not written.rows[0]["held"]:
        raise _lost()


def _take(store: Store, lease: Lease, waiting: Waiting) -> None:
    me = myself()
    dead: list[str] = []
    while True:
        free = [lease.token, *_ABANDONED, *dead]
        holder = store.write(_TAKE, name=_NAME, token=lease.token, duration=_MILLISECONDS, free=free, **me).rows[0]
        if holder["free"]:
            return
        if holder["host"] == me["host"] and not alive(holder["pid"], holder["started"]):
            dead = [holder["token"]]
            continue
        waiting(f"waiting for process {holder['pid']} on {holder['host']}, which applies a batch")
        time.sleep(_POLL_SECONDS)


def _release(store: Store, lease: Lease) -> None:
    """A full disk may refuse even this: the process lives on, and must not wait ten minutes for itself."""
    _ABANDONED.add(lease.token)
    store.write(_RELEASE, name=_NAME, token=lease.token)
    _ABANDONED.discard(lease.token)


def check(transaction: Transaction, lease: Lease) -> None:
    """Keeps a lease for longer, in the transaction that writes something.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    if not transaction.write(_KEEP, **lease.parameters()).rows[0]["held"]:
        raise _lost()


def _lost() -> LeaseLostError:
    return LeaseLostError(
        "another process has taken over the batches, because this one wrote nothing for ten minutes; "
        "see `cortigraph ingest status`, then `cortigraph ingest resume`"
    )
