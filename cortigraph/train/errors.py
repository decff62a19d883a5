"""What can go wrong while training.

CortigraphError (graph.errors)
└── TrainError    training could not start, or ended before it was done
"""

from __future__ import annotations

from cortigraph.graph.errors import CortigraphError

__all__ = ["TrainError"]


class TrainError(CortigraphError):
    """Training could not start, or ended before it was done; the message says which worker and why."""
