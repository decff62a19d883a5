"""Threads: compiled loops run on as many as torch does, so that one number says it for both."""

from __future__ import annotations

import torch

__all__ = ["follow_torch"]


def follow_torch() -> None:
    """Sets Numba's threads to torch's, as far as Numba was started with so many."""
    import numba

    numba.set_num_threads(max(1, min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)))
