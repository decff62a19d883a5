"""What the graph is made of: labels, relationship types, embedding dimensions, and the recorded migrations.

A migration is a list of statements that may run twice without harm; when all have run it is recorded as a node
`(:Migration {key, version, name, applied_at})`. Two processes that migrate at once therefore do the same thing twice
and record it once. A released migration is never edited: what changes comes as a new one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from cortigraph.graph import cypher, definitions
from cortigraph.graph._driver import BusyError
from cortigraph.graph.errors import QueryError, StoreError
from cortigraph.graph.names import Label, RelType

__all__ = [
    "DATASET_DIMENSION",
    "EMBEDDING_DIMENSIONS",
    "MIGRATIONS",
    "REGION_DIMENSION",
    "SEARCHED_LABELS",
    "TEXT_DIMENSION",
    "TEXT_INDEX",
    "TEXT_VECTORS",
    "Label",
    "Migration",
    "RelType",
    "foreign",
    "migrate",
    "recorded_version",
]

TEXT_DIMENSION = 384  # all-MiniLM-L6-v2
REGION_DIMENSION = TEXT_DIMENSION + 64 + 112  # text, structure, function
DATASET_DIMENSION = TEXT_DIMENSION + 64  # text, statistics
TEXT_INDEX = "cortigraph_text"
INDEX_SECONDS = 120
ATTEMPTS = 5


EMBEDDING_DIMENSIONS: dict[str, int] = {
    Label.REGION: REGION_DIMENSION,
    Label.DATASET: DATASET_DIMENSION,
    Label.SCENE: TEXT_DIMENSION,
    Label.ENTITY: TEXT_DIMENSION,
}

# What is found by meaning: label → the property that its text's vector lies in. The embedding of an entity or a scene
# is that of its text; a region's and a data set's begin with it, and have the text alone beside it.
TEXT_VECTORS: dict[str, str] = {
    Label.REGION: "text_embedding",
    Label.DATASET: "text_embedding",
    Label.SCENE: "embedding",
    Label.ENTITY: "embedding",
}

SEARCHED_LABELS = [Label.REGION, Label.DATASET, Label.SCENE, Label.AREA, Label.ENTITY, Label.PATHWAY]


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    Args:
        version: Its number; they count up from 1 without a gap.
        name: What it does, in a few words.
        statements: Gives its Cypher; each statement may run twice.
    """

    version: int
    name: str
    statements: Callable[[], list[str]]

    @property
    def key(self) -> str:
        """What the record in the graph is merged on."""
        return f"{self.version:04d}"


# Each migration names what it makes in full: what a later version adds must not change an earlier one.
_FIRST_LABELS = (
    "Area", "Region", "Modality", "Dataset", "Task", "Scene", "Search", "Candidate", "Pathway", "Run", "Entity",
    "Source", "Batch", "Migration",
)  # fmt: skip
_FIRST_VECTORS = {"Region": 560, "Dataset": 448, "Scene": 384, "Entity": 384}
_FIRST_SEARCHED = ["Region", "Dataset", "Scene", "Area", "Entity", "Pathway"]


def _keys() -> list[str]:
    return [definitions.unique_key(label) for label in _FIRST_LABELS]


def _vectors() -> list[str]:
    return [definitions.vector_index(label, dimension) for label, dimension in _FIRST_VECTORS.items()]


def _text() -> list[str]:
    return [definitions.text_index(TEXT_INDEX, _FIRST_SEARCHED, ["name", "description", "text"])]


def _batches() -> list[str]:
    """Batches get numbers, and what they brought carries those; relations and leases come in."""
    return [
        definitions.unique_key("Relation"),
        definitions.unique_key("Lease"),
        definitions.NUMBER_BATCHES,
        definitions.NUMBER_BROUGHT,
    ]


def _text_vectors() -> list[str]:
    """The text's part of an embedding gets a property and an index of its own."""
    indexes = [definitions.vector_index(label, 384, "text_embedding") for label in ("Region", "Dataset")]
    return [*indexes, definitions.COPY_TEXT_VECTORS]


