"""Lexicons: what each relation of a graph means for the relation that a query asks about.

The steps of a path are weighted by it. A `LearnedLexicon` knows relations by name; a `StructuralLexicon` by how they
meet the others in the graph at hand, so that it serves graphs and relations that nobody has seen before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.path.layer import Layer, Way
from cortigraph.reasoning.reasoners.path.relation_graph import MEETINGS, relation_graph
from cortigraph.reasoning.reasoners.structure import Rows, Structure

__all__ = ["LearnedLexicon", "Lexicon", "StructuralLexicon"]


class Lexicon(nn.Module, ABC):
    """What relations mean to a network."""

    @abstractmethod
    def context(self, asked: Rows, edges: Structure) -> tuple[Tensor, Tensor]:
        """What a batch of queries is about.

        Args:
            asked: Their relations: (batch).
            edges: Of the graph, in both directions.

        Returns:
            Each query's state at its head, (batch, width), and what `meaning` needs.
        """

    @abstractmethod
    def meaning(self, layer: int, context: Tensor) -> Tensor:
        """What each relation means in a step: (batch, relations, width).

        Args:
            layer: Which step, from 0.
            context: The second that `context` returned.
        """


class LearnedLexicon(Lexicon):
    """A vector for each relation that can be asked for, and for each step what the others mean for it.

    Args:
        relations: How many there are, in both directions.
        width: Channels of a state.
        layers: Steps that a path may have.
    """

    def __init__(self, relations: int, width: int, layers: int) -> None:
        super().__init__()
        self.query = nn.Embedding(relations, width)
        self.meanings = nn.ModuleList(nn.Linear(width, relations * width) for _ in range(layers))
        self.relations = relations

    def context(self, asked: Rows, edges: Structure) -> tuple[Tensor, Tensor]:
        query = self.query(torch.as_tensor(asked, device=self.query.weight.device))
        return query, query

    def meaning(self, layer: int, context: Tensor) -> Tensor:
        told: Tensor = self.meanings[layer](context)
        return told.view(len(context), self.relations, -1)


class StructuralLexicon(Lexicon):
    """A state for each relation, found by passing messages over the graph of relations from the one that is asked for.

    Args:
        width: Channels of a state.
        layers: Steps that a path may have.
        steps: Steps over the graph of relations.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, width: int, layers: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.meetings = nn.ParameterList(nn.Parameter(torch.randn(MEETINGS, width) * 0.5) for _ in range(steps))
        self.steps = nn.ModuleList(Layer(width, dropout) for _ in range(steps))
        self.meanings = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(layers)
        )
        self.width = width
        self._graphs: WeakKeyDictionary[Structure, Structure] = WeakKeyDictionary()

    def context(self, asked: Rows, edges: Structure) -> tuple[Tensor, Tensor]:
        whole = edges.whole
        if whole not in self._graphs:
            self._graphs[whole] = relation_graph(whole)
        graph, (distinct, back) = self._graphs[whole], np.unique(asked, return_inverse=True)
        count, device = len(distinct), self.meetings[0].device
        way = Way(graph, distinct * count + np.arange(count)).on(device, MEETINGS)
        begin, at = torch.ones(count, self.width, device=device), torch.as_tensor(way.at, device=device)
        state = begin.new_zeros(graph.nodes * count, self.width).index_put((at,), begin)
        for meetings, step in zip(self.meetings, self.steps, strict=True):
            table = meetings.unsqueeze(1).expand(-1, count, -1).reshape(MEETINGS, -1)
            state, _ = step(state, table, begin, way)
        places, rows = (torch.as_tensor(each, device=device) for each in (back, asked))
        context = state.view(graph.nodes, count, -1).transpose(0, 1)[places]
        return context[torch.arange(len(asked), device=device), rows], context

    def meaning(self, layer: int, context: Tensor) -> Tensor:
        told: Tensor = self.meanings[layer](context)
        return told
