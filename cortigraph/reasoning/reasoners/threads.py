"""Threads: compiled loops run on as many as torch does, so that one number says it for both."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["compiled"]


def compiled(module: str) -> Any:
    """A module of compiled loops, imported when it is first asked for: importing Numba takes a while.

    Numba's threads are set to torch's, as far as Numba was started with so many.

    Args:
        module: Its full name.
    """
    import numba
    import torch

    numba.set_num_threads(max(1, min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)))
    return import_module(module)
