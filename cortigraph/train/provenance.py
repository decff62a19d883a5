"""Provenance: what every result carries, so that it can be had again."""

from __future__ import annotations

import json
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["commit", "now", "provenance", "versions"]

_PACKAGES = ("cortigraph", "torch", "numpy", "neo4j", "horovod")


def provenance(seed: int) -> dict[str, Any]:
    """The properties that every run in the graph has besides its metrics.

    Example:
        >>> sorted(provenance(0))
        ['commit', 'finished_at', 'seed', 'versions']
    """
    return {"seed": seed, "versions": json.dumps(versions()), "commit": commit(), "finished_at": now()}


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def versions() -> dict[str, str]:
    """Package → version, of those that may change a result; Python's too."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """The commit of the checkout that runs, with `+` if it was changed since; `release` outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "release"
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(root: Path, *words: str) -> str:
    told = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
    return told.stdout.strip()
