"""What can go wrong while training.

CortigraphError (graph.errors)
└── TrainError            training could not start, or ended before it was done
    ├── DivergedError     the loss is not finite: this network can't be trained so, another may
    ├── WorkerLostError   a rank was killed, fell silent, or kept the others waiting; the job can go on from its commit
    └── PausedError       a job stopped at a commit because it was asked to
"""

from __future__ import annotations

from pathlib import Path

from cortigraph.graph.errors import CortigraphError

__all__ = ["DivergedError", "PausedError", "TrainError", "WorkerLostError"]


class TrainError(CortigraphError):
    """Training could not start, or ended before it was done; the message says which worker and why."""


class DivergedError(TrainError):
    """The loss is not finite: this network can't be trained with these settings, another may."""


class WorkerLostError(TrainError):
    """A rank was lost.

    Args:
        message: Which, and why.
        ranks: Those to blame; empty if it is the link between all of them.
        logs: Folder of the logs of all ranks.
    """

    def __init__(self, message: str, ranks: tuple[int, ...], logs: Path) -> None:
        super().__init__(message)
        self.ranks = ranks
        self.logs = logs


class PausedError(TrainError):
    """A job stopped at a commit because it was asked to; it goes on from there."""
