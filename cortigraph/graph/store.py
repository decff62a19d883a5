"""The one seam between cortigraph and Neo4j: everything above builds on `read`, `write`, `columns` and `transaction`.

The same code serves the embedded server of a home and a remote one by URI. What may fail for a moment (a dead-lock, a
leader that moves, a lost connection) is retried by the driver's managed transactions; if the embedded server itself
was killed, the next call starts it again and goes on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cortigraph.graph import _driver, cypher, schema, server
from cortigraph.graph._connection import Connection
from cortigraph.graph._stream import Asked, Stream, streamed
from cortigraph.graph.errors import InputError, QueryError, StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.jars import Progress
from cortigraph.graph.transaction import Rows, Transaction, Written
from cortigraph.graph.variables import read_variables

if TYPE_CHECKING:
    import neo4j

__all__ = ["Rows", "Store", "Stream", "Transaction", "Written", "open_store"]

T = TypeVar("T")


class Store:
    """An open store. Made by `open_store`; close it, or use it in a `with`.

    Example:
        >>> with open_store() as store:  # doctest: +SKIP
        ...     store.read("RETURN $x AS x", x=1)
        [{'x': 1}]
    """

    def __init__(
        self,
        address: server.Address,
        *,
        home: Home | None = None,
        database: str | None = None,
        read_only: bool = False,
    ) -> None:
        self.home = home
        self.read_only = read_only
        self._connection = Connection(address, home, database)
        self._known_names: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        where = f"home={str(self.home.root)!r}" if self.home else f"uri={self.uri!r}"
        return f"Store({where}{', read_only=True' if self.read_only else ''})"

    @property
    def uri(self) -> str:
        """Where the server listens; the port of an embedded one changes when it is started anew."""
        return self._connection.address.uri

    def read(self, query: str, /, **parameters: Any) -> Rows:
        """Rows of a query that changes nothing; the server refuses one that would.

        Args:
            query: Cypher.
            parameters: The values that it names with `$`.

        Returns:
            One dict per row.

        Raises:
            QueryError: The server refuses it.
            StoreError: The store can't be reached.
        """
        return self._run(lambda transaction: transaction.read(query, **parameters), write=False)

    def columns(self, query: str, /, **parameters: Any) -> dict[str, list[Any]]:
        """The rows of a query as one list per column: the fast way to read many.

        Args:
            query: Cypher that changes nothing.
            parameters: The values that it names with `$`.

        Returns:
            A list per returned name, all equally long, in the order of the rows.

        Raises:
            QueryError: The server refuses it.
            StoreError: The store can't be reached.

        Example:
            >>> store.columns("UNWIND [1, 2] AS x RETURN x, x * x AS y")  # doctest: +SKIP
            {'x': [1, 2], 'y': [1, 4]}
        """
        with contextlib.suppress(QueryError, StoreError):
            names = self._names(query, parameters)
            rows = self.read(cypher.collected(query, names), **parameters)[0]["rows"]
            return _driver.transpose(names, rows)
        # Not every query can stand inside another, and not every result fits the server's memory: row by row, then.
        return self._run(lambda transaction: transaction.columns(query, **parameters), write=False)

    def write(self, query: str, /, **parameters: Any) -> Written:
        """Run a query that changes the store, in a transaction of its own.

        Args:
            query: Cypher.
            parameters: The values that it names with `$`.

        Returns:
            Its rows and the server's counters.

        Raises:
            InputError: The store was opened read-only.
            QueryError: The server refuses it.
            StoreError: The store can't be reached.
        """
        return self.execute(lambda transaction: transaction.write(query, **parameters))

    def execute(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one write transaction, again from the start if it fails for a passing reason.

        Args:
            work: Gets the transaction; may be called more than once, so it should merge and not create.

        Returns:
            What `work` returns.
        """
        self._refuse_if_read_only()
        return self._run(work, write=True)

    @contextlib.contextmanager
    def stream(
        self,
        query: str,
        parameters: Mapping[str, Any] = MappingProxyType({}),
        *,
        write: bool = False,
        timeout: float | None = None,
    ) -> Iterator[Stream]:
        """Rows of a query as they come, however many there are. Whoever leaves the block early ends the query.

        Args:
            query: Cypher.
            parameters: The values that it names with `$`.
            write: Whether it may change the store; committed once the stream is read to its end, or `finish`ed.
            timeout: Seconds after which the query is ended, on the server too.

        Yields:
            The rows as dicts; `names` before them; `counters` and `plan` (of EXPLAIN and PROFILE) after the last one.

        Raises:
            InputError: The store was opened read-only, or the time is no time.
            QueryError: The server refuses it.
            TimedOutError: It took too long.
            StoreError: The store can't be reached.

        Example:
            >>> with store.stream("UNWIND range(1, 1000000) AS x RETURN x") as rows:  # doctest: +SKIP
            ...     next(iter(rows))
            {'x': 1}
        """
        if write:
            self._refuse_if_read_only()
        asked = Asked(query, parameters, write, timeout)
        self._connection.revive()
        with streamed(self._connection, asked, read_only=self.read_only) as rows:
            yield rows

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction over several calls: committed at the end, rolled back if anything is raised inside.

        It can't be retried by itself; where that matters, pass a function to `execute`.

        Yields:
            The transaction.
        """
        self._connection.revive()
        with self._connection.session(write=not self.read_only) as session:
            inner = session.begin_transaction()
            try:
                yield Transaction(inner, read_only=self.read_only)
                inner.commit()
            except Exception:  # of who is stopped, the session has all connections cut
                inner.close()
                raise

    def version(self) -> str:
        """What the store holds, in a word: another after every change that was committed, the same as long as none was.

        Reads, a server that is started anew and indexes that are being built don't change it.

        Returns:
            The store's identity and its last transaction, in a form that means nothing else.

        Raises:
            StoreError: The store can't be reached.

        Example:
            >>> before = store.version()  # doctest: +SKIP
            >>> store.read("MATCH (n) RETURN count(n)"), store.version() == before  # doctest: +SKIP
            ([{'count(n)': 0}], True)
        """
        self._connection.revive()
        with self._connection.session(write=False) as session:
            # A transaction that changes nothing ends with the bookmark of the last one that did.
            identity = session.execute_read(lambda inner: Transaction(inner).read(cypher.STORE_ID))[0]["id"]
            return ":".join([identity, *sorted(session.last_bookmarks().raw_values)])

    def surroundings(self) -> dict[str, str]:
        """Environment variables with which another process on this machine opens the same remote store.

        Returns:
            Nothing for an embedded one: its home is enough.
        """
        if self.home is not None:
            return {}
        address, database = self._connection.address, self._connection.database
        told = {"CORTIGRAPH_URI": address.uri, "CORTIGRAPH_USER": address.user, "CORTIGRAPH_PASSWORD": address.password}
        return told | ({"CORTIGRAPH_DATABASE": database} if database else {})

    def close(self) -> None:
        """Close the connections. The embedded server goes on, and stops by itself when nobody needs it."""
        self._connection.close()

    def refuse_if_closed(self) -> None:
        """Raise an `InputError` once it is closed."""
        self._connection.refuse_if_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _names(self, query: str, parameters: dict[str, Any]) -> list[str]:
        """What a query returns, asked of the server once per query text."""
        if query not in self._known_names:

            def explain(transaction: Transaction) -> list[str]:
                return list(transaction.columns(f"EXPLAIN {query}", **parameters))

            self._known_names[query] = self._run(explain, write=False)
        return self._known_names[query]

    def _run(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        self._connection.revive()
        asked = self._connection.address
        try:
            return self._attempt(work, write=write)
        except _driver.UnreachableError:
            self._connection.revive()
            if self._connection.address == asked:  # neither this thread nor another has found it at a new address
                raise
            return self._attempt(work, write=write)
        except StoreError as error:
            if self.home is not None and server.disk_is_full(self.home):
                raise StoreError(f"the disk is full, so the store can't be written: {error}") from error
            if self.home is None or "needs to be restarted" not in str(error):
                raise
            self._connection.restart()  # a disk that was full has left the database shut, although there is space again
            return self._attempt(work, write=write)

    def _attempt(self, work: Callable[[Transaction], T], *, write: bool) -> T:
        uncut = self._connection.uncut()

        def tried(inner: neo4j.ManagedTransaction) -> T:
            uncut()
            return work(Transaction(inner, read_only=self.read_only))

        with self._connection.session(write=write) as session:
            return session.execute_write(tried) if write else session.execute_read(tried)

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise InputError("the store was opened read-only; open it with read_only=False to write")


def open_store(
    home: Home | None = None,
    uri: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    database: str | None = None,
    read_only: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Open the embedded store of a home, or a remote one, with its schema up to date.

    Args:
        home: Whose embedded store; `Home.resolve()` if left out. A home that is given wins over `CORTIGRAPH_URI`.
        uri: A remote server instead, such as `neo4j+s://…`; else `CORTIGRAPH_URI`.
        user: For a remote server; else `CORTIGRAPH_USER`, else `neo4j`.
        password: For a remote server; else `CORTIGRAPH_PASSWORD`.
        database: A remote server's database; else `CORTIGRAPH_DATABASE`, else its default.
        read_only: Refuse every write, and migrate nothing.
        progress: Called while the server's jars are fetched on first use.

    Returns:
        The open store.

    Raises:
        SetupError: The embedded server can't be set up, or a password is missing.
        StoreError: It does not start or answer, or its schema is newer than this code.

    Example:
        >>> with open_store() as store:  # doctest: +SKIP
        ...     store.read("MATCH (r:Region) RETURN count(r) AS regions")
    """
    uri = uri or (None if home else os.environ.get("CORTIGRAPH_URI")) or None
    if uri:
        address = _driver.remote_address(uri, user, password)
        store = Store(address, database=database or os.environ.get("CORTIGRAPH_DATABASE"), read_only=read_only)
    else:
        home = home or Home.resolve()
        read_variables()  # a wrong one is told now, and not at the next start of the server
        store = Store(server.ensure(home, progress), home=home, read_only=read_only)
    try:
        if read_only:
            schema.recorded_version(store)
        else:
            with _one_at_a_time(store.home):
                schema.migrate(store)
    except BaseException:
        store.close()
        raise
    return store


@contextlib.contextmanager
def _one_at_a_time(home: Home | None) -> Iterator[None]:
    """Processes that open one home take turns at its schema; without turns they dead-lock, and try again for long."""
    if home is None:
        yield
        return
    from filelock import FileLock

    with FileLock(home.database / "migrating.lock"):
        yield
