"""The network of the path reasoner: query-conditioned relational message passing from the head outwards.

After layer l, the state of an entity sums over all paths of up to l steps from the head of the query to it; each step is
weighted by what its relation means for the query's relation. Nothing is learned about single entities, so the network
answers about any graph whose relations it knows. See Zhu et al., *Neural Bellman-Ford Networks* (2021), and Zhang & Yao,
*Knowledge Graph Reasoning with Relational Digraph* (2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
        self.update = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.relations, self.width = relations, width

    def forward(self, state: Tensor, start: Tensor, query: Tensor, edges: Structure) -> Tensor:
        """One layer.

        Args:
            state: (nodes, batch, width).
            start: Zero but at the heads, where it is the query: (nodes, batch, width).
            query: (batch, width).
            edges: Of the graph.

        Returns:
            (nodes, batch, width).
        """
        nodes, batch, width = state.shape
        relation = self.relation(query).view(batch, self.relations, width).transpose(0, 1)
        sums = propagate(state.reshape(nodes, -1), relation.reshape(self.relations, -1), edges)
        both = torch.cat([state, sums.view_as(state) + start], dim=-1)
        return state + self.dropout(torch.relu(self.norm(self.update(both))))


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
        self.readout = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

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
        start = query.new_zeros(edges.nodes, len(heads), query.shape[1])
        start = start.index_put((heads, torch.arange(len(heads))), query)
        state = start
        for layer in self.layers:
            state = layer(state, start, query, edges)
        both = torch.cat([state, query.expand_as(state)], dim=-1)
        scores: Tensor = self.readout(both).squeeze(-1)
        return scores.T
