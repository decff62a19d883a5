"""Gradients of an answer's score with respect to the weights of edges.

Every edge has the weight 1 in each sum of messages. How much the score of an answer would change if an edge weighed a
little more is its gradient, summed over the layers: what the network owes to that edge. See Zhu et al., *Neural
Bellman-Ford Networks* (2021), on interpretation.

On the way outwards most of what a query reaches ends nowhere. So the steps are gone again for what led on alone, which
gives the same scores; the gradients of ten answers then take less time than their scores took.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cortigraph.reasoning.reasoners.kernel import propagate
from cortigraph.reasoning.reasoners.structure import Rows, Segments, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner

__all__ = ["EdgeGradients", "Trace"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Sweep:
    """One sum of messages: what came together from states along edges, which have these places in the graph."""

    state: Tensor
    relation: Tensor
    sums: Tensor
    walked: _Walked


@dataclass(eq=False)
class Trace:
    """What a network notes while it answers one query.

    Args:
        entities: What was reached before each step outwards.
        sums: State, meaning of relations, and sums of each step everywhere.
    """

    entities: list[Rows] = field(default_factory=list)
    sums: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def reached(self, entity: Rows) -> None:
        """Notes the entities from which a step begins."""
        self.entities.append(entity)

    def note(self, state: Tensor, relation: Tensor, sums: Tensor) -> None:
        """Notes a sum; from here on, gradients flow back to it."""
        self.sums.append((state.detach(), relation.detach(), _open(sums)))


class EdgeGradients:
    """A query's scores, and for any answer the gradients of all edges.

    Args:
        reasoner: Whose network.
        edges: Of the graph, as the network numbers relations.
        head: Of the query.
        relation: Of the query.
    """

    def __init__(self, reasoner: PathReasoner, edges: Structure, head: int, relation: int) -> None:
        self._reasoner, self._edges = reasoner, edges
        self._head, self._relation = head, relation
        self._trace = Trace()
        self._replay: _Replay | None = None
        heads, relations = np.array([head], dtype=np.int64), np.array([relation], dtype=np.int64)
        with _frozen(reasoner), torch.set_grad_enabled(reasoner.goes_everywhere(edges)):
            self._scores = reasoner.forward(edges, heads, relations, trace=self._trace)[0]

    @property
    def scores(self) -> Floats:
        """Of all entities."""
        return np.asarray(self._scores.detach().numpy(), dtype=np.float32)

    def of(self, answer: int) -> Floats:
        """Gradients of an answer's score, in the order of the graph's edges by source; 0 for what was not walked.

        Args:
            answer: Row of an entity.
        """
        found = np.zeros(len(self._edges), dtype=np.float32)
        with _frozen(self._reasoner), _alone():
            score, sweeps = self._scored(answer)
            if score is not None:
                sums = [sweep.sums for sweep in sweeps]
                slopes = torch.autograd.grad(score, sums, retain_graph=True, allow_unused=True)
                for sweep, slope in zip(sweeps, slopes, strict=True):
                    if slope is not None:
                        _add(sweep, slope, found)
        return found

    def _scored(self, answer: int) -> tuple[Tensor | None, list[_Sweep]]:
        if self._reasoner.goes_everywhere(self._edges):
            out = self._edges.by_source
            walked = _Walked(out, np.arange(len(self._edges)))
            return self._scores[answer], [_Sweep(*noted, walked) for noted in self._trace.sums]
        if self._replay is None:
            self._replay = _Replay(self._reasoner, self._edges, self._trace.entities, self._relation)
        return self._replay.scored(answer)


class _Replay:
    """The steps of one query, gone again along those edges alone that led on."""

    def __init__(self, reasoner: PathReasoner, edges: Structure, entities: list[Rows], relation: int) -> None:
        self._network, self._edges, self._entities = reasoner.network, edges, entities
        self._gated = reasoner.settings.most is not None
        self._query, self._context = self._network.lexicon.context(np.array([relation]), edges)
        self._state, self._sweeps = self._query, list[_Sweep]()
        for number in range(len(entities) - 1):
            self._state, sweep = self._gone(number, entities[number + 1])
            self._sweeps.append(sweep)

    def scored(self, answer: int) -> tuple[Tensor | None, list[_Sweep]]:
        """The score of an answer, after a last step to it alone; none for one that is not reached."""
        state, last = self._gone(len(self._entities) - 1, np.array([answer]))
        if not len(last.walked.place) and answer not in self._entities[-1]:
            return None, []
        return self._network.judged(state, self._query, np.zeros(1, dtype=np.int64))[0], [*self._sweeps, last]

    def _gone(self, number: int, after: Rows) -> tuple[Tensor, _Sweep]:
        before = self._entities[number]
        walked = _between(self._edges, before, after)
        table = self._network.lexicon.meaning(number, self._context)[0]
        sums = _open(propagate(self._state, table, walked))
        sweep = _Sweep(self._state.detach(), table.detach(), sums, walked)
        places = np.full(self._edges.nodes, -1, dtype=np.int64)
        places[after] = np.arange(len(after))
        old = places[before]
        # All that was reached stays, but for the last step, after which there is one row. The head is the first.
        stays = np.flatnonzero(old >= 0)
        carried = (
            self._state if len(stays) == len(before) else self._state[stays[:1].sum() : stays[:1].sum() + len(stays)]
        )
        at, rows = torch.from_numpy(old[:1][old[:1] >= 0]), torch.from_numpy(old[stays])
        sums = sums.index_put((at,), self._query[: len(at)], accumulate=True)
        state, _ = self._network.step(number).renewed(carried, sums, rows, self._network.gate(self._gated))
        return state, sweep


@dataclass(frozen=True, eq=False)
class _Walked:
    """Edges between rows, in the order of their sources, and the place of each in the graph."""

    by_source: Segments
    place: Rows
    nodes: int = 0

    @property
    def by_target(self) -> Segments:
        segments = self.by_source
        first = np.zeros(self.nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(segments.left, minlength=self.nodes), out=first[1:])
        order = np.argsort(segments.left, kind="stable")
        return Segments(first, segments.owners[order], segments.right[order])

    @property
    def parts(self) -> Rows:
        return np.array([0, len(self.by_source)])


def _between(edges: Structure, before: Rows, after: Rows) -> _Walked:
    """The edges that lead from some entities to others."""
    out = edges.by_source
    counts = out.first[before + 1] - out.first[before]
    places = np.repeat(out.first[before] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    rows = np.full(edges.nodes, -1, dtype=np.int64)
    rows[after] = np.arange(len(after))
    targets = rows[out.left[places]]
    kept = targets >= 0
    sources = np.repeat(np.arange(len(before)), counts)[kept]
    first = np.searchsorted(sources, np.arange(len(before) + 1))
    segments = Segments(first, targets[kept], out.right[places[kept]])
    return _Walked(segments, places[kept], len(after))


def _add(sweep: _Sweep, slope: Tensor, found: Floats) -> None:
    """Adds the gradients of a sweep's edges to those of the graph's."""
    walked, slope = sweep.walked.by_source, slope.contiguous()
    alive = (slope != 0).any(dim=1).numpy()
    arrays = (sweep.state.contiguous().numpy(), sweep.relation.contiguous().numpy(), slope.numpy())
    _kernel()(walked.first, walked.left, walked.right, sweep.walked.place, alive, *arrays, found)


def _open(sums: Tensor) -> Tensor:
    """The same, with gradients: nothing that was learned has any, so the first sum is where they begin."""
    return sums if sums.requires_grad else sums.requires_grad_()


@contextmanager
def _alone() -> Iterator[None]:
    """On one thread: what some thousand edges take is less than waking another one, or waiting for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _frozen(reasoner: PathReasoner) -> Iterator[None]:
    """Without gradients of what was learned, which nobody asks for here."""
    network = reasoner.network.eval()
    learned = [each for each in network.parameters() if each.requires_grad]
    for each in learned:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in learned:
            each.requires_grad_(True)


@cache
def _kernel() -> Any:
    import numba

    @numba.njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
    def add(
        first: Any, targets: Any, relations: Any, place: Any, alive: Any,
        state: Any, relation: Any, slope: Any, found: Any,
    ) -> None:  # fmt: skip
        width = state.shape[1]
        for row in range(len(first) - 1):
            for edge in range(first[row], first[row + 1]):
                target = targets[edge]
                if alive[target]:
                    one, other, down = state[row], relation[relations[edge]], slope[target]
                    total = np.float32(0)
                    for column in range(width):
                        total += one[column] * other[column] * down[column]
                    found[place[edge]] += total

    return add
