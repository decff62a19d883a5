"""Pace: how fast a reasoner answers, so that what closes a training, where its time is limited, is in time."""

from __future__ import annotations

import time
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from cortigraph.reasoning.reasoners.base import Reasoner
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.structure import Rows
from cortigraph.train.clock import Clock

__all__ = ["VALIDATION", "in_time", "seconds_a_query", "spread"]

VALIDATION = 0.05  # share of a limited time that one validation, or the calibration, may take
_SAVING = 0.03
_LEAST = 4  # facts that are ranked however short the time is
_TRIED = 8  # queries at a time: one alone takes longer than its share of many

_Settings = TypeVar("_Settings", bound=BaseModel)


def in_time(settings: _Settings, clock: Clock | None) -> _Settings:
    """Settings of a training with the seconds that are left for it, so that there are some to calibrate and to save in.

    Args:
        settings: With `seconds`.
        clock: Of all that is to be done; none if there is nothing else to be done.
    """
    if clock is None or clock.seconds is None:
        return settings
    left = clock.left - (VALIDATION + _SAVING) * clock.seconds
    return settings.model_copy(update={"seconds": max(left, VALIDATION * clock.seconds)})


def seconds_a_query(reasoner: Reasoner, facts: Facts, queries: Rows) -> float:
    """How long a reasoner takes to score one of many queries.

    Args:
        reasoner: Any.
        facts: What it may know.
        queries: (any, 2), at least one: what it is tried on.
    """

    def tried(count: int) -> float:
        began = time.perf_counter()
        reasoner.score(facts, np.ascontiguousarray(queries[:count]))
        return (time.perf_counter() - began) / min(count, len(queries))

    tried(1)  # compiles, and fills caches
    return tried(min(_TRIED, reasoner.batch))


def spread(rows: Rows, seconds: float, a_row: float) -> Rows:
    """As many rows as there is time for, from all over the table.

    Args:
        rows: (any, any).
        seconds: For all of them.
        a_row: Seconds that one takes.

    Example:
        >>> spread(np.arange(100)[:, None], 2.0, 0.1)[:3].ravel().tolist()
        [0, 5, 10]
    """
    most = max(_LEAST, int(seconds / max(a_row, 1e-9)))
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
