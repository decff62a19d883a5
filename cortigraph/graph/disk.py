"""What a disk refuses is something a user can mend: it is told as such, wherever it shows."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from cortigraph.graph.errors import StoreError

__all__ = ["disk_told"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
# What is wrong with a place that a user has named: no way in, a file where a folder should be, a name that can be none.
_MISPLACED = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}


@contextmanager
def disk_told() -> Iterator[None]:
    """Tells what a disk refuses as an error of ours; every other error passes.

    Raises:
        StoreError: The disk is full, over its quota, read-only or broken, or a place can't be one.

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
        if error.errno not in _FULL and not (error.errno in _MISPLACED and error.filename):
            raise
        place = f"{error.filename}: " if error.filename else "the disk: "
        raise StoreError(f"{place}{error.strerror}; mend that and run the same again") from error
