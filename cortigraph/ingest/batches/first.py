"""First load: a large source into an empty store, through Neo4j's own import tool.

The graph is the same as if it had been written part by part; the batch comes in with its elements, done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.schema import Label, RelType
from cortigraph.ingest.batches.changes import Change
from cortigraph.ingest.elements import NodeKind

if TYPE_CHECKING:
    import pyarrow as pa

    from cortigraph.graph.bulk import Edges, Nodes
    from cortigraph.graph.store import Store
    from cortigraph.ingest.work import Batch
    from cortigraph.tables.base import Progress

__all__ = ["FirstLoad", "loads_first"]


# Below this the tool's own start takes longer than writing part by part.
LEAST_ELEMENTS = 500_000


def loads_first(store: Store, changes: Sequence[Change]) -> FirstLoad | None:
    """How changes go through the import tool, if they can and it is worth it.

    Args:
        store: Only read.
        changes: Everything that is to be written.
    """
    if store.home is None or sum(len(change.table) for change in changes) < LEAST_ELEMENTS:
        return None
    from cortigraph.graph import bulk

    if any(change.action != "create" for change in changes) or not bulk.is_empty(store):
        return None
    nodes, edges = _parts(changes)
    return FirstLoad(nodes, edges) if bulk.suits(nodes, edges) is None else None


@dataclass(frozen=True)
class FirstLoad:
    """Elements in the form of the tool.

    Args:
        nodes: By their labels.
        edges: By their types.
    """

    nodes: list[Nodes]
    edges: list[Edges]

    def load(
        self,
        store: Store,
        batch: Batch,
        number: int,
        totals: dict[str, int],
        progress: Progress,
        meanwhile: Callable[[], object],
    ) -> dict[str, int]:
        """Loads them, with their batch.

        Args:
            store: Embedded and empty.
            batch: Whose they are.
            number: Its number.
            totals: What the batch says of itself.
            progress: Told how far it is.
            meanwhile: Done while the tool works, and done before anybody sees what it has made.

        Returns:
            What the server says that it holds now.
        """
        import pyarrow as pa

        from cortigraph.graph import bulk

        told = {**batch.node(number, "done"), **totals}
        own = [bulk.Nodes((Label.BATCH,), _row(told)), bulk.Nodes((Label.SOURCE,), _row(batch.source()))]
        ends = pa.table({"start": [told["key"]], "end": [batch.source()["key"]]})
        origin = bulk.Edges(RelType.FROM, Label.BATCH, Label.SOURCE, ends)
        loaded = bulk.first_load(store, [*self.nodes, *own], [*self.edges, origin], progress, meanwhile)
        return {"nodes_created": loaded.nodes, "relationships_created": loaded.relationships}


def _parts(changes: Sequence[Change]) -> tuple[list[Nodes], list[Edges]]:
    from cortigraph.graph import bulk

    nodes: list[Nodes] = []
    edges: list[Edges] = []
    for change in changes:
        if isinstance(change.kind, NodeKind):
            for labels, table in _by_labels(change.kind, change.table):
                nodes.append(bulk.Nodes(labels, table))
        else:
            for kind, table in _by_type(change.table):
                edges.append(bulk.Edges(kind, change.kind.start, change.kind.end, table))
    return nodes, edges


def _by_labels(kind: NodeKind, table: pa.Table) -> list[tuple[tuple[str, ...], pa.Table]]:
    """The nodes, apart by their further labels."""
    import pyarrow as pa

    plain = _renamed(table, {":key": "key", ":batches": "batches"})
    if ":labels" not in table.column_names:
        return [((kind.label,), plain)]
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, labels in enumerate(table[":labels"].to_pylist()):
        rows.setdefault(tuple(sorted(set(labels or []) - {kind.label})), []).append(row)
    return [((kind.label, *labels), plain.take(pa.array(which))) for labels, which in rows.items()]


def _by_type(table: pa.Table) -> list[tuple[str, pa.Table]]:
    """The relationships, apart by their type, in the order in which they came."""
    import pyarrow as pa

    names = {":start": "start", ":end": "end", ":batches": "batches"}
    if table[":key"].null_count < len(table):
        names[":key"] = "key"
    plain = _renamed(table, names)
    kinds = table[":type"].combine_chunks().dictionary_encode()
    distinct, numbers = kinds.dictionary.to_pylist(), kinds.indices.to_numpy()
    if len(distinct) == 1:
        return [(distinct[0], plain)]
    ends = np.cumsum(np.bincount(numbers, minlength=len(distinct))).tolist()
    if (np.diff(numbers) < 0).any():
        plain = plain.take(pa.array(np.argsort(numbers, kind="stable")))
    return [
        (kind, plain.slice(start, end - start)) for kind, start, end in zip(distinct, [0, *ends], ends, strict=False)
    ]


def _renamed(table: pa.Table, names: dict[str, str]) -> pa.Table:
    kept = [name for name in table.column_names if name in names or not name.startswith(":")]
    return table.select(kept).rename_columns([names.get(name, name) for name in kept])


def _row(values: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: [value] for name, value in values.items()})
