"""Habits: what a graph says of its relations, so that who is likely to lack a fact is asked for it, and others are not.

Of each relation, in each direction: who is likely to have it (by what else is around it, and its label), how many
answers are usual, whether one is all there can be, and which others join the pairs that it joins. An **end** is a
relation in one direction: number `r` asks for tails, and `r + relations` for heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.calibration import Floats
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["Habits", "answers"]

LIKELY = 0.1  # who is less likely than this to have a relation at all is not asked for it
_FUNCTIONAL = 1.02  # mean number of answers up to which a relation is held to have one each
_ENOUGH = 5  # a relation told of fewer entities may well have more than one answer
_RIDGE = 1.0


@dataclass(frozen=True, eq=False)
class Habits:
    """What was learned of the relations of a graph.

    Args:
        usual: Mean number of answers of those that have any, by end: (2 × relations).
        single: Whether one answer is all that there is, by end.
        together: How often pairs joined by one end are joined by another: (2 × relations, 2 × relations).
        kinds: A label's number for each entity.
        weights: By which what is around an entity tells whether it has an end.
    """

    usual: Floats
    single: NDArray[np.bool_]
    together: Floats
    kinds: Rows
    weights: Floats

    @classmethod
    def of(cls, facts: Facts, kinds: Rows) -> Habits:
        """Learns them.

        Args:
            facts: Of which nothing is left out but what is to be found again.
            kinds: A label's number for each entity.
        """
        count = answers(facts)
        holders = np.diff(count.indptr)
        usual = np.asarray(count.sum(axis=0)).ravel() / np.maximum(holders, 1)
        around = _around(count, kinds)
        gram = np.asarray((around.T @ around).todense(), dtype=np.float64)
        inverted = np.linalg.inv(gram + _RIDGE * np.eye(len(gram)))
        # What all other columns say of one column: a regression of each on the others, from one inverse.
        weights = -inverted / np.diag(inverted)
        np.fill_diagonal(weights, 0.0)
        pairs, _ = _pairs(facts)
        together = np.asarray((pairs.T @ pairs).todense(), dtype=np.float64)
        single = (usual <= _FUNCTIONAL) & (holders >= _ENOUGH)
        return cls(usual, single, together, kinds, weights[:, : count.shape[1]])

    def questions(self, facts: Facts, ends: Rows, *, every: bool = False) -> Rows:
        """Who is asked for which end, those that lack it first.

        Args:
            facts: What is known.
            ends: Which of them.
            every: All entities are asked.

        Returns:
            (questions, 2): entity and end.
        """
        count = answers(facts)
        around, found, lacking = _around(count, self.kinds), [], []
        for end in ends.tolist():
            column = count[:, [end]]
            has = np.zeros(count.shape[0], dtype=bool)
            has[column.indices] = True
            likely = np.asarray(around @ self.weights[:, end]).ravel()
            asked = np.where(has, not self.single[end], likely >= LIKELY) | every
            order = np.flatnonzero(asked)
            found.append(np.stack([order, np.full(len(order), end)], axis=1))
            lacking.append(np.where(has[order], 2.0, -likely[order]))
        if not found:
            return np.zeros((0, 2), dtype=np.int64)
        return np.concatenate(found)[np.argsort(np.concatenate(lacking), kind="stable")]

    def features(self, facts: Facts, triples: Rows, backwards: NDArray[np.bool_]) -> Floats:
        """What speaks for and against candidates, besides what the reasoner says.

        Args:
            facts: What is known, without the candidates.
            triples: (candidates, 3).
            backwards: Which of them are surer when asked for the head.

        Returns:
            (candidates, 10): of the surer end and of the other whether it lacks an answer, how its number of answers
            differs from what is usual, and how many are usual; whether it is about itself; what joins the pair.
        """
        heads, kinds, tails = triples.T
        relations = len(facts.relations)
        count = answers(facts)
        sides = [(heads, kinds), (tails, kinds + relations)]
        columns = []
        for first, second in ((0, 1), (1, 0)):
            entity = np.where(backwards, sides[second][0], sides[first][0])
            end = np.where(backwards, sides[second][1], sides[first][1])
            known = np.asarray(count[entity, end]).ravel() if len(entity) else np.zeros(0)
            usual = self.usual[end]
            columns += [known == 0, np.log1p(known) - np.log1p(usual), np.log(np.maximum(usual, 1))]
        return np.stack([*columns, heads == tails, *self._joined(facts, triples)], axis=1).astype(np.float64)

    def _joined(self, facts: Facts, triples: Rows) -> tuple[Floats, Floats, Floats]:
        """Whether other relations join the pair, and what the one says that speaks most for it, and most against."""
        heads, kinds, tails = triples.T
        pairs, codes = _pairs(facts)
        wanted = heads * len(facts.entities) + tails
        place = np.minimum(np.searchsorted(codes, wanted), max(len(codes) - 1, 0))
        there = np.flatnonzero(codes[place] == wanted) if len(codes) else np.zeros(0, dtype=np.int64)
        some = pairs[place[there]]
        share = (self.together + 0.5) / (np.diag(self.together)[:, None] + 2.0)
        logits = np.log(share) - np.log1p(-np.minimum(share, 0.999))
        owner = np.repeat(there, np.diff(some.indptr))
        told = logits[some.indices, kinds[owner]]
        most, least = np.full(len(triples), -np.inf), np.full(len(triples), np.inf)
        np.maximum.at(most, owner, told)
        np.minimum.at(least, owner, told)
        joined = np.isfinite(most)
        return joined.astype(np.float64), np.where(joined, most, 0.0), np.where(joined, least, 0.0)


def answers(facts: Facts) -> sparse.csc_matrix:
    """How many known answers each entity has, by end: (entities, 2 × relations)."""
    from scipy import sparse

    both = np.concatenate([facts.triples, inverse(facts.triples, len(facts.relations))])
    shape = (len(facts.entities), 2 * len(facts.relations))
    return sparse.coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=shape).tocsc()


def _around(count: Any, kinds: Rows) -> Any:
    """What is around each entity, as yes and no: its ends, its label, and a one."""
    from scipy import sparse

    rows = np.arange(count.shape[0])
    labels = sparse.coo_matrix((np.ones(len(rows)), (rows, kinds)), shape=(len(rows), int(kinds.max(initial=0)) + 1))
    return sparse.hstack([count > 0, labels], format="csr").astype(np.float64)


def _pairs(facts: Facts) -> tuple[Any, Rows]:
    """Which ends join each pair of entities, and the pairs as sorted numbers."""
    from scipy import sparse

    both = np.concatenate([facts.triples, inverse(facts.triples, len(facts.relations))])
    codes, place = np.unique(both[:, 0] * len(facts.entities) + both[:, 2], return_inverse=True)
    shape = (len(codes), 2 * len(facts.relations))
    found = sparse.coo_matrix((np.ones(len(both)), (place, both[:, 1])), shape=shape).tocsr()
    found.data[:] = 1.0  # a fact about an entity itself is there both ways
    return found, codes
