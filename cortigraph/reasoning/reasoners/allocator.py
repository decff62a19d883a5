"""Keeping memory: blocks that were freed are kept for the next step, instead of given back and faulted in again.

With the defaults of the allocator a training step spends most of its time in page faults: large tensors come and go,
and each is mapped anew. Measured in benchmarks/kernel.py.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from functools import cache

__all__ = ["keep_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGE = 2**30


@cache
def keep_memory() -> bool:
    """Tells glibc to keep what is freed, for this process; does nothing elsewhere.

    Returns:
        Whether it took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every libc has it
    return mallopt is not None and all(mallopt(name, _LARGE) == 1 for name in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
