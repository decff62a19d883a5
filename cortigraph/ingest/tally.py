"""A transaction that adds up what the server says it has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from cortigraph.graph.store import Rows, Transaction, Written

__all__ = ["Tally"]

_T = TypeVar("_T")


class Tally(Transaction):
    """Passes everything on to a transaction and keeps the server's counters.

    Args:
        transaction: An open one.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.counters: Counter[str] = Counter()

    def read(self, query: str, /, **parameters: Any) -> Rows:
        """As the transaction's."""
        return self._transaction.read(query, **parameters)

    def write(self, query: str, /, **parameters: Any) -> Written:
        """As the transaction's; what it changed is added up."""
        written = self._transaction.write(query, **parameters)
        self.counters.update({name: int(count) for name, count in written.counters.items()})
        return written

    def columns(self, query: str, /, **parameters: Any) -> dict[str, list[Any]]:
        """As the transaction's."""
        return self._transaction.columns(query, **parameters)

    def execute(self, work: Callable[[Transaction], _T]) -> _T:
        """Runs `work` in this transaction."""
        return work(self)
