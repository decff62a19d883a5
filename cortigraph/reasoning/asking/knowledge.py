"""Knowledge: the store's graph as facts, and where each of them comes from.

Entities are named by their keys. Nodes of other labels are named `Label:key`, so that one key never means two things,
whatever part of the graph is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph._names import check_labels, check_types
from cortigraph.graph.errors import InputError
from cortigraph.graph.keys import Keys
from cortigraph.graph.schema import Label
from cortigraph.graph.snapshot import Snapshot, snapshot
from cortigraph.reasoning.asking.selection import Selection
from cortigraph.reasoning.asking.shelf import AREA
from cortigraph.reasoning.reasoners.evaluate import Known
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from cortigraph.graph.home import Home
    from cortigraph.graph.jars import Progress
    from cortigraph.graph.snapshot import EdgeColumns
    from cortigraph.graph.store import Store

__all__ = ["Knowledge", "check", "know", "node_name"]

# What serves the books of the memory itself is nothing to learn from. What joins these nodes is known by its ends: a
# relationship between two entities is a fact, whatever it is called.
_LEDGER = {Label.BATCH, Label.SOURCE, Label.LEASE, Label.MIGRATION, Label.RELATION}
_BATCHES = "MATCH (b:Batch&!Entity) WHERE b.number IS NOT NULL RETURN b.number AS number, b.key AS key"


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The facts of one version of the store.

    Args:
        version: Of the store.
        selection: What part of it.
        facts: Over all nodes of that part, whether a fact names them or not.
    """

    version: str
    selection: Selection
    facts: Facts
    _batch_keys: Mapping[int, str] = field(repr=False)
    _snapshot: Snapshot = field(repr=False)
    _edges: Sequence[EdgeColumns] = field(repr=False)
    _codes: Rows = field(repr=False)  # of all relationships, sorted
    _order: Rows = field(repr=False)  # where each of them stands in the snapshot
    _labels: Sequence[str] = field(repr=False)
    _owner: Rows = field(repr=False)  # number of each entity's label
    _place: Rows = field(repr=False)  # its row among the nodes of that label

    @property
    def kinds(self) -> frozenset[str]:
        """What kinds of nodes there are."""
        return frozenset(self._labels)

    @property
    def kind(self) -> Rows:
        """The number of each entity's label."""
        return self._owner

    def node(self, row: int) -> tuple[str, str]:
        """Label and key of an entity.

        Args:
            row: Of the facts' entities.
        """
        label = self._labels[self._owner[row]]
        return label, str(self._snapshot.nodes[label].keys[int(self._place[row])])

    def called(self, row: int) -> str:
        """What an entity is called: its name, else its key.

        Args:
            row: Of the facts' entities.
        """
        nodes, place = self._snapshot.nodes[self._labels[self._owner[row]]], int(self._place[row])
        name = nodes.properties["name"][place].as_py() if "name" in nodes.properties.column_names else None
        return str(name) if name else str(nodes.keys[place])

    @cached_property
    def known(self) -> Known:
        """The answers that the graph holds."""
        return Known(self.facts.triples, len(self.facts.relations))

    def batches(self, triples: Rows) -> list[tuple[str, ...]]:
        """The keys of the batches that asserted facts; none for a fact that no batch brought, or that is not there.

        Args:
            triples: (any, 3).
        """
        codes = _codes(triples, self.facts)
        low, high = (np.searchsorted(self._codes, codes, side=side) for side in ("left", "right"))
        return [self._told(self._order[first:last]) for first, last in zip(low, high, strict=True)]

    def _told(self, places: Rows) -> tuple[str, ...]:
        """Of parallel relationships, all."""
        ends = np.cumsum([edges.count for edges in self._edges])
        found: set[int] = set()
        for place in places.tolist():
            group = int(np.searchsorted(ends, place, side="right"))
            properties = self._edges[group].properties
            if properties is not None and "batches" in properties.column_names:
                found |= set(properties["batches"][place - int(ends[group] - self._edges[group].count)].as_py() or ())
        return tuple(self._batch_keys[number] for number in sorted(found) if number in self._batch_keys)


def know(store: Store, home: Home, selection: Selection | None = None, progress: Progress | None = None) -> Knowledge:
    """The graph as it is now; read from the server once for each version of the store.

    Args:
        store: What to read.
        home: In whose cache snapshots lie.
        selection: What part of the graph; names that nothing has any more are passed over.
        progress: Told how much is read, of how much, and of what.

    Raises:
        InputError: Two nodes would have one name.
        StoreError: The store can't be read.
    """
    selection = selection or Selection()
    graph = snapshot(
        store, home, labels=selection.labels, types=selection.types, each=False, lenient=True, progress=progress
    )
    return _knowledge(graph, selection, {int(row["number"]): str(row["key"]) for row in store.read(_BATCHES)})


