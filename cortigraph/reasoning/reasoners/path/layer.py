"""One step of message passing: what a node makes of its state and of the messages that have reached it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cortigraph.reasoning.reasoners.path.fused import normalise_add

__all__ = ["Layer"]


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

    def forward(self, state: Tensor, sums: Tensor) -> Tensor:
        """States after the step.

        Args:
            state: Before it: (rows, width).
            sums: Of the messages that have come: (rows, width).
        """
        x = torch.addmm(self.from_sums.bias, state, self.from_state.weight.T)
        x = torch.addmm(x, sums, self.from_sums.weight.T)
        dropout = self.dropout if self.training else 0.0
        seed = int(torch.randint(2**31, ())) if dropout else 0
        return normalise_add(x, state, self.norm.weight, self.norm.bias, dropout, seed)
