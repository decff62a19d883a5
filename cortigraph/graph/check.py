"""Is the memory whole? Looks for what the schema can't forbid: things that dangle, lack a part, or contradict.

Finding something is no error: `check` returns problems, and who called it decides.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortigraph.graph import _checks, cypher
from cortigraph.graph.home import Home
from cortigraph.graph.names import OWN_LABELS, Label, RelType, instead
from cortigraph.graph.schema import EMBEDDING_DIMENSIONS, MIGRATIONS, Executor
from cortigraph.graph.sums import SUMS, DamagedError, Sums, compared

__all__ = ["Problem", "check", "damaged", "mend", "taken_names"]

_MENDED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        kind: Which of the checks found it, in a few words.
        label: Of the node.
        key: Of the node; the server's own identifier where it has none.
        text: What is wrong with it.
        mend: The command that mends it; empty where that depends on what was meant.

    Example:
        >>> str(Problem("region without area", "Region", "x/1", "is in no area"))
        'Region x/1 is in no area'
    """

    kind: str
    label: str
    key: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.label} {self.key} {self.text}" + (f"; `{self.mend}` mends it" if self.mend else "")


_MENDS = {
    **dict.fromkeys(_checks.TAKEN_CHECKS, "cortigraph db mend"),
    "not of the ledger": (
        "cortigraph cypher 'MATCH (n:{label} {{key: $key}}) DETACH DELETE n' --param key={key} --write"
    ),
}


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
    for kind, text, query in _checks.CHECKS:
        rows = store.read(query, **parameters)
        problems += sorted((_problem(kind, text, row) for row in rows), key=lambda problem: problem.key)
    if weights_exist is not None:
        problems += _weights(store, weights_exist)
    return problems


def taken_names(store: Executor) -> dict[str, int]:
    """How many entities, and facts between them, carry a name of the store's own: the part of `check` that is quick.

    Args:
        store: Only read.

    Returns:
        Check → how many it finds; only what is found.
    """
    queries = {kind: query for kind, _, query in _checks.CHECKS if kind in _checks.TAKEN_CHECKS}
    known = [str(label) for label in Label]
    found = {kind: len(store.read(query, known=known)) for kind, query in queries.items()}
    return {kind: count for kind, count in found.items() if count}


def mend(store: Executor) -> list[tuple[str, str, str]]:
    """Gives entities another label, and facts another type, where theirs is one of the store's own.

    Args:
        store: May be changed; a part of it is, in each transaction.

    Returns:
        Key, what it was called, and what it is called now, for each.

    Example:
        >>> mend(store)  # doctest: +SKIP
        [('ipa', 'Batch', 'DataBatch')]
    """
    others = {label: instead(label) for label in OWN_LABELS}
    told: list[tuple[str, str, str]] = []
    while rows := store.write(_checks.RELABEL, own=sorted(OWN_LABELS), instead=others, most=_MENDED_AT_ONCE).rows:
        told += [(str(row["key"]), label, others[label]) for row in rows for label in row["own"]]
    while rows := store.write(_checks.RETYPE, most=_MENDED_AT_ONCE).rows:
        told += [(str(row["key"]), str(RelType.PREDICTED), instead(RelType.PREDICTED)) for row in rows]
    return told


def _problem(kind: str, text: str, row: dict[str, Any]) -> Problem:
    detail = row.get("detail")
    said = ", ".join(map(str, detail)) if isinstance(detail, list) else str(detail)
    told = text.format(detail=said or "none")
    label, key = row["label"] or "a node", str(row["key"])
    return Problem(kind, label, key, told, _MENDS.get(kind, "").format(label=label, key=shlex.quote(key)))


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
    for row in store.read(_checks.REFERENCED_WEIGHTS):
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
