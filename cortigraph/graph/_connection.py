"""The connections of one store: made, cut when who uses them is stopped, and made anew when the embedded server was."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cortigraph.graph import _driver, server
from cortigraph.graph.errors import InputError, StoreError
from cortigraph.graph.home import Home

if TYPE_CHECKING:
    import neo4j

__all__ = ["Connection"]


class Connection:
    """Sessions with the server of a store.

    Args:
        address: Where it is; the port of an embedded one changes when it is started anew.
        home: Whose embedded server; None for a remote one.
        database: Of a remote server.
    """

    def __init__(self, address: server.Address, home: Home | None, database: str | None) -> None:
        self.address = address
        self.database = database
        self._home = home
        self._driver = self.driver()
        self._changing = threading.Lock()
        self._closed = False

    def driver(self) -> neo4j.Driver:
        """A driver that nobody else uses."""
        return _driver.connect(self.address, embedded=self._home is not None)

    @contextlib.contextmanager
    def session(self, *, write: bool) -> Iterator[neo4j.Session]:
        """A session. Whoever is stopped in it (Ctrl-C) has all connections cut.

        Ended in order, each would wait until the server is done with what nobody wants any more; and the server ends
        what it does for a client that is gone.

        Args:
            write: Whether it may change the store.

        Yields:
            The driver's session; its errors become ours.
        """
        mode = "WRITE" if write else "READ"
        session = self._driver.session(database=self.database, default_access_mode=mode)
        with self.translated(), session:
            try:
                yield session
            except Exception:
                raise
            except BaseException:
                self._connect(self.address)
                raise

    @contextlib.contextmanager
    def translated(self, *, within: bool = False) -> Iterator[None]:
        """Turn the driver's errors into ours; of a wrong password, with what mends it.

        Args:
            within: What may be tried again passes as it is.
        """
        try:
            with _driver.translated(self.address.uri, within=within):
                yield
        except _driver.RefusedError as error:
            raise error if self._home is None else StoreError(server.other_password(self._home)) from error

    def uncut(self) -> Callable[[], None]:
        """A check for work that the driver tries again: after a cut it would do so for long, and in vain."""
        driver = self._driver

        def check() -> None:
            if self._driver is not driver:
                raise _driver.UnreachableError(f"the connection to {self.address.uri} was cut")

        return check

    def revive(self) -> None:
        """If the embedded server is gone, start it and connect anew; a glance at the process table costs 0.1 ms."""
        self.refuse_if_closed()
        if self._home is None:
            return
        with self._changing:  # threads that find the server gone at the same time connect anew once
            address = server.ensure(self._home)
            if address != self.address:
                self._connect(address)

    def restart(self) -> None:
        """Start the embedded server anew, unless somebody has, and connect to it."""
        assert self._home is not None
        with self._changing:
            self._connect(server.restart(self._home, self.address))

    def close(self) -> None:
        """Close the connections for good."""
        self._closed = True
        self._driver.close()

    def refuse_if_closed(self) -> None:
        """Say so, rather than what the driver says, to who goes on with a store that was closed.

        Raises:
            InputError: It is closed.
        """
        if self._closed:
            raise InputError("this memory was closed; open it again with cortigraph.open()")

    def _connect(self, address: server.Address) -> None:
        self._driver.close()
        self.address = address
        self._driver = self.driver()
