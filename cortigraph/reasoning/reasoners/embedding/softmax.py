"""Training ComplEx: each query against all entities at once (softmax), with N3, by Adagrad.

Facts of one query `(head, relation, ?)` share its row of scores: the loss is that of one fact after the other, and
3.6 times fewer scores need be computed on FB15k-237. Gradients are written out: a step is six matrix products at most,
and a few compiled loops. See Lacroix et al. (2018); Chen et al., *Relation Prediction as an Auxiliary Training
Objective* (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.reasoners.checkpoint import Checkpoint
from cortigraph.reasoning.reasoners.embedding.closed import Vectors
from cortigraph.reasoning.reasoners.embedding.complex import ComplEx, product
from cortigraph.reasoning.reasoners.embedding.names import Names
from cortigraph.reasoning.reasoners.embedding.settings import ComplExSettings
from cortigraph.reasoning.reasoners.embedding.watch import Late, OnEpoch, Watch, never
from cortigraph.reasoning.reasoners.facts import Facts, inverse
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.reasoning.reasoners.threads import compiled
from cortigraph.train.clock import OnPart, ignore

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "Queries", "SoftmaxSteps", "train_complex"]

_FIRST = 1e-3


def train_complex(
    facts: Facts,
    valid: Rows,
    settings: ComplExSettings | None = None,
    *,
    start: ComplEx | None = None,
    progress: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
    shown: OnPart = ignore,
) -> ComplEx:
    """Trains ComplEx-N3.

    Args:
        facts: What is known; all of its entities get vectors.
        valid: (any, 3): held out, to find when to stop.
        settings: All choices.
        start: Goes on from the vectors that this one has of what the facts name.
        progress: Told after each epoch.
        checkpoint: Where the state lies after each epoch; what is there already is gone on from.
        shown: Told how far each epoch is.

    Raises:
        InputError: There are no facts.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"head": ["a", "b"], "relation": ["likes", "likes"], "tail": ["b", "c"]})
        >>> facts = Facts.of(table)
        >>> scorer = train_complex(facts, facts.triples[:0], ComplExSettings(rank=8, epochs=20))
        >>> int(scorer.score(facts, np.array([[0, 0]])).argmax())
        1
    """
    settings = settings or ComplExSettings()
    if not len(facts):
        raise InputError("there are no facts to train on")
    scorer = _fresh(facts, settings)
    if start is not None:
        scorer.take(start)
    watch = Watch(scorer, facts, valid, settings, progress, checkpoint, shown)
    both = np.concatenate([facts.triples, inverse(facts.triples, len(facts.relations))])
    queries, steps = Queries(both, settings.together, settings.seed), SoftmaxSteps(scorer, settings)
    generator = np.random.default_rng([settings.seed, 2])
    watch.holds(steps.memory, generator)
    for epoch in watch.epochs():
        order = generator.permutation(len(queries))
        watch.done(epoch, steps.run(queries, order, watch.late))
    watch.finish()
    return scorer


def _fresh(facts: Facts, settings: ComplExSettings) -> ComplEx:
    generator = np.random.default_rng([settings.seed, 0])
    shapes = ((len(facts.entities), 2 * settings.rank), (2 * len(facts.relations), 2 * settings.rank))
    entity, relation = (_FIRST * generator.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return ComplEx(Names.of(facts), entity, relation)


@dataclass(frozen=True, eq=False)
class Batch:
    """Queries with their true tails.

    Args:
        heads: (queries).
        relations: (queries), in both directions.
        first: Where the tails of each begin, and where the last end: (queries + 1).
        tails: (facts).
    """

    heads: Rows
    relations: Rows
    first: Rows
    tails: Rows


class Queries:
    """Facts by head and relation.

    Args:
        triples: (facts, 3), each once, in all directions that shall be asked.
        together: At most so many facts of one query come in one step. A query with thousands would outweigh all others
            once an epoch, and learn nothing in the rest of it.
        seed: Of which facts come together.
    """

    def __init__(self, triples: Rows, together: int | None = None, seed: int = 0) -> None:
        triples = triples[np.random.default_rng([seed, 3]).permutation(len(triples))]
        triples = triples[np.lexsort((triples[:, 1], triples[:, 0]))]
        new = np.any(np.diff(triples[:, :2], axis=0, prepend=-1), axis=1)
        if together is not None:
            place = np.arange(len(triples)) - np.maximum.accumulate(np.where(new, np.arange(len(triples)), 0))
            new = place % together == 0
        self._first = np.append(np.flatnonzero(new), len(triples))
        self._queries, self._tails = triples[new, :2], np.ascontiguousarray(triples[:, 2])

    def __len__(self) -> int:
        return len(self._queries)

    def take(self, chosen: Rows) -> Batch:
        """Some of them.

        Args:
            chosen: Numbers of queries.
        """
        counts = self._first[chosen + 1] - self._first[chosen]
        first = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(first[-1]) - np.repeat(first[:-1] - self._first[chosen], counts)
        heads, relations = np.ascontiguousarray(self._queries[chosen].T)
        return Batch(heads, relations, first, self._tails[places])


class SoftmaxSteps:
    """Steps of Adagrad on the tables of a scorer, in place.

    Args:
        scorer: Which.
        settings: All choices.
    """

    def __init__(self, scorer: ComplEx, settings: ComplExSettings) -> None:
        import torch

        self._settings = settings
        self._type = torch.bfloat16 if _half(settings) else torch.float32
        self.entity, self.relation = (_Table(table, self._type) for table in (scorer.entity, scorer.relation))

    @property
    def memory(self) -> dict[str, Vectors]:
        """What Adagrad remembers."""
        return {"entity.squares": self.entity.squares, "relation.squares": self.relation.squares}

    def run(self, queries: Queries, order: Rows, late: Late = never) -> float:
        """One epoch.

        Args:
            queries: All of them.
            order: In which they are taken.
            late: Whether it must end, after so many queries of so many.

        Returns:
            Mean loss of a fact.
        """
        losses, facts = 0.0, 0
        for start in range(0, len(order), self._settings.batch):
            batch = queries.take(order[start : start + self._settings.batch])
            losses += self.step(batch)
            facts += len(batch.tails)
            if late(min(start + self._settings.batch, len(order)), len(order)):
                break
        return losses / max(1, facts)

    def step(self, batch: Batch) -> float:
        """One step.

        Args:
            batch: What is asked.

        Returns:
            The sum of the losses of its facts, without N3.
        """
        entity, relation = self.entity, self.relation
        share = np.float32(1 / len(batch.tails))
        asked = product(entity.values[batch.heads], relation.values[batch.relations])
        counts = np.diff(batch.first)
        rows = np.repeat(np.arange(len(counts)), counts)
        loss, to_asked = entity.softmax(asked, rows, batch.tails, counts * share)
        if self._settings.relation_weight:
            self._tell_relations(batch, rows)
        _steps().queries_to_tables(
            batch.heads, batch.relations, batch.first, batch.tails, asked, to_asked, entity.values, relation.values,
            entity.sparse, relation.sparse, share, np.float32(self._settings.regularization * share),
        )  # fmt: skip
        entity.step(self._settings.learning_rate, batch.heads, batch.tails)
        relation.step(self._settings.learning_rate, batch.relations)
        return loss

    def _tell_relations(self, batch: Batch, rows: Rows) -> None:
        heads, relations = batch.heads[rows], batch.relations[rows]
        values = self.entity.values
        left = values[heads]
        left[:, left.shape[1] // 2 :] *= -1
        pair = product(left, values[batch.tails])
        share = np.float32(self._settings.relation_weight / len(heads))
        _, to_pair = self.relation.softmax(pair, np.arange(len(heads)), relations, np.full(len(heads), share))
        to_pair -= share * self.relation.values[relations]
        np.subtract.at(self.relation.sparse, relations, share * pair)
        _steps().facts_to_tables(heads, batch.tails, to_pair, values, self.entity.sparse)


class _Table:
    """A table of vectors with what Adagrad needs, and a copy of it in the precision of matrix products."""

    def __init__(self, values: Vectors, precision: Any) -> None:
        import torch

        self.values = values
        self.sparse, self.squares = np.zeros_like(values), np.zeros_like(values)
        self._used = np.zeros(len(values), dtype=np.bool_)
        self._copy = torch.from_numpy(values).to(precision, copy=True)
        self._dense = torch.zeros_like(self._copy)

    def softmax(self, asked: Vectors, rows: Rows, true: Rows, weights: Vectors) -> tuple[float, Vectors]:
        """The loss of a softmax over all rows, and the gradient of its normaliser: to what is asked; ours is kept.

        Args:
            asked: (queries, width).
            rows: Query of each fact.
            true: Row of ours that is the answer of each fact.
            weights: Of each query's normaliser.
        """
        import torch

        scores = _multiply(torch.from_numpy(asked).to(self._copy.dtype), self._copy.T)
        right = scores[torch.from_numpy(rows), torch.from_numpy(true)].float().sum().item()
        largest, totals = np.empty((2, len(asked)), dtype=np.float32)
        _steps().exponentials(_plain(scores), largest, totals)
        factors = (weights / totals).astype(np.float32)[:, None]
        to_asked: Vectors = _multiply(scores, self._copy).float().numpy() * factors
        _multiply(scores.T, torch.from_numpy(asked * factors).to(self._copy.dtype), self._dense)
        return float((largest + np.log(totals))[rows].sum(dtype=np.float64)) - right, to_asked

    def step(self, rate: float, *used: Rows) -> None:
        """One step of Adagrad.

        Args:
            rate: Learning rate.
            used: Rows that have a gradient in `sparse`.
        """
        for rows in used:
            self._used[rows] = True
        tables = (_plain(self._dense), self.sparse, self._used)
        _steps().update(self.values, self.squares, *tables, np.float32(rate), _plain(self._copy))


def _half(settings: ComplExSettings) -> bool:
    """Whether products are in bfloat16: by itself only where the processor has it, else it is slower than float32."""
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    import torch

    told: Any = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(told.get("avx512_bf16") or told.get("amx_bf16"))


def _multiply(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """A matrix product; those of float32 by NumPy, whose OpenBLAS is the faster one on many processors."""
    import torch

    out = left.new_empty(left.shape[0], right.shape[1]) if out is None else out
    if left.dtype == torch.float32:
        np.matmul(left.numpy(), right.numpy(), out=out.numpy())
        return out
    return torch.mm(left, right, out=out)


def _plain(tensor: Tensor) -> Any:
    import torch

    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _steps() -> Any:
    return compiled("cortigraph.reasoning.reasoners.embedding._softmax_steps")
