"""ComplEx: complex vectors; a fact scores Re⟨head, relation, conjugate of tail⟩.

Each relation has a second vector for its inverse, so that both directions are asked as tails. See Trouillon et al.,
*Complex Embeddings for Simple Link Prediction* (2016), and Lacroix et al., *Canonical Tensor Decomposition for
Knowledge Base Completion* (2018).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from cortigraph.reasoning.reasoners.base import Scores
from cortigraph.reasoning.reasoners.embedding.closed import Closed, Vectors
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["ComplEx", "product"]

_TILE = 64


class ComplEx(Closed):
    """Scores by a product of complex vectors, which lie as real parts and then imaginary parts.

    Args:
        names: Of what there are vectors.
        entity: (entities, 2 · rank).
        relation: (2 · relations, 2 · rank), those of the inverses last.
    """

    name: ClassVar[str] = "complex"

    def _asked(self, heads: Rows, relations: Rows) -> Vectors:
        return product(self.entity[heads], self.relation[relations])

    def _score(self, asked: Vectors, table: Vectors) -> Scores:
        # Whole tiles only: else the last bits of a score would depend on how many others are asked with it.
        padded = np.zeros((-(-max(1, len(asked)) // _TILE) * _TILE, asked.shape[1]), dtype=np.float32)
        padded[: len(asked)] = asked
        scores: Scores = padded @ table.T
        return scores[: len(asked)]


def product(left: Vectors, right: Vectors) -> Vectors:
    """The products of complex numbers, number by number.

    Args:
        left: (any, 2 · rank).
        right: The same.

    Example:
        >>> product(np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32)).tolist()
        [[-5.0, 10.0]]
    """
    rank = left.shape[1] // 2
    (a, b), (c, d) = (left[:, :rank], left[:, rank:]), (right[:, :rank], right[:, rank:])
    out = np.empty(left.shape, dtype=np.float32)
    np.subtract(a * c, b * d, out=out[:, :rank])
    np.add(a * d, b * c, out=out[:, rank:])
    return out
