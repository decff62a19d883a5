"""The network of the path reasoner: query-conditioned relational message passing from the head outwards.

After layer l, the state of an entity sums over all paths of up to l steps from the head of the query to it; each step
is weighted by what its relation means for the query's relation. Nothing is learned about single entities, so the
network answers about any graph whose relations its lexicon knows. See Zhu et al., *Neural Bellman-Ford Networks*
(2021), and Zhang & Yao, *Knowledge Graph Reasoning with Relational Digraph* (2022).

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
from cortigraph.reasoning.reasoners.path.gradients import Trace
from cortigraph.reasoning.reasoners.path.layer import Layer
from cortigraph.reasoning.reasoners.path.lexicon import Lexicon
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["PathNetwork"]


class PathNetwork(nn.Module):
    """Scores all entities for a batch of queries.

    Args:
        lexicon: What relations mean.
        width: Channels of a state.
        layers: Steps that a path may have.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, lexicon: Lexicon, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.layers = nn.ModuleList(Layer(width, dropout) for _ in range(layers))
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
        query, context = self.lexicon.context(relations, edges)
        start, width = torch.from_numpy(heads), query.shape[1]
        state = query.new_zeros(edges.nodes, batch, width).index_put((start, places), query)
        for number, layer in enumerate(self.layers):
            table = self.lexicon.meaning(number, context).transpose(0, 1).reshape(edges.relations, -1)
            sums = propagate(state.view(edges.nodes, -1), table, edges)
            if trace is not None:
                trace.note(state.view(edges.nodes, -1), table, sums)
            sums = sums.view_as(state).index_put((start, places), query, accumulate=True)
            state = layer(state.view(-1, width), sums.view(-1, width)).view_as(state)
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
            trace: Notes what is reached before each step.

        Returns:
            (batch, entities).
        """
        query, context = self.lexicon.context(relations, edges)
        frontier, state = begin(heads), query
        for number in range(len(self.layers)):
            if trace is not None:
                trace.reached(frontier.entity)
            step = expand(frontier, edges, hidden)
            sums = propagate(state, self.lexicon.meaning(number, context).reshape(-1, query.shape[1]), step)
            at = torch.from_numpy(step.frontier.first[:-1])  # the head is the first that is reached
            state, worth = self.renewed(number, query, sums, state, torch.from_numpy(step.old), at, most is not None)
            frontier = step.frontier
            if worth is not None and most is not None and number + 1 < len(self.layers):
                chosen = _best(worth.detach().squeeze(1).numpy(), step.old, frontier.first, most)
                frontier, state = narrowed(frontier, chosen), state[torch.from_numpy(chosen)]
        rows = torch.from_numpy(frontier.query)
        missing = self.unreached(query).expand(-1, edges.nodes)
        scores = self.judged(state, query, rows)
        found: Tensor = missing.index_put((rows, torch.from_numpy(frontier.entity)), scores)
        return found

    def renewed(
        self, number: int, query: Tensor, sums: Tensor, carried: Tensor, old: Tensor, at: Tensor, gated: bool
    ) -> tuple[Tensor, Tensor | None]:
        """States after a step outwards, and how much each is worth going on from.

        Args:
            number: Of the step, from 0.
            query: (batch, width).
            sums: Of messages: (rows, width).
            carried: States before it, of those that were reached before.
            old: The row that each of these has now.
            at: The rows of heads.
            gated: Whether states count as far as they are worth it.
        """
        sums = sums.index_put((at,), query, accumulate=True)  # `index_add` takes milliseconds for a single row
        state = self.layers[number](torch.zeros_like(sums).index_copy(0, old, carried), sums)
        if not gated:
            return state, None
        worth = self.priority(state)
        return state * torch.sigmoid(worth), worth

    def judged(self, state: Tensor, query: Tensor, rows: Tensor) -> Tensor:
        """Scores of states.

        Args:
            state: (rows, width).
            query: (batch, width).
            rows: The query of each.
        """
        scores: Tensor = self.last(torch.relu(self.from_state(state) + self.from_query(query)[rows])).squeeze(-1)
        return scores


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
