"""What is read of an open memory: rows of queries, hits of a search, the graph as columns, for PyG and for NetworkX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortigraph.graph.home import Home
from cortigraph.graph.store import Store

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    import pyarrow as pa
    from torch_geometric.data import FeatureStore, GraphStore, HeteroData

    from cortigraph.graph.find import Hit
    from cortigraph.graph.snapshot import Snapshot

__all__ = ["Reading"]


class Reading:
    """An open memory, as far as it is only read.

    Args:
        store: The graph.
        home: Where weights, decoded data and jobs under way lie.
    """

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self.home = home

    @property
    def store(self) -> Store:
        """The graph; an error once this brain is closed, whatever is asked of it."""
        self._store.refuse_if_closed()
        return self._store

    def cypher(
        self, query: str, *, write: bool = False, timeout: float | None = None, **parameters: Any
    ) -> list[dict[str, Any]]:
        """Rows of a query.

        Args:
            query: Cypher; what it names with `$` is given as `parameters`.
            write: Whether it may change the graph; the server refuses one that would, otherwise.
            timeout: Seconds after which it is ended, on the server too.

        Raises:
            QueryError: The server refuses it.
            TimedOutError: It took too long.
        """
        if timeout is not None:
            with self.store.stream(query, parameters, write=write, timeout=timeout) as rows:
                return list(rows)
        return self.store.write(query, **parameters).rows if write else self.store.read(query, **parameters)

    def pandas(self, query: str, **parameters: Any) -> pd.DataFrame:
        """The rows of a query that only reads, as a pandas table."""
        from cortigraph.graph.export import to_pandas

        return to_pandas(self.store, query, **parameters)

    def arrow(self, query: str, **parameters: Any) -> pa.Table:
        """The rows of a query that only reads, as an Arrow table."""
        from cortigraph.graph.export import to_arrow

        return to_arrow(self.store, query, **parameters)

    def find(self, text: str, *, top: int = 10, labels: Sequence[str] | None = None) -> list[Hit]:
        """What a text is about: regions, data sets, scenes, entities and pathways, by words and by meaning.

        Args:
            text: Whatever a user types.
            top: How many.
            labels: Look among these only: kinds, or labels that users gave to entities.
        """
        from cortigraph.regions.search import find_text

        return find_text(self.store, text, top, labels)

    def snapshot(self, *, labels: Sequence[str] | None = None, types: Sequence[str] | None = None) -> Snapshot:
        """The graph as columns, mapped into memory; read once for each version of the store.

        Args:
            labels: Only nodes of these, and by these: kinds, or labels that users gave; else all, by kind.
            types: Only relationships of these types.

        Raises:
            UnknownKeyError: No node has such a label; names those near.
        """
        from cortigraph.graph.snapshot import snapshot

        return snapshot(self.store, self.home, labels=labels, types=types)

    def to_pyg(self, *, labels: Sequence[str] | None = None, types: Sequence[str] | None = None) -> HeteroData:
        """The graph as a PyG `HeteroData`, with the keys of its nodes; each label that users gave is a node type.

        Args:
            labels: Only nodes of these, and by these; `["Entity"]` has all entities in one type.
            types: Only relationships of these types.
        """
        from cortigraph.graph.pyg import to_pyg

        return to_pyg(self._by_label(labels, types))

    def pyg_stores(
        self, *, labels: Sequence[str] | None = None, types: Sequence[str] | None = None
    ) -> tuple[FeatureStore, GraphStore]:
        """The graph as a PyG feature store and graph store, from which a `NeighborLoader` samples."""
        from cortigraph.graph.pyg import pyg_stores

        return pyg_stores(self._by_label(labels, types))

    def to_networkx(
        self, *, labels: Sequence[str] | None = None, types: Sequence[str] | None = None
    ) -> nx.MultiDiGraph:
        """The graph as a NetworkX graph; a node's `label` is the first that users gave it, else its kind."""
        from cortigraph.graph.export import to_networkx

        return to_networkx(self._by_label(labels, types))

    def close(self) -> None:
        """Closes the connection; an embedded server goes on until it is idle."""
        self._store.close()

    def _by_label(self, labels: Sequence[str] | None, types: Sequence[str] | None) -> Snapshot:
        from cortigraph.graph.snapshot import snapshot

        return snapshot(self.store, self.home, labels=labels, types=types, each=True)
