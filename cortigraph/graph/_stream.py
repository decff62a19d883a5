"""One query's rows as they come: nothing is collected, and nothing waits for the last of them.

A stream has a connection of its own. Whoever has seen enough, or is stopped, cuts it: an orderly end would wait until
the server has worked out the rest, and the server ends what it does for a client that is gone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cortigraph.graph import _driver
from cortigraph.graph._driver import TimedOutError
from cortigraph.graph.errors import CortigraphError, InputError, StoreError
from cortigraph.graph.transaction import Transaction

if TYPE_CHECKING:
    import neo4j

    from cortigraph.graph._connection import Connection

__all__ = ["Asked", "Stream", "streamed"]

PAUSES = (0.2, 0.4, 0.8, 1.6, None)  # seconds after each try
GRACE = 3.0  # seconds that a server may take to end a query whose time is over; then we leave


Told = Callable[..., contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Asked:
    """A query, and how it is asked.

    Args:
        query: Cypher.
        parameters: The values that it names with `$`.
        write: Whether it may change the store.
        timeout: Seconds after which it is ended.

    Raises:
        InputError: The time is no time.
    """

    query: str
    parameters: Mapping[str, Any]
    write: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0.001 <= self.timeout < 1e9:
            raise InputError(f"a query's timeout is a number of seconds above 0, got {self.timeout!r}")


class Stream:
    """The rows of a query, once; after the last of them, what the server says of it.

    Args:
        result: The driver's.
        commit: Called after the last row of a query that writes.
        told: Turns the driver's errors into ours.
    """

    def __init__(self, result: neo4j.Result, commit: Callable[[], None] | None, told: Told) -> None:
        self.names: tuple[str, ...] = tuple(result.keys())
        self.counters: dict[str, int] = {}
        self.plan: dict[str, Any] | None = None
        self._finished = False
        self._result, self._commit, self._told = result, commit, told

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row as a dict.

        Raises:
            StoreError: The server, or the query's time, came to an end before the last row.
        """
        records = iter(self._result)
        while True:
            try:
                record = next(records, None)
            except Exception as error:
                with self._told():
                    raise error
            if record is None:
                self.finish()
                return
            yield dict(record)

    def finish(self) -> None:
        """Have the server come to the end, whatever rows are left: what a query writes is committed."""
        if self._finished:
            return
        with self._told():
            summary = self._result.consume()
            if self._commit is not None:
                self._commit()
        self._finished = True
        self.counters = _driver.counters(summary)
        self.plan = summary.profile or summary.plan


@contextlib.contextmanager
def streamed(connection: Connection, asked: Asked, *, read_only: bool) -> Iterator[Stream]:
    """The rows of a query. Until the first has come, what fails for a passing reason is tried again.

    Args:
        connection: Of the store.
        asked: The query.
        read_only: The store was opened so.

    Yields:
        The stream; of a query that writes, nothing is committed unless it is read to the end, or finished.

    Raises:
        QueryError: The server refuses it.
        TimedOutError: It took too long.
        StoreError: The store can't be reached.
    """
    driver = connection.driver()
    over = threading.Event()
    told = partial(_told, connection, asked, over)
    sessions: list[neo4j.Session] = []
    try:
        with _cut_after(asked.timeout, driver, over):
            yield _begun(driver, connection.database, asked, told, over, sessions, read_only=read_only)
    finally:
        driver.close()  # before the sessions, which would wait
        for session in sessions:
            session.close()


def _begun(
    driver: neo4j.Driver,
    database: str | None,
    asked: Asked,
    told: Told,
    over: threading.Event,
    sessions: list[neo4j.Session],
    *,
    read_only: bool,
) -> Stream:
    """The stream, once its first row is there."""
    mode = "WRITE" if asked.write else "READ"
    for wait in PAUSES:
        sessions.append(driver.session(database=database, default_access_mode=mode))
        try:
            with told(within=wait is not None):
                transaction = sessions[-1].begin_transaction(timeout=asked.timeout)
                result = Transaction(transaction, read_only=read_only).sent(asked.query, asked.parameters)
                result.peek()
                return Stream(result, transaction.commit if asked.write else None, told)
        except CortigraphError:
            raise
        except Exception as error:
            if over.is_set():
                with told():
                    raise error
        sessions.pop().close()
        time.sleep(wait or 0)
    raise AssertionError("the last try gives or raises")


@contextlib.contextmanager
def _cut_after(seconds: float | None, driver: neo4j.Driver, over: threading.Event) -> Iterator[None]:
    """Leave a server that does not end a query in time: it looks at the clock between rows, and not within one."""

    def cut() -> None:
        over.set()
        driver.close()

    clock = threading.Timer((seconds or 0) + GRACE, cut)
    clock.daemon = True
    if seconds is not None:
        clock.start()
    try:
        yield
    finally:
        clock.cancel()


@contextlib.contextmanager
def _told(connection: Connection, asked: Asked, over: threading.Event, *, within: bool = False) -> Iterator[None]:
    """Turn the driver's errors into ours.

    Args:
        connection: Of the store.
        asked: The query.
        over: Whether its time was over, and we have left.
        within: What may be tried again passes as it is.

    Raises:
        TimedOutError: The query's time is over.
    """
    try:
        with connection.translated(within=within and not over.is_set()):
            yield
    except StoreError as error:
        if asked.timeout is None or not (over.is_set() or isinstance(error, TimedOutError)):
            raise
        took = f"the query took longer than {asked.timeout:g} s, and was ended"
        raise TimedOutError(f"{took}; give it more time (--timeout), or ask for less") from error
