"""Claims: which candidate of a search is whose, so that any number of processes may work on one search.

    (:Candidate {key, index, state: 'running', decisions, worker, host, pid, started, until, attempts, doing})

A candidate is claimed in the transaction that makes it, under the lock of its search: two never get the same place.
The claim is a lease by the server's clock, renewed while its holder works. When it has run out, or its holder died on
this machine, the next who asks takes the candidate up; whoever lost it can't write its result any more.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cortigraph.graph.errors import StoreError
from cortigraph.graph.processes import alive, myself
from cortigraph.graph.schema import Label, RelType
from cortigraph.graph.store import Store, Transaction
from cortigraph.graph.write import merge_edges, merge_nodes
from cortigraph.reasoning.pathway.compose import Decisions
from cortigraph.reasoning.solving.record import uses
from cortigraph.regions.blueprint import Blueprint
from cortigraph.train.provenance import now

__all__ = ["LEASE_SECONDS", "Claim", "Claims", "LostError"]

LEASE_SECONDS = 30.0
_RENEWALS = 4  # in a lease
_ATTEMPTS = 3  # after which a candidate is left: it may be what kills its workers

# Setting something takes the node's lock: whoever comes second sees what the first has done.
_LOCK = """
MATCH (s:Search {key: $search}) SET s.asked = timestamp()
WITH s OPTIONAL MATCH (c:Candidate)-[:IN_SEARCH]->(s) WHERE c.index >= 0
RETURN s.key AS search, count(c) AS count"""
_FREE = """
MATCH (s:Search {key: $search}) SET s.asked = timestamp()
WITH s MATCH (c:Candidate {state: 'running'})-[:IN_SEARCH]->(s)
WHERE c.until < timestamp() OR c.worker IN $dead
WITH c ORDER BY c.index LIMIT 1
SET c.attempts = c.attempts + 1, c += $holder, c.until = timestamp() + $duration, c.doing = null
RETURN c.key AS key, c.index AS index, c.blueprint AS blueprint, c.attempts AS attempts"""
_HOLDERS = """
MATCH (c:Candidate {state: 'running', host: $host})-[:IN_SEARCH]->(:Search {key: $search})
RETURN DISTINCT c.worker AS worker, c.pid AS pid, c.started AS started"""
_UNTIL = "MATCH (c:Candidate {key: $key, worker: $worker}) SET c.until = timestamp() + $duration"
_RENEW = """
MATCH (c:Candidate {key: $key, worker: $worker, state: 'running'})
SET c.until = timestamp() + $duration, c.doing = $doing
RETURN count(c) AS held"""
_HELD = """
MATCH (c:Candidate {key: $key}) SET c.asked = timestamp()
RETURN c.worker = $worker AND c.state = 'running' AS held"""
_HELD_BY = "MATCH (c:Candidate {key: $key, worker: $worker, state: 'running'}) RETURN c.key AS key"
_RELEASE = "MATCH (c:Candidate {key: $key, worker: $worker, state: 'running'}) SET c.until = 0, c.worker = null"


class LostError(StoreError):
    """A claim ran out before it was renewed: another worker has the candidate."""


@dataclass(frozen=True)
class Claim:
    """A candidate that this process may train.

    Args:
        key: The candidate's.
        index: Its place in the search.
        blueprint: What to train.
        attempts: How often it was begun, this time included.
    """

    key: str
    index: int
    blueprint: Blueprint
    attempts: int

    @property
    def hopeless(self) -> bool:
        """Whether it was begun so often, and never ended, that it is better left."""
        return self.attempts > _ATTEMPTS


class Claims:
    """The right of one worker to candidates of one search.

    Args:
        store: The store.
        search: The search's key.
        lease: Seconds that a claim lasts without being renewed.
    """

    def __init__(self, store: Store, search: str, lease: float = LEASE_SECONDS) -> None:
        self._store, self._search = store, search
        self._holder = {"worker": uuid.uuid4().hex, **myself()}
        self._lease = lease
        self.doing = ""

    def new(self, index: int, blueprint: Blueprint, decisions: Decisions) -> Claim | None:
        """Makes a candidate and claims it; nothing if somebody else was quicker to make the one of that place.

        Args:
            index: Its place: as many as there are.
            blueprint: What to train.
            decisions: Of which it is made.
        """
        key = f"{self._search}/{index:04}"
        node = {
            "key": key,
            "index": index,
            "state": "running",
            "decisions": json.dumps(decisions, sort_keys=True),
            "blueprint": blueprint.to_json(),
            "attempts": 1,
            "began_at": now(),
            **self._holder,
        }

        def make(tx: Transaction) -> bool:
            rows = tx.write(_LOCK, search=self._search).rows
            if not rows:
                return False  # the search was forgotten meanwhile
            if rows[0]["count"] != index:
                # The same transaction, tried again because nobody heard that it was committed?
                return bool(tx.read(_HELD_BY, key=key, worker=self._holder["worker"]))
            merge_nodes(tx, Label.CANDIDATE, [node])
            merge_edges(tx, RelType.IN_SEARCH, Label.CANDIDATE, Label.SEARCH, [{"start": key, "end": self._search}])
            merge_edges(tx, RelType.USES, Label.CANDIDATE, Label.REGION, uses(key, blueprint))
            tx.write(_UNTIL, key=key, worker=self._holder["worker"], duration=self._duration)
            return True

        return Claim(key, index, blueprint, 1) if self._store.execute(make) else None

    def take_over(self) -> Claim | None:
        """Claims a candidate that somebody has left behind, the earliest first; nothing if there is none."""
        holders = self._store.read(_HOLDERS, search=self._search, host=self._holder["host"])
        dead = [row["worker"] for row in holders if row["worker"] and not alive(row["pid"], row["started"])]
        asked = {"search": self._search, "dead": dead, "holder": self._holder, "duration": self._duration}
        rows = self._store.write(_FREE, **asked).rows
        if not rows:
            return None
        row = rows[0]
        return Claim(row["key"], row["index"], Blueprint.from_json(row["blueprint"]), row["attempts"])

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[threading.Event]:
        """Renews a claim as long as the block lasts; left by an error, the candidate is free at once.

        Yields:
            Set once the claim is lost.
        """
        ended, lost = threading.Event(), threading.Event()
        renewing = threading.Thread(target=self._renew, args=(claim, ended, lost), daemon=True, name="lease")
        renewing.start()
        try:
            yield lost
        except BaseException:
            ended.set()
            renewing.join()
            with suppress(StoreError):  # a store that is gone: the claim runs out by itself
                self._store.write(_RELEASE, key=claim.key, worker=self._holder["worker"])
            raise
        finally:
            ended.set()
            renewing.join()

    def check(self, tx: Transaction, claim: Claim) -> None:
        """Makes sure, in the transaction that writes a result, that the candidate is still this worker's.

        Raises:
            LostError: It is not.
        """
        rows = tx.write(_HELD, key=claim.key, worker=self._holder["worker"]).rows
        if not rows or not rows[0]["held"]:
            raise LostError(f"candidate {claim.key} was taken up by another worker, or forgotten, while this one slept")

    @property
    def _duration(self) -> int:
        return int(self._lease * 1000)

    def _renew(self, claim: Claim, ended: threading.Event, lost: threading.Event) -> None:
        while not ended.wait(self._lease / _RENEWALS):
            told = {"key": claim.key, "worker": self._holder["worker"], "duration": self._duration, "doing": self.doing}
            try:
                held = self._store.write(_RENEW, **told).rows[0]["held"]
            except StoreError:
                continue  # the server may come back in time; if not, `check` finds out
            if not held:
                lost.set()
                return
