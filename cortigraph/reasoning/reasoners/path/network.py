"""The network of the path reasoner: query-conditioned relational message passing from the head outwards.

After layer l, the state of an entity sums over all paths of up to l steps from the head of the query to it; each step
is weighted by what its relation means for the query's relation. Nothing is learned about single entities, so the
network answers about any graph whose relations its lexicon knows. See Zhu et al., *Neural Bellman-Ford Networks*
(2021), and Zhang & Yao, *Knowledge Graph Reasoning with Relational Digraph* (2022).

There are two ways to go the same steps. `everywhere` keeps a state for each entity and all queries of a batch side by
side, which suits graphs of some thousand entities. `outwards` keeps rows only for what each query has reached.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import in_torch_alone, propagate
from cortigraph.reasoning.reasoners.path import in_torch
from cortigraph.reasoning.reasoners.path.frontier import Step, begin, expand
from cortigraph.reasoning.reasoners.path.fused import Judge, judged
from cortigraph.reasoning.reasoners.path.gradients import Trace
from cortigraph.reasoning.reasoners.path.layer import Layer, Way
from cortigraph.reasoning.reasoners.path.lexicon import Lexicon
from cortigraph.reasoning.reasoners.path.scout import Scout
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
        query, context = self.lexicon.context(relations, edges)
        (batch, width), rows = query.shape, edges.nodes * len(heads)
        way = Way(edges, heads * batch + np.arange(batch)).on(query.device, edges.relations)
        at = torch.as_tensor(way.at, device=query.device)
        state = query.new_zeros(rows, width).index_put((at,), query)
        for number in range(len(self.layers)):
            table = self.lexicon.meaning(number, context).transpose(0, 1).reshape(edges.relations, -1)
            if trace is None:
                state, _ = self.step(number)(state, table, query, way)
                continue
            sums = propagate(state.view(edges.nodes, -1), table, edges)
            trace.note(state.view(edges.nodes, -1), table, sums)
            sums = sums.view(rows, width).index_put((at,), query, accumulate=True)
            state, _ = self.step(number).renewed(state, sums)
        return self.judged(state, query, np.arange(rows) % batch).view(edges.nodes, batch).T

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
            (batch, entities). Where frontiers are cut and it is learned from, they are for a softmax: what is not
            learned from has `EXCLUDED`, and what stands for many has the logarithm of how many added.
        """
        query, context = self.lexicon.context(relations, edges)
        if in_torch_alone(query.device):
            return in_torch.outwards(self, query, context, heads, edges, hidden, most, trace)
        frontier, state, last = begin(heads), query, len(self.layers) - 1
        missing: Tensor = self.unreached(query).expand(-1, edges.nodes)
        for number in range(len(self.layers)):
            if trace is not None:
                trace.reached(frontier.entity)
            layer, table = self.step(number), self.lexicon.meaning(number, context).reshape(-1, query.shape[1])
            step: Step | None
            if most is None:
                step = expand(frontier, edges, hidden)
            else:
                judge = self.judge(query) if number == last else None
                scout = Scout(frontier, state, table, query, edges, hidden)
                step, scores = scout.step(layer, self.priority, most, judge, walks=not judge or torch.is_grad_enabled())
                if judge:
                    missing = torch.where(torch.isnan(scores), missing, scores)
            if step is None:
                return missing
            state, _ = layer(state, table, query, Way.along(step), self.gate(most is not None))
            frontier = step.frontier
        rows = frontier.query
        places = torch.from_numpy(rows), torch.from_numpy(frontier.entity)
        told = self.judged(state, query, rows)
        if most is not None:
            told = told + missing.detach()[places]
        return missing.index_put(places, told)

    def step(self, number: int) -> Layer:
        """A layer, by its number from 0."""
        found = self.layers[number]
        assert isinstance(found, Layer)
        return found

    def gate(self, cut: bool) -> nn.Linear | None:
        """What tells how much a state is worth going on from, where frontiers are cut."""
        return self.priority if cut else None

    def judge(self, query: Tensor) -> Judge:
        """How states become scores.

        Args:
            query: (batch, width).
        """
        asked = self.from_query(query) + self.from_state.bias
        return Judge(self.from_state.weight, asked, self.last.weight[0], self.last.bias)

    def judged(self, state: Tensor, query: Tensor, rows: Rows | Tensor) -> Tensor:
        """Scores of states.

        Args:
            state: (rows, width).
            query: (batch, width).
            rows: The query of each.
        """
        return judged(state, self.judge(query), rows)
