"""Clocks: how long something may take, looked at while it goes on, and telling how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

__all__ = ["Clock", "OnPart", "ignore"]

OnPart = Callable[[str, int, int], None]
"""Told what is done, how much of it is, and of how much."""


def ignore(what: str, done: int, whole: int) -> None:
    """Tells nobody."""


class Clock:
    """Wall-clock time that may be spent.

    Args:
        seconds: In all; none for as long as it takes.
        spent: Of those, before now: by a training that was interrupted, say.

    Example:
        >>> Clock(60, spent=60).left, Clock().left
        (0.0, inf)
    """

    def __init__(self, seconds: float | None = None, spent: float = 0.0) -> None:
        self.seconds = seconds
        self._began = time.monotonic() - spent

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds until time is over: never less than none."""
        return float("inf") if self.seconds is None else max(0.0, self.seconds - self.elapsed)

    def part(self, share: float) -> float | None:
        """A share of all its seconds; none of a clock without end."""
        return None if self.seconds is None else share * self.seconds

    @classmethod
    def begun(cls, seconds: float | None, before: float) -> Clock:
        """A clock that has run for a while when it is first looked at; half of its time is left in any case.

        Args:
            seconds: In all.
            before: Seconds that whoever waits has waited already: for a command to start, say.

        Example:
            >>> round(Clock.begun(60, 2).left), round(Clock.begun(2, 5).left)
            (58, 1)
        """
        return cls(seconds, spent=0.0 if seconds is None else min(before, seconds / 2))

    def split(self, parts: int) -> Clock:
        """A clock for the first of so many things that share what is left alike.

        Example:
            >>> round(Clock(60).split(3).left), Clock().split(3).left
            (20, inf)
        """
        return Clock(None if self.seconds is None else self.left / parts)

    def face(self) -> list[float]:
        """What another process needs to have the same clock: its seconds, and when it began; nothing without end."""
        return [] if self.seconds is None else [self.seconds, time.time() - self.elapsed]

    @classmethod
    def like(cls, face: Sequence[float]) -> Clock:
        """The clock of another process, of this host or one whose time is the same.

        Example:
            >>> round(Clock.like(Clock(60, spent=20).face()).left)
            40
        """
        return cls(face[0], spent=time.time() - face[1]) if face else cls()

    def tell(self, on_part: OnPart, what: str, done: int, whole: int) -> None:
        """Tells how far a training is: by time where that ends it first, else by what is done.

        Args:
            on_part: Is told.
            what: Is counted.
            done: So many of these.
            whole: Of so many.
        """
        if self.seconds is not None and self.elapsed * whole > self.seconds * done:
            on_part("training, seconds", round(min(self.elapsed, self.seconds)), round(self.seconds))
        else:
            on_part(f"training, {what}", done, whole)
