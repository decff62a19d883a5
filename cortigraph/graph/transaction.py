"""One open transaction, and what a write gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from cortigraph.graph import _driver
from cortigraph.graph.errors import QueryError

if TYPE_CHECKING:
    import neo4j

__all__ = ["Rows", "Transaction", "Written"]

T = TypeVar("T")
Rows = list[dict[str, Any]]

# What the server allows in read mode although it acts on others. Cypher reads \uxxxx before it looks for words.
_SUSPICIOUS = re.compile(r"terminate|\\u", re.IGNORECASE)
_ACTING = "TerminateTransactions"


@dataclass(frozen=True)
class Written:
    """What a write gave.

    Args:
        rows: What the query returned.
        counters: What the server says that it changed, such as `nodes_created`; only what is not zero.
    """

    rows: Rows
    counters: Mapping[str, int] = field(default_factory=dict)


class Transaction:
    """One open transaction: the same `read` and `write` as a store's, committed as a whole or not at all.

    Args:
        inner: The driver's.
        read_only: It belongs to a store that was opened read-only: even another's transaction can't be ended from here.
    """

    def __init__(self, inner: neo4j.Transaction | neo4j.ManagedTransaction, *, read_only: bool = False) -> None:
        self._inner = inner
        self._read_only = read_only

    def read(self, query: str, /, **parameters: Any) -> Rows:
        """Rows of a query, which sees what this transaction has written.

        Args:
            query: Cypher.
            parameters: The values that it names with `$`.

        Raises:
            QueryError: The server refuses it.
            StoreError: The store can't be reached.
        """
        with _driver.translated(within=True):
            return [dict(record) for record in self.sent(query, parameters)]

    def write(self, query: str, /, **parameters: Any) -> Written:
        """Run a query that changes the store.

        Args:
            query: Cypher.
            parameters: The values that it names with `$`.

        Returns:
            Its rows and the server's counters.

        Raises:
            QueryError: The server refuses it.
            StoreError: The store can't be reached.
        """
        with _driver.translated(within=True):
            result = self.sent(query, parameters)
            rows = [dict(record) for record in result]
            return Written(rows, _driver.counters(result.consume()))

    def columns(self, query: str, /, **parameters: Any) -> dict[str, list[Any]]:
        """The same rows as one list per column."""
        with _driver.translated(within=True):
            result = self.sent(query, parameters)
            return _driver.transpose(list(result.keys()), list(result))

    def execute(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in this transaction: so a function takes a store or an open transaction alike."""
        return work(self)

    def sent(self, query: str, parameters: Mapping[str, Any]) -> neo4j.Result:
        """The driver's result of a query, before anything of it was read; its errors are the driver's."""
        values = _driver.sendable(parameters)
        if self._read_only and _SUSPICIOUS.search(query):
            plan = self._inner.run(f"EXPLAIN {query}", values).consume().plan
            if _ACTING in str(plan):
                raise QueryError("the store was opened read-only; it can't end transactions")
        return self._inner.run(query, values)
