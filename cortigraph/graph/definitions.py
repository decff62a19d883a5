"""The statements of which migrations are made: keys, indexes, and what brings older stores up to date."""

from __future__ import annotations

from cortigraph.graph.cypher import quote

__all__ = ["drop_index", "text_index", "unique_key", "vector_index"]


def unique_key(label: str) -> str:
    """A uniqueness constraint on `key`.

    Example:
        >>> unique_key("Region")
        'CREATE CONSTRAINT `Region_key` IF NOT EXISTS FOR (n:`Region`) REQUIRE n.key IS UNIQUE'
    """
    return f"CREATE CONSTRAINT {quote(label + '_key')} IF NOT EXISTS FOR (n:{quote(label)}) REQUIRE n.key IS UNIQUE"


def vector_index(label: str, dimension: int, name: str = "embedding", *, whole: bool = False) -> str:
    """A cosine index over a property that holds vectors; `whole` keeps all their bits, else the server rounds them.

    Example:
        >>> "`vector.dimensions`: 384" in vector_index("Scene", 384)
        True
    """
    rounding = ", `vector.quantization.enabled`: false" if whole else ""
    return (
        f"CREATE VECTOR INDEX {quote(f'{label}_{name}')} IF NOT EXISTS FOR (n:{quote(label)}) ON (n.{quote(name)}) "
        f"OPTIONS {{indexConfig: {{`vector.dimensions`: {int(dimension)}, "
        f"`vector.similarity_function`: 'cosine'{rounding}}}}}"
    )


def drop_index(name: str) -> str:
    """Drops an index.

    Example:
        >>> drop_index("t")
        'DROP INDEX `t` IF EXISTS'
    """
    return f"DROP INDEX {quote(name)} IF EXISTS"


def text_index(name: str, labels: list[str], properties: list[str]) -> str:
    """One full-text index over several labels.

    Example:
        >>> text_index("t", ["A", "B"], ["name"])
        'CREATE FULLTEXT INDEX `t` IF NOT EXISTS FOR (n:`A`|`B`) ON EACH [n.`name`]'
    """
    where = "|".join(quote(label) for label in labels)
    what = ", ".join(f"n.{quote(prop)}" for prop in properties)
    return f"CREATE FULLTEXT INDEX {quote(name)} IF NOT EXISTS FOR (n:{where}) ON EACH [{what}]"


# Version 1 to 3: a batch was known by its key alone, and what it brought carried that key in `batch`. What carries
# numbers is of a later version, and its `batch` is somebody's data: a first load is migrated, too.
NUMBER_BATCHES = """
MATCH (b:Batch&!Entity) WITH b ORDER BY b.number, b.at, b.key
WITH collect(b) AS batches
UNWIND range(0, size(batches) - 1) AS i
WITH batches[i] AS b, i
SET b.number = i + 1, b.state = coalesce(b.state, 'done')"""
NUMBER_BROUGHT = """
MATCH (n) WHERE n.batch IS NOT NULL AND n.batches IS NULL
OPTIONAL MATCH (b:Batch {key: n.batch})
SET n.batches = CASE WHEN b IS NULL THEN [0] ELSE [b.number] END
REMOVE n.batch"""
COPY_TEXT_VECTORS = """
MATCH (n:Region|Dataset) WHERE n.embedding IS NOT NULL AND n.text_embedding IS NULL
SET n.text_embedding = n.embedding[0..384]"""
