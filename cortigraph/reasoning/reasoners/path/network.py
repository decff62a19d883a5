"""The network of the path reasoner: query-conditioned relational message passing from the head outwards.

After layer l, the state of an entity sums over all paths of up to l steps from the head of the query to it; each step
is weighted by what its relation means for the query's relation. Nothing is learned about single entities, so the
network answers about any graph whose relations it knows. See Zhu et al., *Neural Bellman-Ford Networks* (2021), and
Zhang & Yao, *Knowledge Graph Reasoning with Relational Digraph* (2022).

There are two ways to go the same steps. `everywhere` keeps a state for each entity and all queries of a batch side by
side, which suits graphs of some thousand entities. `outwards` keeps rows only for what each query has reached.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import propagate
from cortigraph.reasoning.reasoners.path.frontier import begin, expand, narrowed
from cortigraph.reasoning.reasoners.path.fused import normalise_add
from cortigraph.reasoning.reasoners.path.gradients import Trace
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["Layer", "PathNetwork"]


class Layer(nn.Module):
    """One step along the edges.

    Args:
        relations: How many there are, in both directions.
        width: Channels of a state.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, relations: int, width: int, dropout: float) -> None:
        super().__init__()
        self.relation = nn.Linear(width, relations * width)
        self.from_state = nn.Linear(width, width, bias=False)
        self.from_sums = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.relations, self.width, self.dropout = relations, width, dropout

    def meaning(self, query: Tensor) -> Tensor:
        """What each relation means for each query: (batch, relations, width)."""
        told: Tensor = self.relation(query)
        return told.view(len(query), self.relations, self.width)

    def renew(self, state: Tensor, sums: Tensor) -> Tensor:
        """States after a step.

        Args:
            state: Before it: (rows, width).
            sums: Of the messages that have come: (rows, width).
        """
        x = torch.addmm(self.from_sums.bias, state, self.from_state.weight.T)
        x = torch.addmm(x, sums, self.from_sums.weight.T)
        dropout = self.dropout if self.training else 0.0
        seed = int(torch.randint(2**31, ())) if dropout else 0
        return normalise_add(x, state, self.norm.weight, self.norm.bias, dropout, seed)


class PathNetwork(nn.Module):
    """Scores all entities for a batch of queries.

    Args:
        relations: How many there are, in both directions.
        width: Channels of a state.
        layers: Steps that a path may have.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, relations: int, width: int = 32, layers: int = 5, dropout: float = 0.1) -> None:
        super().__init__()
        self.query = nn.Embedding(relations, width)
        self.layers = nn.ModuleList(Layer(relations, width, dropout) for _ in range(layers))
        self.from_state = nn.Linear(width, 2 * width)
        self.from_query = nn.Linear(width, 2 * width, bias=False)
        self.last = nn.Linear(2 * width, 1)
        self.unreached = nn.Linear(width, 1)  # the score of everything to which no path leads
        self.priority = nn.Linear(width, 1)  # which of the newly reached are worth going on from

    def everywhere(self, heads: Rows, relations: Rows, edges: Structure, trace: Trace | None = None) -> Tensor:
        """Scores, by states of all entities.

        Args:
            heads: (batch).
            relations: (batch).
            edges: Of the graph, in both directions.
            trace: Notes all sums of messages.

        Returns:
            (batch, entities).
        """
        batch, places = len(heads), torch.arange(len(heads))
        query = self.query(torch.from_numpy(relations))
        start, width = torch.from_numpy(heads), query.shape[1]
        state = query.new_zeros(edges.nodes, batch, width).index_put((start, places), query)
        for layer in self._steps():
            table = layer.meaning(query).transpose(0, 1).reshape(edges.relations, -1)
            sums = propagate(state.view(edges.nodes, -1), table, edges)
            if trace is not None:
                trace.note(None, state.view(edges.nodes, -1), table, edges, sums)
            sums = sums.view_as(state).index_put((start, places), query, accumulate=True)
            state = layer.renew(state.view(-1, width), sums.view(-1, width)).view_as(state)
        hidden = torch.relu(self.from_state(state) + self.from_query(query))
        scores: Tensor = self.last(hidden).squeeze(-1)
        return scores.T

    def outwards(
        self,
        heads: Rows,
        relations: Rows,
        edges: Structure,
        hidden: Rows | None = None,
        most: int | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Scores, by states of what paths have reached.

        Args:
            heads: (batch).
            relations: (batch).
            edges: Of the graph, in both directions.
            hidden: For each query an edge that it must not see, in both directions: (batch, 3).
            most: How many newly reached entities a step keeps for each query, the most promising; else all.
            trace: Notes all sums of messages.

        Returns:
            (batch, entities).
        """
        query = self.query(torch.from_numpy(relations))
        frontier, state = begin(heads), query
        for number, layer in enumerate(self._steps()):
            step = expand(frontier, edges, hidden)
            table = layer.meaning(query).reshape(-1, query.shape[1])
            sums = propagate(state, table, step)
            if trace is not None:
                trace.note(frontier.entity, state, table, step, sums)
            at = torch.from_numpy(step.frontier.first[:-1])  # the head is the first that is reached
            sums = sums.index_add(0, at, query)
            old = torch.from_numpy(step.old)
            state = layer.renew(state.new_zeros(len(step.frontier), state.shape[1]).index_copy(0, old, state), sums)
            frontier = step.frontier
            if most is not None:
                worth = self.priority(state)
                state = state * torch.sigmoid(worth)
                if number + 1 < len(self.layers):
                    chosen = _best(worth.detach().squeeze(1).numpy(), step.old, frontier.first, most)
                    frontier, state = narrowed(frontier, chosen), state[torch.from_numpy(chosen)]
        rows = torch.from_numpy(frontier.query)
        scores = self.last(torch.relu(self.from_state(state) + self.from_query(query)[rows])).squeeze(-1)
        missing = self.unreached(query).expand(-1, edges.nodes)
        found: Tensor = missing.index_put((rows, torch.from_numpy(frontier.entity)), scores)
        return found

    def _steps(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]


def _best(worth: np.ndarray[tuple[int, ...], np.dtype[np.float32]], old: Rows, first: Rows, most: int) -> Rows:
    """The rows that were reached before, and of the new ones of each query the best; in order."""
    fresh = np.ones(len(worth), dtype=bool)
    fresh[old] = False
    keep = ~fresh
    for low, high in pairwise(first):
        new = low + np.flatnonzero(fresh[low:high])
        if len(new) > most:
            new = new[np.argpartition(-worth[new], most)[:most]]
        keep[new] = True
    return np.flatnonzero(keep)
