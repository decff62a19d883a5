"""Scouts: before a step is taken, which of what it would newly reach is worth going on from.

A step on a large graph reaches ten times as much as is gone on from. A scout goes it for each query alone, keeps
nothing but a number for each entity that it comes to, and says which are the best; the step itself, which is learned
from, then leads to those only. After the last step the number is the score: all are then judged, and what is learned
flows back through the best and the true answer, whose shares of the softmax are nearly all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import in_plain_torch, propagate
from cortigraph.reasoning.reasoners.path.frontier import Frontier, Step, Walked, arranged, expand, facts_of
from cortigraph.reasoning.reasoners.path.fused import Judge, judged
from cortigraph.reasoning.reasoners.path.layer import Layer
from cortigraph.reasoning.reasoners.structure import Rows, Structure
from cortigraph.reasoning.reasoners.threads import follow_torch

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
            judge: Tells scores, which are then what counts; the tail of a fact that is asked for is always taken.
            walks: Whether the step is wanted at all.

        Returns:
            The step; and the scores of all that it would reach, (queries, entities), NaN elsewhere; empty without a
            judge.
        """
        scores = self.state.new_full((len(self.query) if judge else 0, self.edges.nodes), torch.nan)
        with torch.no_grad():
            look = self._plain if in_plain_torch() else self._compiled
            walked = look(layer, gate, most, judge, walks, scores)
        return arranged(self.frontier, walked, self.edges.relations) if walks else None, scores

    def _compiled(
        self, layer: Layer, gate: nn.Linear, most: int, judge: Judge | None, walks: bool, scores: Tensor
    ) -> Walked:
        edges, out, found = self.edges, self.edges.by_source, Walked.empty(self.frontier, self.edges)
        verdict = (judge.weight.T, judge.asked, judge.last) if judge else (self.state[:0].T, self.query, self.state[0])
        learned = (layer.from_sums.weight.T, layer.from_state.weight.T, layer.from_sums.bias, layer.norm.weight,
                   layer.norm.bias, torch.cat([gate.weight[0], gate.bias]))  # fmt: skip
        tensors = self.state, self.table, self.query, *learned, *verdict
        _loops().look(
            self.frontier.first, self.frontier.entity, out.first, out.left, out.right,
            facts_of(self.frontier, self.hidden), found.turns, edges.relations // 2, edges.relations,
            *(each.detach().contiguous().numpy() for each in tensors), most, walks,
            found.room, found.source, found.relation, found.target, found.entity, found.counts, scores.numpy(),
        )  # fmt: skip
        if judge is not None:
            scores += judge.shift
        return found

    def _plain(
        self, layer: Layer, gate: nn.Linear, most: int, judge: Judge | None, walks: bool, scores: Tensor
    ) -> Walked:
        step, found = expand(self.frontier, self.edges, self.hidden), Walked.empty(self.frontier, self.edges)
        rows, entity = step.frontier.query, step.frontier.entity
        sums = propagate(self.state, self.table, step)
        sums.index_put_((torch.from_numpy(step.frontier.first[:-1]),), self.query, accumulate=True)
        state, worth = layer.renewed(self.state, sums, torch.from_numpy(step.old), gate, drops=False)
        assert worth is not None
        values = worth if judge is None else judged(state, judge, rows)
        if judge is not None:
            scores[torch.from_numpy(rows), torch.from_numpy(entity)] = values
        facts, fresh = facts_of(self.frontier, self.hidden), np.ones(len(rows), dtype=bool)
        fresh[step.old] = False
        source, kind = step.by_source.owners, step.by_source.right % self.edges.relations
        for query in range(len(facts)):
            new = np.flatnonzero(fresh & (rows == query))
            best = new[np.argsort(-values.numpy()[new], kind="stable")[:most]]
            answer = new[entity[new] == facts[query, 2]] if judge is not None else new[:0]
            kept = np.concatenate([np.flatnonzero(~fresh & (rows == query)), np.union1d(best, answer)])
            number = np.full(len(rows), -1)
            number[kept] = np.arange(len(kept))
            walked = np.flatnonzero(number[step.by_source.left] >= 0)
            begin, at = found.room[query] + self.frontier.first[query], found.room[query]
            found.entity[begin : begin + len(kept)] = entity[kept]
            edges = slice(at, at + len(walked))
            found.source[edges], found.relation[edges] = source[walked], kind[walked]
            found.target[edges] = number[step.by_source.left[walked]]
            found.counts[query] = len(kept), len(walked)
        return found


def _loops() -> Any:
    from cortigraph.reasoning.reasoners.path import _scout_loops

    follow_torch()
    return _scout_loops
