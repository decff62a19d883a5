"""The Cypher of an ingestion: what is asked of the graph, and every statement that a run will send."""

from __future__ import annotations

from collections.abc import Iterator

from cortigraph.graph import cypher
from cortigraph.graph.schema import Label, RelType
from cortigraph.regions.catalogue import UNWIRE

__all__ = ["ADOPT", "DATASETS", "MEASURE_AGAIN", "STORED", "statements"]

DATASETS = """
MATCH (d:Dataset) WHERE d.key IN $keys
RETURN d.key AS key, d.name AS name, d.description AS description, d.spec AS spec, d.base AS base,
       d.fingerprint AS fingerprint"""

# What of the keys is there, and what of it this batch has brought.
STORED = {
    str(label): f"""
MATCH (n:{cypher.quote(label)}) WHERE n.key IN $keys
RETURN count(n) AS found, count(CASE WHEN n.batch = $batch THEN 1 END) AS brought"""
    for label in (Label.AREA, Label.REGION, Label.DATASET)
}

# A region that somebody changed by hand has kept its fingerprint: without it, it is declared anew.
MEASURE_AGAIN = "MATCH (r:Region) WHERE r.key IN $keys REMOVE r.fingerprint"

# Modalities and tasks are shared: they belong to the batch that brought them first.
ADOPT = """
MATCH (n:Region|Dataset)-[:ACCEPTS|EMITS|HAS_MODALITY|FOR_TASK]->(shared)
WHERE n.key IN $keys AND shared.batch IS NULL
WITH DISTINCT shared SET shared.batch = $batch"""


def statements(*, areas: int, regions: int, derived: int, datasets: int) -> tuple[str, ...]:
    """Every statement that changes the graph, in the order of a run, each once.

    Args:
        areas: How many areas are to be written.
        regions: How many regions.
        derived: How many of them derive from another.
        datasets: How many data sets.

    Example:
        >>> statements(areas=0, regions=0, derived=0, datasets=0)
        ()
        >>> "MERGE (n:`Area` {key: row.key})" in statements(areas=1, regions=0, derived=0, datasets=0)[1]
        True
    """
    if not areas + regions + datasets:
        return ()
    sent = [*_catalogue(areas, regions, derived), *(_datasets() if datasets else ()), ADOPT, *_batch()]
    return tuple(dict.fromkeys(text.strip() for text in sent))


def _catalogue(areas: int, regions: int, derived: int) -> Iterator[str]:
    if areas + regions:
        yield MEASURE_AGAIN
    if areas:
        yield cypher.merge_nodes(Label.AREA)
    if regions:
        yield cypher.merge_nodes(Label.REGION)
        yield cypher.merge_nodes(Label.MODALITY)
    if areas + regions:
        yield UNWIRE
    if regions:
        yield cypher.merge_edges(RelType.HAS_REGION, Label.AREA, Label.REGION, keyed=False)
        yield cypher.merge_edges(RelType.ACCEPTS, Label.REGION, Label.MODALITY, keyed=True)
        yield cypher.merge_edges(RelType.EMITS, Label.REGION, Label.MODALITY, keyed=True)
    if derived:
        yield cypher.merge_edges(RelType.DERIVED_FROM, Label.REGION, Label.REGION, keyed=False)


def _datasets() -> Iterator[str]:
    from cortigraph.train.data.record import FORGET_INPUTS

    for label in (Label.MODALITY, Label.TASK, Label.DATASET):
        yield cypher.merge_nodes(label)
    yield FORGET_INPUTS
    yield cypher.merge_edges(RelType.HAS_MODALITY, Label.DATASET, Label.MODALITY, keyed=True)
    yield cypher.merge_edges(RelType.FOR_TASK, Label.DATASET, Label.TASK, keyed=False)


def _batch() -> Iterator[str]:
    yield cypher.merge_nodes(Label.SOURCE)
    yield cypher.merge_nodes(Label.BATCH)
    yield cypher.merge_edges(RelType.FROM, Label.BATCH, Label.SOURCE, keyed=False)
