"""Evaluation: filtered ranks of held-out facts, in both directions, ties against us.

Four traps are kept out: a constant scorer ranks last (ties are pessimistic); facts about entities that training never
saw count; fifty drawn negatives and full ranking are two protocols with two names; what is true besides the answer is
left out of the ranking, whether training, validation or test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.reasoning.reasoners.base import Reasoner, Scores
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Known", "Metrics", "evaluate", "ranks", "sampled_ranks"]

_BATCH = 64


@dataclass(frozen=True)
class Metrics:
    """How well answers are ranked.

    Args:
        ranks: Of the answers, from 1: (facts, 2), asked forwards and backwards.
    """

    ranks: Rows

    @property
    def mrr(self) -> float:
        """Mean of 1 / rank."""
        return float((1 / self.ranks).mean()) if self.ranks.size else float("nan")

    def hits(self, k: int) -> float:
        """Share of answers among the first k."""
        return float((self.ranks <= k).mean()) if self.ranks.size else float("nan")

    def to_json(self) -> dict[str, float]:
        """Plain values.

        Example:
            >>> Metrics(np.array([[1, 2]])).to_json()
            {'mrr': 0.75, 'hits@1': 0.5, 'hits@3': 1.0, 'hits@10': 1.0}
        """
        return {"mrr": self.mrr, **{f"hits@{k}": self.hits(k) for k in (1, 3, 10)}}


class Known:
    """What is known to be true of each query, to be left out of its ranking.

    Args:
        triples: All that is true, held out or not: (any, 3).
        relations: How many there are in one direction.
    """

    def __init__(self, triples: Rows, relations: int) -> None:
        both = np.unique(np.concatenate([triples, inverse(triples, relations)]), axis=0)
        self._relations = 2 * relations
        keys = both[:, 0] * self._relations + both[:, 1]
        order = np.argsort(keys, kind="stable")
        self._keys, self._tails = keys[order], np.ascontiguousarray(both[order, 2])

    def of(self, queries: Rows) -> tuple[Rows, Rows]:
        """The true answers of queries.

        Args:
            queries: (queries, 2).

        Returns:
            Where those of each query begin, (queries + 1), and the answers.
        """
        keys = queries[:, 0] * self._relations + queries[:, 1]
        low, high = (np.searchsorted(self._keys, keys, side=side) for side in ("left", "right"))
        first = np.concatenate([[0], np.cumsum(high - low)])
        inside = np.arange(first[-1]) - np.repeat(first[:-1], high - low)
        return first, self._tails[np.repeat(low, high - low) + inside]


def evaluate(
    reasoner: Reasoner,
    facts: Facts,
    held_out: Rows,
    known: Known | None = None,
    *,
    batch: int = _BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Ranks of held-out facts among all entities.

    Args:
        reasoner: Any.
        facts: What it may know.
        held_out: (any, 3).
        known: What is true; else `facts` and `held_out`.
        batch: Queries at a time; the ranks don't depend on it.
        progress: Told how many queries are done, of how many.
    """
    both = np.concatenate([held_out, inverse(held_out, len(facts.relations))])
    if known is None:
        known = Known(np.concatenate([facts.triples, held_out]), len(facts.relations))
    order = np.argsort(both[:, 1], kind="stable")  # queries of one relation can share work
    found = np.zeros(len(both), dtype=np.int64)
    for start in range(0, len(both), batch):
        chosen = order[start : start + batch]
        queries = np.ascontiguousarray(both[chosen, :2])
        found[chosen] = ranks(reasoner.score(facts, queries), both[chosen, 2], *known.of(queries))
        if progress is not None:
            progress(min(start + batch, len(both)), len(both))
    return Metrics(found.reshape(2, -1).T)


def ranks(scores: Scores, answers: Rows, first: Rows, known: Rows) -> Rows:
    """Filtered ranks, ties against the answer; a score that is not a number ranks last.

    Args:
        scores: (queries, entities).
        answers: Row of the answer of each query.
        first: Where the known answers of each query begin: (queries + 1).
        known: Known answers, which are left out.

    Example:
        >>> scores = np.array([[3.0, 1.0, 2.0, 1.0]], np.float32)
        >>> ranks(scores, np.array([1]), np.array([0, 1]), np.array([0])).tolist()
        [3]
    """
    found = np.zeros(len(scores), dtype=np.int64)
    _compiled()(np.ascontiguousarray(scores), answers, first, known, found)
    return found


def sampled_ranks(scores: Scores, answers: Rows, first: Rows, known: Rows, negatives: int, seed: int) -> Rows:
    """Ranks among a few entities that are drawn, none of which is known to be true: the protocol of GraIL.

    Args:
        scores: (queries, entities).
        answers: Row of the answer of each query.
        first: Where the known answers of each query begin.
        known: Known answers, which are not drawn.
        negatives: How many are drawn for each query, without repeats where there are enough.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    found = np.zeros(len(scores), dtype=np.int64)
    for query, (row, answer) in enumerate(zip(scores, answers, strict=True)):
        free = np.ones(row.shape, dtype=bool)
        free[known[first[query] : first[query + 1]]] = False
        free[answer] = False
        others = np.flatnonzero(free)
        drawn = generator.choice(others, min(negatives, len(others)), replace=False)
        found[query] = 1 + np.count_nonzero(~(row[drawn] < row[answer]))
    return found


@cache
def _compiled() -> Any:
    import numba

    @numba.njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
    def count(scores: Any, answers: NDArray[Any], first: Any, known: Any, found: Any) -> None:
        for query in numba.prange(len(scores)):
            answer = answers[query]
            limit = scores[query, answer]
            ahead = 0
            for entity in range(scores.shape[1]):
                ahead += not scores[query, entity] < limit
            # The answer itself was counted, and so may have been others that are true.
            for place in range(first[query], first[query + 1]):
                other = known[place]
                if other != answer and not scores[query, other] < limit:
                    ahead -= 1
            found[query] = ahead

    return count
