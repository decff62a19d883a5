"""Scouts: before a step is taken, which of what it would newly reach is worth going on from.

A step on a large graph reaches ten times as much as is gone on from. A scout goes it for each query alone, keeps
nothing but a number for each entity that it comes to, and says which are the best; the step itself, which is learned
from, then leads to those only. After the last step the number is the score. Then it is learned from the best, from the
true answer, and from some others drawn at random, each of which stands for many: the sum in the softmax is the same on
average (a sum over a sample of known shares; Horvitz & Thompson, 1952).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.path.frontier import Frontier, Step, Walked, arranged, hidden_of
from cortigraph.reasoning.reasoners.path.fused import Judge
from cortigraph.reasoning.reasoners.path.layer import Layer
from cortigraph.reasoning.reasoners.structure import Rows, Structure
from cortigraph.reasoning.reasoners.threads import compiled

__all__ = ["Scout"]


@dataclass(frozen=True, eq=False)
class Scout:
    """Where a step begins.

    Args:
        frontier: What is reached.
        state: Its states: (rows, width).
        table: What relations mean: (queries * relations, width).
        query: (queries, width).
        edges: Of the graph, in both directions.
        hidden: For each query the fact that is asked for, which it must not see: (queries, 3); none where it is -1.
    """

    frontier: Frontier
    state: Tensor
    table: Tensor
    query: Tensor
    edges: Structure
    hidden: Rows | None = None

    def step(
        self, layer: Layer, gate: nn.Linear, most: int, judge: Judge | None = None, walks: bool = True
    ) -> tuple[Step | None, Tensor]:
        """The step to the most promising of what would be newly reached.

        Args:
            layer: The step; nothing of it is dropped.
            gate: Tells the worth of a state.
            most: How many, at most, for each query.
            judge: Tells scores, which are then what counts; for the last step.
            walks: Whether the step is wanted at all.

        Returns:
            The step; and with a judge, of all that it would reach, (queries, entities), NaN elsewhere: their scores,
            or if the step is wanted, what is to be added to the scores after it, `EXCLUDED` where it does not lead.
        """
        scores = self.state.new_full((len(self.query) if judge else 0, self.edges.nodes), torch.nan)
        seed = int(torch.randint(2**31, ())) if judge and walks else 0
        with torch.no_grad():
            walked = self._look(layer, gate, most, judge, walks, seed, scores)
        return arranged(self.frontier, walked, self.edges.relations) if walks else None, scores

    def _look(
        self, layer: Layer, gate: nn.Linear, most: int, judge: Judge | None, walks: bool, seed: int, scores: Tensor
    ) -> Walked:
        edges, out, found = self.edges, self.edges.by_source, Walked.empty(self.frontier, self.edges)
        verdict = (judge.weight.T, judge.asked, judge.last) if judge else (self.state[:0].T, self.query, self.state[0])
        from_state, from_sums, *rest = layer.weights(gate).tensors()
        learned = from_sums.T, from_state.T, *rest
        tensors = self.state, self.table, self.query, *learned, *verdict
        _loops().look(
            self.frontier.first, self.frontier.entity, out.first, out.left, out.right,
            hidden_of(self.frontier, self.hidden), found.turns, edges.relations // 2, edges.relations,
            *(each.detach().contiguous().numpy() for each in tensors), most, _others(most), seed, walks,
            found.room, found.source, found.relation, found.target, found.entity, found.counts, scores.numpy(),
        )  # fmt: skip
        if judge is not None and not walks:
            scores += judge.shift
        return found


def _others(most: int) -> int:
    """How many are drawn from those that are not among the best."""
    return max(1, most // 2)


def _loops() -> Any:
    return compiled("cortigraph.reasoning.reasoners.path._scout_loops")
