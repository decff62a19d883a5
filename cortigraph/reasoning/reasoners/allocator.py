"""Keeping memory: blocks that were freed are kept for the next step, instead of given back and faulted in again.

With the defaults of the allocator a training step spends most of its time in page faults: large tensors come and go,
and each is mapped anew. Measured in benchmarks/kernel.py.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache

import numpy as np

__all__ = ["keep_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGE = 2**30
_AHEAD = _LARGE // 2  # bytes; with all that is freed beside it, it must stay below what is trimmed


@cache
def keep_memory() -> bool:
    """Tells glibc to keep what is freed, in large pages, for this process; does nothing elsewhere.

    Returns:
        Whether it took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every libc has it
    took = mallopt is not None and all(mallopt(name, _LARGE) == 1 for name in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
    if took:
        # NumPy asks the system for large pages for what it allocates. Freed untouched, this stays at the end of the
        # heap, and what comes later is cut from it: a tenth less time for loops over rows that lie anywhere.
        np.empty(_AHEAD, dtype=np.uint8)
    return took
