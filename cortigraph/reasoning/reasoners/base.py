"""The base of all reasoners: one verb, which scores every entity as the answer of a batch of queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.errors import InputError
from cortigraph.graph.keys import Keys
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from torch import Tensor

    from cortigraph.reasoning.reasoners.facts import Facts

__all__ = ["EXCLUDED", "Limits", "Reasoner", "Scores", "check_queries"]

Scores = NDArray[np.float32]
EXCLUDED = -1e9  # a score that a softmax leaves out: far below any other, and yet a number


@dataclass(frozen=True)
class Limits:
    """What a reasoner knows.

    Args:
        relations: Names of relations; none stands for any.
        entities: Keys; none stands for any.
    """

    relations: tuple[str, ...] | None = None
    entities: Keys | None = None


class Reasoner(ABC):
    """Answers `(head, relation, ?)`.

    Attributes:
        name: By which users choose it.
        inductive: Whether it can answer over a graph, and about entities, that it was not trained on.
        batch: How many queries it best answers at a time.
    """

    name: ClassVar[str]
    inductive: ClassVar[bool]
    batch: ClassVar[int] = 64

    @abstractmethod
    def score(self, facts: Facts, queries: Rows) -> Scores:
        """Scores all entities for each query; the same whatever else is in the batch.

        Args:
            facts: What is known.
            queries: (queries, 2): rows of heads, and relations in both directions.

        Returns:
            (queries, entities); higher is likelier.

        Raises:
            InputError: The reasoner does not know these relations, or, if it is not inductive, these entities.
        """

    def on_device(self) -> AbstractContextManager[None]:
        """Has it answer where that goes fastest, for those who ask much: on a GPU, if it can and there is one.

        Raises:
            InputError: Inside, where the GPU's memory is too small.
        """
        return nullcontext()

    def limits(self) -> Limits:
        """What it can be asked about; most know the relations alone that they were trained on."""
        return Limits()

    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """Plain values from which it can be made again."""

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """What it has learned."""

    @classmethod
    @abstractmethod
    def restore(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Reasoner:
        """The reasoner that had this configuration and this state."""


def check_queries(facts: Facts, queries: Rows) -> Rows:
    """Queries of the right form.

    Args:
        facts: Whose rows they name.
        queries: (queries, 2).

    Raises:
        InputError: They have another form, or name rows that there are not.
    """
    queries = np.asarray(queries, dtype=np.int64)
    if queries.ndim != 2 or queries.shape[1] != 2:
        raise InputError(f"queries must be (queries, 2): head and relation, got {queries.shape}")
    limits = (len(facts.entities), 2 * len(facts.relations))
    for what, column, limit in zip(("head", "relation"), queries.T, limits, strict=True):
        if len(column) and (column.min() < 0 or column.max() >= limit):
            raise InputError(f"a {what} must be a row from 0 to {limit - 1}, got {column.min()} to {column.max()}")
    return queries
