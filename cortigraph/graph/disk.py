"""A disk that takes no more is something a user can mend: it is told as such, wherever it shows."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from cortigraph.graph.errors import StoreError

__all__ = ["disk_told"]

_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@contextmanager
def disk_told() -> Iterator[None]:
    """Tells what a disk refuses as an error of ours; every other error passes.

    Raises:
        StoreError: The disk is full, over its quota, read-only or broken.

    Example:
        >>> with disk_told():
        ...     raise OSError(errno.ENOSPC, "No space left on device", "/data/batches")
        Traceback (most recent call last):
            ...
        cortigraph.graph.errors.StoreError: /data/batches: No space left on device; mend that and run the same again
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        place = f"{error.filename}: " if error.filename else "the disk: "
        raise StoreError(f"{place}{error.strerror}; mend that and run the same again") from error
