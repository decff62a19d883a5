"""One step of message passing: what a node makes of its state and of the messages that reach it.

sums  = the messages that reach each row, and the query at its head
new   = relu(normalised(from_state(state) + from_sums(sums)))
state = (state + dropped out(new)) · sigmoid(priority)             the last factor only where frontiers are cut
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.kernel import Edges, in_torch_alone
from cortigraph.reasoning.reasoners.links import Links, propagate, with_triton
from cortigraph.reasoning.reasoners.path.dropped import keep_mask
from cortigraph.reasoning.reasoners.path.frontier import Step
from cortigraph.reasoning.reasoners.path.fused import Weights, stepped
from cortigraph.reasoning.reasoners.structure import Rows

__all__ = ["Layer", "TensorWay", "Way"]


@dataclass(frozen=True, eq=False)
class Way:
    """How a step goes.

    Args:
        edges: Along which.
        at: The row of each query's head, after it.
        old: For each row before, its row now; left out where they are the same.
    """

    edges: Edges
    at: Rows
    old: Rows | None = None

    @classmethod
    def along(cls, step: Step) -> Way:
        """That of a step outwards."""
        return cls(step, step.frontier.first[:-1], step.old)  # the head is the first that is reached

    def on(self, device: torch.device, relations: int) -> Way | TensorWay:
        """The same on a device; itself where compiled loops go it.

        Args:
            device: Where states are.
            relations: How many its edges have.
        """
        if not in_torch_alone(device):
            return self
        links = Links.of(self.edges.by_source, len(self.edges.by_target), relations, device)
        at = torch.as_tensor(self.at, device=device)
        return TensorWay(links, at, None if self.old is None else torch.as_tensor(self.old, device=device))


@dataclass(frozen=True, eq=False)
class TensorWay:
    """How a step goes in torch alone.

    Args:
        links: Along which.
        at: The row of each query's head, after it.
        old: For each row before, its row now; left out where they are the same.
    """

    links: Links
    at: Tensor
    old: Tensor | None = None


class Layer(nn.Module):
    """Renews the states of all rows.

    Args:
        width: Channels of a state.
        dropout: Share of what is learned that is hidden while training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.from_state = nn.Linear(width, width, bias=False)
        self.from_sums = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = dropout

    def forward(
        self,
        state: Tensor,
        table: Tensor,
        query: Tensor,
        way: Way | TensorWay,
        gate: nn.Linear | None = None,
        drops: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """States after the step, and how much each is worth going on from.

        Args:
            state: Before it: (rows, width).
            table: What relations mean, as `propagate` takes it; rows of the state are cut as its rows are.
            query: What is added to the sums of each head: (batch, width).
            way: Along which edges.
            gate: Tells the worth of a state, which counts as far as it is worth it; none where nothing is cut.
            drops: Whether anything is dropped while training.
        """
        if isinstance(way, TensorWay):
            sums = propagate(state.reshape(-1, table.shape[1]), table, way.links).view(-1, state.shape[1])
            return self.renewed(state, sums.index_add(0, way.at, query), way.old, gate, drops)
        return stepped(state, table, query, self.weights(gate), way.edges, way.at, way.old, *self._dropped(drops))

    def weights(self, gate: nn.Linear | None = None) -> Weights:
        """What it has learned, and the gate."""
        return Weights(
            self.from_state.weight, self.from_sums.weight, self.from_sums.bias, self.norm.weight, self.norm.bias, gate
        )

    def renewed(
        self,
        state: Tensor,
        sums: Tensor,
        old: Tensor | None = None,
        gate: nn.Linear | None = None,
        drops: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """The same in torch alone, when sums are at hand: on a GPU, and for those who ask for the gradients of sums.

        Args:
            state: Before the step.
            sums: Of the messages that have come, and of queries at heads: (rows now, width).
            old: For each row before, its row now.
            gate: See `forward`.
            drops: See `forward`.
        """
        x, before = torch.addmm(self.from_sums.bias, sums, self.from_sums.weight.T), state @ self.from_state.weight.T
        x = x + before if old is None else x.index_add(0, old, before)
        dropout, seed = self._dropped(drops)
        if x.is_cuda and with_triton():
            from cortigraph.reasoning.reasoners.path._triton_steps import renewed

            _, _, _, scale, shift, worth_of = self.weights(gate).tensors()
            return renewed(x, state, old, scale, shift, worth_of, dropout, seed)
        if old is not None:
            state = torch.zeros_like(sums).index_copy(0, old, state)
        new = torch.relu(nn.functional.layer_norm(x, x.shape[1:], self.norm.weight, self.norm.bias))
        if dropout:
            new = new * keep_mask(x.shape[0], x.shape[1], dropout, seed, x.device).to(x.dtype)
        state = state + new
        if gate is None:
            return state, None
        worth = gate(state)
        return state * torch.sigmoid(worth), worth.squeeze(1)

    def _dropped(self, drops: bool) -> tuple[float, int]:
        dropout = self.dropout if drops and self.training else 0.0
        return dropout, int(torch.randint(2**31, ())) if dropout else 0
