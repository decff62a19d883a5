"""Threads for work that waits or computes outside of Python, and that nobody waits for once it is not wanted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["threads"]


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool for as long as the block lasts. Of a block that fails, what has not begun never does; on Ctrl-C we leave.

    Args:
        count: How many work at once.

    Example:
        >>> with threads(2) as pool:
        ...     list(pool.map(abs, [-1, 2]))
        [1, 2]
    """
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
