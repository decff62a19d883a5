"""Is the memory whole? Looks for what the schema can't forbid: things that dangle, lack a part, or contradict.

Finding something is no error: `check` returns problems, and who called it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortigraph.graph import cypher
from cortigraph.graph.home import Home
from cortigraph.graph.schema import EMBEDDING_DIMENSIONS, MIGRATIONS, Executor, Label
from cortigraph.graph.sums import SUMS, DamagedError, Sums, compared

__all__ = ["Problem", "check", "damaged"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        kind: Which of the checks found it, in a few words.
        label: Of the node.
        key: Of the node; the server's own identifier where it has none.
        text: What is wrong with it.

    Example:
        >>> str(Problem("region without area", "Region", "x/1", "is in no area"))
        'Region x/1 is in no area'
    """

    kind: str
    label: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.label} {self.key} {self.text}"


def check(store: Executor, weights_exist: Callable[[str], bool] | None = None) -> list[Problem]:
    """Look through the whole store; it is only read.

    Args:
        store: An open store.
        weights_exist: Says whether weights of a hash are in the weight store; left out, hashes are not looked at.

    Returns:
        Every problem, in a stable order; empty if all is well.

    Raises:
        StoreError: The store can't be read.

    Example:
        >>> check(store)  # doctest: +SKIP
        []
    """
    parameters = {
        "known": [str(label) for label in Label],
        "dimensions": {str(label): dimension for label, dimension in EMBEDDING_DIMENSIONS.items()},
    }
    problems = _migrations(store)
    for kind, text, query in cypher.CHECKS:
        rows = store.read(query, **parameters)
        problems += sorted((_problem(kind, text, row) for row in rows), key=lambda problem: problem.key)
    if weights_exist is not None:
        problems += _weights(store, weights_exist)
    return problems


def _problem(kind: str, text: str, row: dict[str, Any]) -> Problem:
    detail = row.get("detail")
    said = ", ".join(map(str, detail)) if isinstance(detail, list) else str(detail)
    return Problem(kind, row["label"] or "a node", str(row["key"]), text.format(detail=said or "none"))


def _migrations(store: Executor) -> list[Problem]:
    """Every number from 1 to the newest must be recorded."""
    recorded = {row["version"] for row in store.read(cypher.MIGRATIONS)}
    return [
        Problem("migration missing", Label.MIGRATION, migration.key, f"({migration.name}) is not recorded")
        for migration in MIGRATIONS
        if migration.version not in recorded
    ]


def _weights(store: Executor, weights_exist: Callable[[str], bool]) -> list[Problem]:
    problems = []
    for row in store.read(cypher.REFERENCED_WEIGHTS):
        if not weights_exist(row["weights"]):
            label, key = row["user"]
            others = f" (and {row['users'] - 1} more)" if row["users"] > 1 else ""
            problems.append(
                Problem("weights missing", label, key, f"refers to weights {row['weights']} that don't exist{others}")
            )
    return problems


def damaged(home: Home) -> list[Problem]:
    """Reads every file of a home that has a checksum: weights, archives of batches, decoded data, snapshots.

    Args:
        home: Whose files.

    Returns:
        Those that hold something else than what was written, with what mends them; empty if all is well.
    """
    problems = []
    for path, expected, remedy in _with_sums(home):
        try:
            compared(path, expected, remedy)
        except DamagedError as error:
            problems.append(Problem("file damaged", "File", str(path), str(error).removeprefix(f"{path} ")))
        except OSError as error:
            problems.append(Problem("file damaged", "File", str(path), f"can't be read: {error.strerror}; {remedy}"))
    return problems


def _with_sums(home: Home) -> Iterator[tuple[Path, str, str]]:
    for path in sorted(home.weights.glob("??/*.safetensors")):
        yield path, path.stem, "train or add it again, or restore a backup of the home"
    remedies = {home.batches: "restore a backup of the home", home.cache: "delete its folder, it is made again"}
    for root, remedy in remedies.items():
        for sums in sorted(root.rglob(SUMS)):
            try:
                yield from ((sums.parent / name, digest, remedy) for name, digest in Sums(sums.parent, remedy).items())
            except DamagedError:
                yield sums, "", remedy
