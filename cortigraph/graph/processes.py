"""Processes of this machine, as leases in the graph name them."""

from __future__ import annotations

import os
import socket

__all__ = ["alive", "myself"]


def myself() -> dict[str, str | int | float]:
    """This process: `host`, `pid`, and when it was `started`, because numbers are given again."""
    import psutil

    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def alive(pid: int, started: float) -> bool:
    """Whether a process of this machine still runs.

    Args:
        pid: Its number.
        started: When it was started: numbers are given again.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        # A zombie is dead; where nothing reaps orphans it would look alive for ever.
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