def check(store: Store, selection: Selection) -> Selection:
    """A part of the graph that a user has just named.

    Args:
        store: Whose.
        selection: Which part.

    Raises:
        UnknownKeyError: Nothing has such a label or type; names those near.
    """
    check_labels(store, selection.labels or ())
    check_types(store, selection.types or ())
    return selection


def node_name(label: str, key: str) -> str:
    """How a reasoner calls a node.

    Example:
        >>> node_name("Entity", "disease:1"), node_name("Region", "vision.recognition/001")
        ('disease:1', 'Region:vision.recognition/001')
    """
    return key if label == Label.ENTITY else f"{label}:{key}"


def _knowledge(graph: Snapshot, selection: Selection, batch_keys: Mapping[int, str]) -> Knowledge:
    labels = [label for label in graph.nodes if selection.labels is not None or label not in _LEDGER]
    edges = [columns for (start, _, end), columns in graph.edges.items() if start in labels and end in labels]
    entities, ranks, (owner, place) = _entities(graph, labels)
    edges = [columns for columns in edges if (_ends(columns, ranks) >= 0).all(axis=0).any()]
    relations = tuple(sorted({columns.edge_type[1] for columns in edges}))
    parts = [_triples(columns, ranks, relations) for columns in edges]
    triples = np.concatenate(parts) if parts else np.zeros((0, 3), dtype=np.int64)
    there = np.flatnonzero((triples >= 0).all(axis=1))
    facts = Facts(entities, relations, triples[:0])
    codes = _codes(triples[there], facts)
    order = np.argsort(codes, kind="stable")
    codes, order = codes[order], there[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    facts = Facts(entities, relations, np.ascontiguousarray(triples[order[first]]))
    return Knowledge(graph.version, selection, facts, batch_keys, graph, edges, codes, order, labels, owner, place)


def _entities(graph: Snapshot, labels: Sequence[str]) -> tuple[Keys, dict[str, Rows], tuple[Rows, Rows]]:
    """All names, sorted; for each label the rows of its nodes; for each name its label's number and its place there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_names(graph.nodes[label].keys, label) for label in labels]
    whole = pa.chunked_array(columns, pa.string()).combine_chunks() if columns else pa.array([], pa.string())
    order = np.asarray(pc.sort_indices(whole).to_numpy(zero_copy_only=False), dtype=np.int64)
    # Reasoners are regions, too, and none should reason about itself.
    own = pc.or_(*(pc.starts_with(whole, f"{label}:{AREA}") for label in (Label.AREA, Label.REGION)))
    order = order[~np.asarray(own.to_numpy(zero_copy_only=False), dtype=bool)[order]]
    names = whole.take(pa.array(order))
    if len(names) > 1:
        same = pc.equal(names[1:], names[:-1])
        if pc.any(same).as_py():
            twice = names.filter(pa.chunked_array([pa.array([False]), same]).combine_chunks())[0].as_py()
            raise InputError(f"two nodes would be called {twice!r}; choose labels, or give one of them another key")
    rank = np.full(len(whole), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    lengths = [len(column) for column in columns]
    ends = np.cumsum(lengths, dtype=np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(whole)) - np.repeat(ends - lengths, lengths)
    ranks = {label: rank[end - count : end] for label, count, end in zip(labels, lengths, ends, strict=True)}
    return Keys(names, "entity"), ranks, (owner[order], place[order])


def _names(keys: Keys, label: str) -> pa.Array:
    import pyarrow.compute as pc

    return keys.whole() if label == Label.ENTITY else pc.binary_join_element_wise(f"{label}:", keys.whole(), "")


def _ends(columns: EdgeColumns, ranks: Mapping[str, Rows]) -> Rows:
    """Rows of heads and tails: (2, relationships); -1 for a node that is left out."""
    start, _, end = columns.edge_type
    return np.stack([ranks[start][columns.index[0]], ranks[end][columns.index[1]]])


def _triples(columns: EdgeColumns, ranks: Mapping[str, Rows], relations: Sequence[str]) -> Rows:
    heads, tails = _ends(columns, ranks)
    return np.stack([heads, np.full(columns.count, relations.index(columns.edge_type[1])), tails], axis=1)


def _codes(triples: Rows, facts: Facts) -> Rows:
    """One number for a fact; the order of these is that of the triples."""
    heads, kinds, tails = triples.T
    return np.asarray((heads * len(facts.relations) + kinds) * len(facts.entities) + tails, dtype=np.int64)
