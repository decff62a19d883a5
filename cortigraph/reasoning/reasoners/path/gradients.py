"""Gradients of an answer's score with respect to the weights of edges.

Every edge has the weight 1 in each sum of messages. How much the score of an answer would change if an edge weighed a
little more is its gradient, summed over the layers: what the network owes to that edge. See Zhu et al., *Neural
Bellman-Ford Networks* (2021), on interpretation.
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

from cortigraph.reasoning.reasoners.kernel import Edges
from cortigraph.reasoning.reasoners.structure import Rows, Structure

if TYPE_CHECKING:
    from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner

__all__ = ["EdgeGradients", "Sweep", "Trace"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One sum of messages.

    Args:
        entity: Of the rows that messages leave; none where rows are entities.
        state: Of these rows.
        relation: What relations mean.
        edges: That were walked.
        sums: What has come together.
    """

    entity: Rows | None
    state: Tensor
    relation: Tensor
    edges: Edges
    sums: Tensor


@dataclass(eq=False)
class Trace:
    """The sums of a network, noted while it answers one query.

    Args:
        sweeps: In their order.
    """

    sweeps: list[Sweep] = field(default_factory=list)

    def note(self, entity: Rows | None, state: Tensor, relation: Tensor, edges: Edges, sums: Tensor) -> None:
        """Notes one; from here on, gradients flow back to it."""
        if not sums.requires_grad:
            sums.requires_grad_()
        self.sweeps.append(Sweep(entity, state.detach(), relation.detach(), edges, sums))


class EdgeGradients:
    """A query's scores, and for any answer the gradients of all edges.

    Args:
        reasoner: Whose network.
        edges: Of the graph, as the network numbers relations.
        head: Of the query.
        relation: Of the query.
    """

    def __init__(self, reasoner: PathReasoner, edges: Structure, head: int, relation: int) -> None:
        self._edges, self._trace = edges, Trace()
        with _frozen(reasoner):
            heads, relations = np.array([head], dtype=np.int64), np.array([relation], dtype=np.int64)
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
        score, sums = self._scores[answer], [sweep.sums for sweep in self._trace.sweeps]
        if score.requires_grad:
            slopes = torch.autograd.grad(score, sums, retain_graph=True, allow_unused=True)
            for sweep, slope in zip(self._trace.sweeps, slopes, strict=True):
                if slope is not None:
                    _add(sweep, slope, self._edges, found)
        return found


def _add(sweep: Sweep, slope: Tensor, edges: Structure, found: Floats) -> None:
    """Adds gradients of a sweep; its edges leave each row in the order in which the graph's leave its entity."""
    walked, whole = sweep.edges.by_source, edges.by_source
    entity = np.arange(edges.nodes) if sweep.entity is None else sweep.entity
    slope = slope.contiguous()
    alive = (slope != 0).any(dim=1).numpy()
    arrays = (sweep.state.contiguous().numpy(), sweep.relation.contiguous().numpy(), slope.numpy())
    _kernel()(walked.first, walked.left, walked.right, entity, whole.first, alive, *arrays, found)


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
        first: Any, targets: Any, relations: Any, entity: Any, begin: Any, alive: Any,
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
                    found[begin[entity[row]] + edge - first[row]] += total

    return add
