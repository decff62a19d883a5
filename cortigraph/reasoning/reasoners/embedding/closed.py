"""The base of scorers of closed graphs: tables of vectors, and names that say whose they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.base import Limits, Reasoner, Scores, check_queries
from cortigraph.reasoning.reasoners.embedding.names import Names
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Closed", "Vectors"]

Vectors = NDArray[np.float32]


class Closed(Reasoner):
    """A scorer that knows the entities and relations that it was trained on, in whatever order facts list them.

    Args:
        names: Of what there are vectors.
        entity: (entities, any).
        relation: (relations, any).
    """

    inductive: ClassVar[bool] = False
    batch: ClassVar[int] = 512

    def __init__(self, names: Names, entity: Vectors, relation: Vectors) -> None:
        self.names = names
        self.entity, self.relation = np.ascontiguousarray(entity), np.ascontiguousarray(relation)
        self._tables: WeakKeyDictionary[Facts, Vectors] = WeakKeyDictionary()

    def score(self, facts: Facts, queries: Rows) -> Scores:
        queries = check_queries(facts, queries)
        rows = self.names.entity_rows(facts)
        relations = self.names.relation_rows(facts, queries[:, 1])
        return self._score(self._asked(rows[queries[:, 0]], relations), self._table(facts, rows))

    def limits(self) -> Limits:
        return Limits(self.names.relations, self.names.entities)

    def config(self) -> Mapping[str, Any]:
        return {"name": self.name, "relations": list(self.names.relations)}

    def state(self) -> Mapping[str, Tensor]:
        import torch

        tables = {"entity": torch.from_numpy(self.entity), "relation": torch.from_numpy(self.relation)}
        return {**tables, **self.names.state()}

    @classmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Self:
        return cls(Names.restore(config, state), state["entity"].numpy(), state["relation"].numpy())

    def take(self, other: Self) -> None:
        """Takes the vectors that another scorer of the same kind and rank has of what both know.

        Args:
            other: Trained before, perhaps on other facts.

        Raises:
            InputError: Its vectors have another length.
        """
        if other.entity.shape[1] != self.entity.shape[1]:
            raise InputError(f"vectors have {self.entity.shape[1]} numbers here, {other.entity.shape[1]} there")
        known = {key: row for row, key in enumerate(other.names.entities)}
        pairs = [(row, known[key]) for row, key in enumerate(self.names.entities) if key in known]
        _copy(self.entity, other.entity, pairs)
        count, there = len(self.names.relations), len(other.names.relations)
        numbers = {name: number for number, name in enumerate(other.names.relations)}
        pairs = [(row, numbers[name]) for row, name in enumerate(self.names.relations) if name in numbers]
        both = [(mine + count, its + there) for mine, its in pairs] if len(self.relation) > count else []
        _copy(self.relation, other.relation, pairs + both)

    @abstractmethod
    def _asked(self, heads: Rows, relations: Rows) -> Vectors:
        """The vector that an answer should have: (queries, width)."""

    @abstractmethod
    def _score(self, asked: Vectors, table: Vectors) -> Scores:
        """How near each entity of the table is to what is asked: (queries, entities)."""

    def _table(self, facts: Facts, rows: Rows) -> Vectors:
        """The vectors of the entities of facts; ours, uncopied, where they are the same."""
        if len(rows) == len(self.entity) and np.array_equal(rows, np.arange(len(rows))):
            return self.entity
        if facts not in self._tables:
            self._tables[facts] = self.entity[rows]
        return self._tables[facts]


def _copy(into: Vectors, source: Vectors, pairs: list[tuple[int, int]]) -> None:
    if pairs:
        rows, places = np.array(pairs).T
        into[rows] = source[places]
