"""Progress bars on the error stream, for whatever tells how far it is by name, done and whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cortigraph.graph.home import Home
    from cortigraph.graph.store import Store

__all__ = ["Bars", "bars", "opened"]

QUIET_SECONDS = 2.0


class Bars:
    """Shown only once things take longer than two seconds, and only to a person."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress = _progress()
        self._timer = threading.Timer(QUIET_SECONDS, self._progress.start)
        self._timer.daemon = True
        if self._progress.console.is_terminal:
            self._timer.start()

    def __call__(self, what: str, done: int, whole: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=None)
        # Nothing done yet: a bar that moves to and fro, because some things can't say how far they are.
        self._progress.update(self._tasks[what], completed=done, total=whole if done else None)

    def stop(self) -> None:
        """Takes the bars away."""
        self._timer.cancel()
        self._progress.stop()


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars, for as long as the block lasts."""
    shown = Bars()
    try:
        yield shown
    finally:
        shown.stop()


@contextmanager
def opened(home: str | None, shown: Bars, *, read_only: bool = False) -> Iterator[tuple[Store, Home]]:
    """The store of a home, and the home.

    Args:
        home: As on the command line; else the usual one.
        shown: Told how far fetching the server is, on first use.
        read_only: Whether it may be changed.
    """
    from cortigraph.graph.home import Home
    from cortigraph.graph.store import open_store

    place = Home.resolve(home)
    shown("opening the store", 0, 0)
    with open_store(
        place if home else None,
        read_only=read_only,
        progress=lambda done, whole, text: shown("fetching the server", done, whole),
    ) as store:
        shown("opening the store", 1, 1)
        yield store, place


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
