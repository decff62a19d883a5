"""Watching a group from outside: which rank has fallen silent, and which keeps the others waiting.

A rank's beat comes every second from a thread of its own; it tells how many exchanges the rank has come to and come
back from. So a process that is stopped is seen (no beat), and also one that lives but never comes to the exchange at
which the others wait, whatever the engine.
"""

from __future__ import annotations

import time

from cortigraph.train.spool import Spool

__all__ = ["Watch"]

_LOOK = 0.2  # seconds between two looks


class Watch:
    """Looks at the beats of a group.

    Args:
        spool: Where they are.
        size: Ranks.
        silence: Seconds without a beat after which a rank is taken for dead.
        stall: Seconds that ranks may keep others waiting.
    """

    def __init__(self, spool: Spool, size: int, silence: float, stall: float) -> None:
        self._spool, self._silence, self._stall = spool, silence, stall
        self._seen: list[tuple[int, float]] = [(0, 0.0)] * size  # beat, and when by our clock we saw it change
        self._moved: tuple[tuple[int, int], ...] = ()
        self._since = self._looked = time.monotonic()

    def look(self, started: int) -> tuple[tuple[int, ...], str]:
        """Who is to blame for what; an empty text if all is well.

        Args:
            started: Look at so many ranks.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return (), ""
        self._looked = now
        for rank in range(started):
            if self._silent(rank, now) > self._silence:
                return (rank,), f"gave no sign of life for {self._silence:.0f} s"
        return self._waiting(started, now)

    def _silent(self, rank: int, now: float) -> float:
        # By our own clock since we saw the beat change: a machine that slept, or clocks that differ, prove nothing.
        beat = self._spool.last_beat(rank)
        before, since = self._seen[rank]
        if not beat or beat != before:
            self._seen[rank] = (beat, now)
            return 0.0
        return now - since

    def _waiting(self, started: int, now: float) -> tuple[tuple[int, ...], str]:
        counts = tuple(self._spool.exchanges(rank) for rank in range(started))
        waiting = [rank for rank, (arrived, left) in enumerate(counts) if arrived > left]
        if counts != self._moved or not waiting:
            self._moved, self._since = counts, now
            return (), ""
        if now - self._since < self._stall:
            return (), ""
        missing = tuple(rank for rank in range(started) if rank not in waiting)
        if missing:
            return missing, f"kept the others waiting for {self._stall:.0f} s"
        return (), f"waited for each other for {self._stall:.0f} s: the link between them is lost"
