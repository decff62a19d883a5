"""What can go wrong while training.

CortigraphError (graph.errors)
└── TrainError           training could not start, or ended before it was done
    └── DivergedError    the loss is not finite: this network can't be trained so, another may
"""

from __future__ import annotations

from cortigraph.graph.errors import CortigraphError

__all__ = ["DivergedError", "TrainError"]


class TrainError(CortigraphError):
    """Training could not start, or ended before it was done; the message says which worker and why."""


class DivergedError(TrainError):
    """The loss is not finite: this network can't be trained with these settings, another may."""
