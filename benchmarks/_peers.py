"""What the benchmarks of writing are measured against: the bare driver, and neo4j-graphrag's writer.

Both write nodes `{key, name, description?}` and triples `(head, relation, tail)`, as `_fb15k.read()` gives them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import neo4j

__all__ = ["Took", "bare_unwind", "graphrag_writer"]

BATCH = 10_000
CONSTRAINT = "CREATE CONSTRAINT entity_key IF NOT EXISTS FOR (n:Entity) REQUIRE n.key IS UNIQUE"
NODES = """
UNWIND $rows AS row
MERGE (n:Entity {key: row.key})
SET n.name = row.name, n.description = row.description"""

Node = Mapping[str, Any]
Triple = Sequence[str]


@dataclass(frozen=True)
class Took:
    """Seconds and what the server says that it made.

    Args:
        node_seconds: For all nodes.
        rel_seconds: For all relationships.
        nodes: Made.
        rels: Made.
    """

    node_seconds: float
    rel_seconds: float
    nodes: int
    rels: int

    @property
    def seconds(self) -> float:
        """For all of it."""
        return self.node_seconds + self.rel_seconds


def bare_unwind(uri: str, user: str, password: str, nodes: Sequence[Node], triples: Sequence[Triple]) -> Took:
    """The loop that one writes with the driver alone: batches of 10,000, a unique key, one query per relation.

    No value is checked, nothing is recorded of where it came from, and what the server reports is only summed.

    Args:
        uri: Of the server.
        user: Who logs in.
        password: Of that user.
        nodes: `{key, name, description?}`.
        triples: `(head, relation, tail)`.

    Returns:
        How long it took, from the first batch of nodes to the last commit.
    """
    grouped: dict[str, list[dict[str, str]]] = {}
    for head, relation, tail in triples:
        grouped.setdefault(relation, []).append({"head": head, "tail": tail})
    with neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver, driver.session() as session:
        session.run(CONSTRAINT).consume()
        session.run("CALL db.awaitIndexes(60)").consume()
        began = time.perf_counter()
        made_nodes = sum(_write(session, NODES, rows).nodes_created for rows in _batches(nodes))
        between = time.perf_counter()
        made_rels = 0
        for relation, pairs in grouped.items():
            query = _merge(relation)
            made_rels += sum(_write(session, query, rows).relationships_created for rows in _batches(pairs))
        return Took(between - began, time.perf_counter() - between, made_nodes, made_rels)


def graphrag_writer(
    driver: neo4j.Driver, nodes: Sequence[Node], rels: Iterable[Triple], database: str | None = None
) -> float:
    """The same through `Neo4jWriter` of neo4j-graphrag, at its default batch size, with its own node model.

    Its query for relationships calls a procedure of APOC, which the embedded server has not. Where the procedure is
    missing its place is taken by the one clause of Cypher that does the same, which is quicker: a procedure parses
    and runs a query of its own for each row.

    Args:
        driver: An open driver; the store should hold nothing that the writer would have to pass over.
        nodes: `{key, name, description?}`.
        rels: `(head, relation, tail)`.
        database: Else the server's default.

    Returns:
        Seconds for all of it: building its graph of models, and writing that.

    Raises:
        RuntimeError: The writer says that it failed.
    """
    from neo4j_graphrag.components import kg_writer
    from neo4j_graphrag.components.types import Neo4jGraph, Neo4jNode, Neo4jRelationship

    if not _has_apoc(driver, database):
        kg_writer.upsert_relationship_query = _without_apoc  # type: ignore[attr-defined]
    began = time.perf_counter()
    graph = Neo4jGraph(
        nodes=[Neo4jNode(id=node["key"], label="Entity", properties=dict(node)) for node in nodes],
        relationships=[Neo4jRelationship(start_node_id=head, end_node_id=tail, type=rel) for head, rel, tail in rels],
    )
    writer = kg_writer.Neo4jWriter(driver, neo4j_database=database)
    outcome = asyncio.run(writer.run(graph))
    if outcome.status != "SUCCESS":
        raise RuntimeError(f"Neo4jWriter failed: {outcome.metadata}")
    return time.perf_counter() - began


def _merge(relation: str) -> str:
    quoted = "`" + relation.replace("`", "``") + "`"
    return f"""
UNWIND $rows AS row
MATCH (a:Entity {{key: row.head}})
MATCH (b:Entity {{key: row.tail}})
MERGE (a)-[:{quoted}]->(b)"""


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[first : first + BATCH] for first in range(0, len(rows), BATCH))


def _write(session: neo4j.Session, query: str, rows: Sequence[Any]) -> neo4j.SummaryCounters:
    return session.execute_write(lambda transaction: transaction.run(query, rows=rows).consume().counters)


def _has_apoc(driver: neo4j.Driver, database: str | None) -> bool:
    query = "SHOW PROCEDURES YIELD name WHERE name = 'apoc.merge.relationship' RETURN name"
    return bool(driver.execute_query(query, database_=database).records)


def _without_apoc(support_variable_scope_clause: bool) -> str:
    """The writer's own query, with `MERGE` where it calls `apoc.merge.relationship`."""
    from neo4j_graphrag.neo4j_queries import upsert_relationship_query

    theirs = upsert_relationship_query(support_variable_scope_clause)
    call = "CALL apoc.merge.relationship(start, row.type, {}, row.properties, end, row.properties) YIELD rel  "
    if call not in theirs:
        raise RuntimeError("this version of neo4j-graphrag writes relationships in another way; see its query")
    return theirs.replace(call, "MERGE (start)-[rel:$(row.type)]->(end) SET rel += row.properties ")