def _whole_vectors() -> list[str]:
    """Vector indexes keep all bits: with rounded ones half of the nearest were missed (benchmarks/vector_search.py)."""
    indexes = [(label, dimension, "embedding") for label, dimension in _FIRST_VECTORS.items()]
    indexes += [(label, 384, "text_embedding") for label in ("Region", "Dataset")]
    drops = [definitions.drop_index(f"{label}_{name}") for label, _, name in indexes]
    return drops + [definitions.vector_index(label, dimension, name, whole=True) for label, dimension, name in indexes]


MIGRATIONS = (
    Migration(1, "unique keys", _keys),
    Migration(2, "vector indexes", _vectors),
    Migration(3, "full-text index", _text),
    Migration(4, "numbered batches", _batches),
    Migration(5, "vectors of texts", _text_vectors),
    Migration(6, "whole vectors", _whole_vectors),
)


class Executor(Protocol):
    """The part of a store that migrations need."""

    def read(self, query: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query that changes nothing."""

    def write(self, query: str, /, **parameters: Any) -> Any:
        """Run a query that changes the store."""

    def execute(self, work: Callable[[Any], Any]) -> Any:
        """Run `work` in one write transaction, which it is given."""


def recorded_version(store: Executor) -> int:
    """The version that the store says it has; 0 for an empty one.

    Args:
        store: Any executor.

    Raises:
        StoreError: It is newer than this code.
    """
    version = int(store.read(cypher.SCHEMA_VERSION)[0]["version"])
    newest = MIGRATIONS[-1].version
    if version > newest:
        raise StoreError(
            f"the store has schema version {version}, this cortigraph knows up to {newest}: "
            "upgrade it with `pip install -U cortigraph`"
        )
    return version


def foreign(store: Executor) -> list[str]:
    """The names of constraints and indexes that no migration has made.

    Args:
        store: Any executor.
    """
    vectors = [(label, "embedding") for label in EMBEDDING_DIMENSIONS] + list(TEXT_VECTORS.items())
    own = {TEXT_INDEX, *(f"{label}_key" for label in Label), *(f"{label}_{name}" for label, name in vectors)}
    rows = [*store.read(cypher.INDEXES), *store.read(cypher.CONSTRAINTS)]
    return sorted({row["name"] for row in rows if row.get("type") != "LOOKUP"} - own)


def migrate(store: Executor, *, wait: bool = True) -> list[Migration]:
    """Bring the store to the newest schema. Safe to call twice, and from several processes at once.

    Args:
        store: Any executor.
        wait: Whether to wait until new indexes have taken in what is there already.

    Returns:
        The migrations that were applied now; none if the store was up to date.

    Raises:
        StoreError: The store is newer than this code, or refuses a statement.

    Example:
        >>> [migration.name for migration in MIGRATIONS]
        ['unique keys', 'vector indexes', 'full-text index', 'numbered batches', 'vectors of texts', 'whole vectors']
    """
    for attempt in range(1, ATTEMPTS):
        # Two who build indexes at once may dead-lock on each other for longer than the driver tries again. Every
        # statement may run twice, so whoever lost waits a little and finds most of the work done.
        try:
            return _migrate_once(store, wait)
        except BusyError:
            pass
        except QueryError as error:
            # `IF NOT EXISTS` looks before it leaps: two may find that nothing is there.
            if "already exists" not in str(error):
                raise
        time.sleep(random.uniform(0.5, 2.0) * attempt)
    return _migrate_once(store, wait)


def _migrate_once(store: Executor, wait: bool) -> list[Migration]:
    version = recorded_version(store)
    due = [migration for migration in MIGRATIONS if migration.version > version]
    for migration in due:
        # What changes the schema can't share a transaction with what changes data, but with its like.
        for _, group in groupby(migration.statements(), key=lambda statement: statement.startswith("CREATE ")):
            statements = list(group)
            store.execute(partial(_run_all, statements))
        store.write(cypher.RECORD_MIGRATION, key=migration.key, version=migration.version, name=migration.name)
    if due and wait:
        # An index that is still being built answers with nothing, or not at all.
        store.read(cypher.AWAIT_INDEXES, seconds=INDEX_SECONDS)
    return due


def _run_all(statements: list[str], transaction: Any) -> None:
    for statement in statements:
        transaction.write(statement)
