"""What the benchmarks of the store share: homes that come and go, the machine in words, and the last line."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cortigraph.graph import server
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store, open_store

__all__ = ["address", "data_folder", "fresh", "last_line", "tell"]


@contextmanager
def fresh() -> Iterator[tuple[Store, Home]]:
    """An empty store in a home of its own; the server is stopped, and the home goes, at the end."""
    os.environ.setdefault("CORTIGRAPH_IDLE", "600")
    home = Home(Path(tempfile.mkdtemp(prefix="cortigraph-benchmark-")))
    try:
        with open_store(home) as store:
            yield store, home
    finally:
        server.stop(home)
        shutil.rmtree(home.root, ignore_errors=True)


def address(home: Home) -> tuple[str, str, str]:
    """URI, user and password of a home's server, for a peer that logs in by itself."""
    found = server.ensure(home)
    return found.uri, found.user, found.password


def data_folder() -> Path:
    """Where the published data lies: `CORTIGRAPH_DATA`, else `../shared/data` beside the project."""
    return Path(os.environ.get("CORTIGRAPH_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def tell(text: str) -> None:
    """Says how far it is."""
    print(text, file=sys.stderr, flush=True)


def last_line(**figures: Any) -> None:
    """Prints the figures, and what they were measured on."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({**rounded, "machine": machine}))
