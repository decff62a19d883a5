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

_SCORES = 1 << 25


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
        both = np.concatenate([triples, inverse(triples, relations)])
        self._relations = 2 * relations
        # One number for a fact: sorting these takes a tenth of the time that rows, or a table of hashes, take.
        span = int(both[:, 2].max(initial=0)) + 1
        facts = np.sort((both[:, 0] * self._relations + both[:, 1]) * span + both[:, 2])
        facts = facts[np.diff(facts, prepend=-1) > 0]
        self._keys, self._tails = facts // span, facts % span

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
    batch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Ranks of held-out facts among all entities.

    Args:
        reasoner: Any.
        facts: What it may know.
        held_out: (any, 3).
        known: What is true; else `facts` and `held_out`.
        batch: Different queries at a time, else as many as suit the reasoner; the ranks don't depend on it.
        progress: Told how many different queries are done, of how many.
    """
    both = np.concatenate([held_out, inverse(held_out, len(facts.relations))])
    if known is None:
        known = Known(np.concatenate([facts.triples, held_out]), len(facts.relations))
    batch = batch or max(1, min(reasoner.batch, _SCORES // max(1, len(facts.entities))))
    # A query with several answers is scored once; queries of one relation follow each other and can share work.
    keys, asked = np.unique(both[:, 1] * len(facts.entities) + both[:, 0], return_inverse=True)
    queries = np.stack([keys % len(facts.entities), keys // len(facts.entities)], axis=1)
    order = np.argsort(asked, kind="stable")
    edges = np.searchsorted(asked[order], np.arange(0, len(queries) + batch, batch))
    found = np.zeros(len(both), dtype=np.int64)
    for start, low, high in zip(range(0, len(queries), batch), edges, edges[1:], strict=False):
        chosen, some = order[low:high], queries[start : start + batch]
        scores = reasoner.score(facts, some)
        found[chosen] = ranks(scores, both[chosen, 2], *known.of(some), asked[chosen] - start)
        if progress is not None:
            progress(min(start + batch, len(queries)), len(queries))
    return Metrics(found.reshape(2, -1).T)


def ranks(scores: Scores, answers: Rows, first: Rows, known: Rows, asked: Rows | None = None) -> Rows:
    """Filtered ranks, ties against the answer; a score that is not a number ranks last.

    Args:
        scores: (queries, entities).
        answers: Row of the answer of each query, or of any number of answers.
        first: Where the known answers of each query begin: (queries + 1).
        known: Known answers, which are left out.
        asked: The query of each answer, where there are not as many as queries.

    Example:
        >>> scores = np.array([[3.0, 1.0, 2.0, 1.0]], np.float32)
        >>> ranks(scores, np.array([1]), np.array([0, 1]), np.array([0])).tolist()
        [3]
    """
    asked = np.arange(len(scores)) if asked is None else asked
    found = np.zeros(len(answers), dtype=np.int64)
    _compiled()(np.ascontiguousarray(scores), np.ascontiguousarray(answers), asked, first, known, found)
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
    def count(scores: Any, answers: NDArray[Any], asked: Any, first: Any, known: Any, found: Any) -> None:
        for place in numba.prange(len(answers)):
            query, answer = asked[place], answers[place]
            row = scores[query]
            limit = row[answer]
            ahead = 0
            for entity in range(len(row)):
                ahead += not row[entity] < limit
            # The answer itself was counted, and so may have been others that are true.
            for entry in range(first[query], first[query + 1]):
                other = known[entry]
                if other != answer and not row[other] < limit:
                    ahead -= 1
            found[place] = ahead

    return count
