"""Facts: triples over the keys of entities and the names of relations, as rows.

Each relation can be asked in both directions, so there are twice as many as there are names: `r` and, for the inverse,
`r + len(relations)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.keys import Keys
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Facts", "entity_keys", "inverse", "relation_names", "renumbered", "rows"]


@dataclass(frozen=True, eq=False)
class Facts:
    """A graph as a reasoner sees it.

    Args:
        entities: Their keys, sorted.
        relations: Their names, in the order of their numbers.
        triples: (facts, 3): rows of head, relation and tail; each once.
    """

    entities: Keys
    relations: tuple[str, ...]
    triples: Rows

    @classmethod
    def of(
        cls,
        table: pa.Table,
        entities: Keys | None = None,
        relations: Sequence[str] | None = None,
    ) -> Facts:
        """Facts from keys.

        Args:
            table: Columns `head`, `relation` and `tail`, all text.
            entities: All that there are; else those that the table names.
            relations: Their names by number; else those that the table names, sorted.

        Raises:
            UnknownKeyError: The table names something that is not among those given.

        Example:
            >>> import pyarrow as pa
            >>> facts = Facts.of(pa.table({"head": ["b"], "relation": ["likes"], "tail": ["a"]}))
            >>> list(facts.entities), facts.relations, facts.triples.tolist()
            (['a', 'b'], ('likes',), [[1, 0, 0]])
        """
        entities = entity_keys([table]) if entities is None else entities
        names = relation_names([table]) if relations is None else tuple(relations)
        return cls(entities, names, np.unique(rows(table, entities, names), axis=0))

    def __len__(self) -> int:
        return len(self.triples)

    @cached_property
    def edges(self) -> Structure:
        """The facts in both directions."""
        return Structure.of(
            np.concatenate([self.triples, inverse(self.triples, len(self.relations))]),
            nodes=len(self.entities),
            relations=2 * len(self.relations),
        )

    def relation(self, name: str) -> int:
        """The number of a relation; `inverse of NAME` asks it the other way round.

        Raises:
            UnknownKeyError: There is none of that name.
        """
        plain = name.removeprefix("inverse of ")
        if name in self.relations:
            return self.relations.index(name)
        if plain in self.relations:
            return self.relations.index(plain) + len(self.relations)
        raise UnknownKeyError("relation", name, self.relations)

    def named(self, relation: int) -> str:
        """What a relation is called.

        Example:
            >>> Facts(entity_keys([]), ("likes",), np.zeros((0, 3), np.int64)).named(1)
            'inverse of likes'
        """
        count = len(self.relations)
        return self.relations[relation] if relation < count else f"inverse of {self.relations[relation - count]}"


def inverse(triples: Rows, relations: int) -> Rows:
    """Triples the other way round.

    Args:
        triples: (any, 3): head, relation, tail.
        relations: How many there are in one direction.
    """
    heads, kinds, tails = triples.T
    return np.stack([tails, (kinds + relations) % (2 * relations), heads], axis=1)


def renumbered(relations: Sequence[str], own: Sequence[str]) -> Rows:
    """The numbers that relations have in another list, in both directions.

    Args:
        relations: Their names by number.
        own: The other list.

    Returns:
        (2 · relations); -1 for one that is not there.

    Example:
        >>> renumbered(["likes", "hates"], ["knows", "likes"]).tolist()
        [1, -1, 3, -1]
    """
    numbers = {name: number for number, name in enumerate(own)}
    found = np.array([numbers.get(name, -1) for name in relations], dtype=np.int64)
    return np.concatenate([found, np.where(found < 0, -1, found + len(own))])


def rows(table: pa.Table, entities: Keys, relations: Sequence[str]) -> Rows:
    """Triples of keys as triples of rows.

    Args:
        table: Columns `head`, `relation` and `tail`.
        entities: Among which heads and tails are.
        relations: Names by number.

    Returns:
        (rows of the table, 3).

    Raises:
        UnknownKeyError: A name is not among them.
    """
    if not len(table):
        return np.zeros((0, 3), dtype=np.int64)
    heads, tails = (entities.rows(table[name], where="") for name in ("head", "tail"))
    return np.stack([heads, _relation_numbers(table["relation"], relations), tails], axis=1)


def _relation_numbers(column: pa.ChunkedArray, relations: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(column, value_set=pa.array(relations, pa.string()))
    if found.null_count:
        raise UnknownKeyError("relation", column.filter(pc.is_null(found))[0].as_py(), relations)
    return np.asarray(found.to_numpy(), dtype=np.int64)


def entity_keys(tables: Sequence[pa.Table]) -> Keys:
    """The entities that tables name, sorted.

    Args:
        tables: Columns `head` and `tail`.
    """
    return Keys(_distinct(tables, ("head", "tail")), "entity")


def relation_names(tables: Sequence[pa.Table]) -> tuple[str, ...]:
    """The relations that tables name, sorted.

    Args:
        tables: Column `relation`.
    """
    return tuple(_distinct(tables, ("relation",)).to_pylist())


def _distinct(tables: Sequence[pa.Table], columns: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    chunks = [chunk for table in tables for name in columns for chunk in table[name].chunks]
    distinct = pa.chunked_array(chunks, pa.string()).unique() if chunks else pa.array([], pa.string())
    if distinct.null_count:
        raise InputError("a fact has no head, relation or tail; each needs all three")
    return distinct.take(pa.array(np.argsort(np.array(distinct.to_pylist(), dtype=object), kind="stable")))
