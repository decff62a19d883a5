"""The network of the path reasoner: query-conditioned relational message passing from the head outwards.

After layer l, the state of an entity sums over all paths of up to l steps from the head of the query to it; each step
is weighted by what its relation means for the query's relation. Nothing is learned about single entities, so the
network answers about any graph whose relations it knows. See Zhu et al., *Neural Bellman-Ford Networks* (2021), and
Zhang & Yao, *Knowledge Graph Reasoning with Relational Digraph* (2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.fused import normalise_add
from cortigraph.reasoning.reasoners.kernel import propagate
from cortigraph.reasoning.reasoners.structure import Structure

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
        self.relations, self.dropout = relations, dropout

    def forward(self, state: Tensor, heads: Tensor, query: Tensor, edges: Structure) -> Tensor:
        """One layer.

        Args:
            state: (nodes, batch, width).
            heads: Where paths begin: (batch).
            query: (batch, width).
            edges: Of the graph.

        Returns:
            (nodes, batch, width).
        """
        nodes, batch, width = state.shape
        relation = self.relation(query).view(batch, self.relations, width).transpose(0, 1)
        sums = propagate(state.view(nodes, -1), relation.reshape(self.relations, -1), edges)
        sums = sums.view_as(state).index_put((heads, torch.arange(batch)), query, accumulate=True)
        flat = state.view(-1, width)
        x = torch.addmm(self.from_sums.bias, flat, self.from_state.weight.T)
        x = torch.addmm(x, sums.view(-1, width), self.from_sums.weight.T)
        dropout = self.dropout if self.training else 0.0
        seed = int(torch.randint(2**31, ())) if dropout else 0
        return normalise_add(x, flat, self.norm.weight, self.norm.bias, dropout, seed).view_as(state)


class PathNetwork(nn.Module):
    """Scores all entities for a batch of queries.

    Args:
        relations: How many there are, in both directions.
        width: Channels of a state.
        layers: Steps that a path may have.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, relations: int, width: int = 32, layers: int = 6, dropout: float = 0.1) -> None:
        super().__init__()
        self.query = nn.Embedding(relations, width)
        self.layers = nn.ModuleList(Layer(relations, width, dropout) for _ in range(layers))
        self.from_state = nn.Linear(width, 2 * width)
        self.from_query = nn.Linear(width, 2 * width, bias=False)
        self.last = nn.Linear(2 * width, 1)

    def forward(self, heads: Tensor, relations: Tensor, edges: Structure) -> Tensor:
        """Scores.

        Args:
            heads: (batch).
            relations: (batch).
            edges: Of the graph.

        Returns:
            (batch, nodes).
        """
        query = self.query(relations)
        state = query.new_zeros(edges.nodes, len(heads), query.shape[1])
        state = state.index_put((heads, torch.arange(len(heads))), query)
        for layer in self.layers:
            state = layer(state, heads, query, edges)
        hidden = torch.relu(self.from_state(state) + self.from_query(query))
        scores: Tensor = self.last(hidden).squeeze(-1)
        return scores.T
