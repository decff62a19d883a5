"""RotatE and TransE: a relation moves its head, and the nearer an entity lies to where that leads, the likelier it is.

See Sun et al., *RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space* (2019), and Bordes et al.,
*Translating Embeddings for Modeling Multi-relational Data* (2013).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from cortigraph.reasoning.reasoners.base import Scores
from cortigraph.reasoning.reasoners.embedding.closed import Closed, Vectors
from cortigraph.reasoning.reasoners.embedding.complex import product
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.threads import compiled

__all__ = ["Distance", "RotatE", "TransE"]


class Distance(Closed):
    """Scores by minus a distance. A relation's inverse moves the other way: there is one vector for both.

    Attributes:
        pairs: Whether vectors are complex: real parts and then imaginary parts.
    """

    pairs: ClassVar[bool]

    @abstractmethod
    def move(self, heads: Vectors, moves: Vectors) -> Vectors:
        """Where heads are led.

        Args:
            heads: (queries, width).
            moves: Of the relations asked, already turned for inverses: (queries, any).
        """

    @abstractmethod
    def slopes(self, moves: Vectors, asked: Vectors, to_asked: Vectors) -> tuple[Vectors, Vectors]:
        """Gradients of heads and of moves.

        Args:
            moves: As they were given to `move`.
            asked: What it returned.
            to_asked: The gradient of that.
        """

    def signed(self, relations: Rows) -> tuple[Rows, Vectors]:
        """Which vector of ours each relation has, and 1 or, for an inverse, -1: (queries), (queries, 1)."""
        count = len(self.relation)
        return relations % count, np.where(relations < count, 1, -1).astype(np.float32)[:, None]

    def _asked(self, heads: Rows, relations: Rows) -> Vectors:
        rows, signs = self.signed(relations)
        return self.move(self.entity[heads], signs * self.relation[rows])

    def _score(self, asked: Vectors, table: Vectors) -> Scores:
        out = np.empty((len(asked), len(table)), dtype=np.float32)
        compiled("cortigraph.reasoning.reasoners.embedding._distance_steps").distances(asked, table, self.pairs, out)
        return np.negative(out, out=out)


class RotatE(Distance):
    """A relation turns each complex number by an angle of its own; distances are sums of absolute values.

    Args:
        names: Of what there are vectors.
        entity: (entities, 2 · rank).
        relation: Angles, (relations, rank).
    """

    name: ClassVar[str] = "rotate"
    pairs: ClassVar[bool] = True

    def move(self, heads: Vectors, moves: Vectors) -> Vectors:
        return product(heads, np.concatenate([np.cos(moves), np.sin(moves)], axis=1))

    def slopes(self, moves: Vectors, asked: Vectors, to_asked: Vectors) -> tuple[Vectors, Vectors]:
        rank = moves.shape[1]
        real, imaginary = asked[:, :rank], asked[:, rank:]
        # To turn a bit further moves at a right angle; what reaches the head is turned back.
        to_moves = to_asked[:, rank:] * real - to_asked[:, :rank] * imaginary
        return self.move(to_asked, -moves), to_moves


class TransE(Distance):
    """A relation adds its vector; distances are sums of absolute differences.

    Args:
        names: Of what there are vectors.
        entity: (entities, rank).
        relation: (relations, rank).
    """

    name: ClassVar[str] = "transe"
    pairs: ClassVar[bool] = False

    def move(self, heads: Vectors, moves: Vectors) -> Vectors:
        return heads + moves

    def slopes(self, moves: Vectors, asked: Vectors, to_asked: Vectors) -> tuple[Vectors, Vectors]:
        return to_asked, to_asked
