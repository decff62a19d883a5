"""Reads ahead: an iterator runs in a thread of its own, so that unpacking and parsing overlap with what uses them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
_DEPTH = 2  # bounds memory: so many items wait at most
_PATIENCE = 0.1  # how often a thread that waits looks whether anybody still wants what it makes


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, made by another thread while the last ones are used.

    Args:
        items: Whatever they raise is raised here.

    Example:
        >>> list(ahead(range(3)))
        [0, 1, 2]
    """
    made: queue.Queue[T | _End] = queue.Queue(_DEPTH)
    unwanted = threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, unwanted), daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        thread.join()


def _make(items: Iterable[T], made: queue.Queue[T | _End], unwanted: threading.Event) -> None:
    source = iter(items)
    try:
        for item in source:
            if not _put(made, item, unwanted):
                return
        _put(made, _End(None), unwanted)
    except BaseException as error:
        _put(made, _End(error), unwanted)
    finally:
        if hasattr(source, "close"):  # a file that is not read to its end is closed now, not some time
            source.close()


def _put(made: queue.Queue[T | _End], item: T | _End, unwanted: threading.Event) -> bool:
    while not unwanted.is_set():
        try:
            made.put(item, timeout=_PATIENCE)
            return True
        except queue.Full:
            continue
    return False
