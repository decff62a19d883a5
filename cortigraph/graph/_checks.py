"""The Cypher of `check`, and of what mends some of what it finds."""

from __future__ import annotations

from cortigraph.graph import cypher
from cortigraph.graph.names import RelType, instead

__all__ = ["CHECKS", "REFERENCED_WEIGHTS", "RELABEL", "RETYPE", "TAKEN_CHECKS"]

# What `check` looks for: (what it is called, how it is said, the query). Each row has `label` and `key`, and `detail`
# where there is more to say. A node is named by its key, or by the server's own identifier where it has none.
_NODE = "CASE WHEN n:Entity THEN 'Entity' ELSE labels(n)[0] END AS label, coalesce(n.key, elementId(n)) AS key"
TAKEN_CHECKS = ("label of the store's own", "told as a prediction")
CHECKS = (
    ("no key", "has no key", f"MATCH (n) WHERE n.key IS NULL RETURN {_NODE}"),
    (
        "unknown label",
        "has no label that this version knows; its labels: {detail}",
        f"MATCH (n) WHERE none(l IN labels(n) WHERE l IN $known) RETURN {_NODE}, labels(n) AS detail",
    ),
    (
        "label of the store's own",
        "is an entity that is labelled {detail}, as only the store's own nodes are",
        f"MATCH (n:{cypher.TAKEN}) WITH n, [l IN labels(n) WHERE l <> 'Entity' AND l IN $known] AS own "
        "UNWIND own AS detail RETURN 'Entity' AS label, coalesce(n.key, elementId(n)) AS key, detail",
    ),
    (
        "told as a prediction",
        "has a fact of the type PREDICTED to {detail}, which batches told and no reasoner concluded",
        "MATCH (n:Entity)-[r:PREDICTED]->(m:Entity) WHERE r.batches IS NOT NULL "
        "RETURN 'Entity' AS label, coalesce(n.key, elementId(n)) AS key, coalesce(m.key, elementId(m)) AS detail",
    ),
    (
        "not of the ledger",
        "is nothing that the ledger wrote, which passes it over",
        f"MATCH (n:(Batch|Migration)&!Entity) WHERE NOT CASE WHEN n:Batch THEN {cypher.BATCH.format('n')} "
        f"ELSE {cypher.MIGRATION.format('n')} END RETURN {_NODE}",
    ),
    (
        "run of nothing",
        "is not OF exactly one region or pathway ({detail})",
        "MATCH (n:Run&!Entity) WITH n, COUNT { (n)-[:OF]->(x) WHERE x:Region OR x:Pathway } AS found "
        f"WHERE found <> 1 RETURN {_NODE}, found AS detail",
    ),
    (
        "run on nothing",
        "is not ON exactly one data set ({detail})",
        f"MATCH (n:Run&!Entity) WITH n, COUNT {{ (n)-[:ON]->(:Dataset) }} AS found WHERE found <> 1 "
        f"RETURN {_NODE}, found AS detail",
    ),
    (
        "run without record",
        "lacks {detail}",
        # What others have reported comes without seed and versions: nobody knows them.
        "MATCH (n:Run&!Entity) WHERE coalesce(n.kind, '') <> 'reported' "
        "WITH n, [p IN ['metrics', 'seed', 'versions', 'finished_at'] WHERE n[p] IS NULL] AS lacks "
        f"WHERE size(lacks) > 0 RETURN {_NODE}, lacks AS detail",
    ),
    (
        "candidate without search",
        "is IN_SEARCH of no search",
        f"MATCH (n:Candidate&!Entity) WHERE NOT EXISTS {{ (n)-[:IN_SEARCH]->(:Search) }} RETURN {_NODE}",
    ),
    (
        "candidate without region",
        "USES no region",
        f"MATCH (n:Candidate&!Entity) WHERE NOT EXISTS {{ (n)-[:USES]->(:Region) }} RETURN {_NODE}",
    ),
    (
        "candidate told twice",
        "shares its index in the search with {detail}",
        "MATCH (n:Candidate&!Entity)-[:IN_SEARCH]->(s:Search)<-[:IN_SEARCH]-(m:Candidate) "
        f"WHERE n.index = m.index AND n.key < m.key RETURN {_NODE}, m.key AS detail",
    ),
    (
        "pathway without scene",
        "is FOR_SCENE of no scene",
        f"MATCH (n:Pathway&!Entity) WHERE NOT EXISTS {{ (n)-[:FOR_SCENE]->(:Scene) }} RETURN {_NODE}",
    ),
    (
        "pathway without region",
        "USES no region",
        f"MATCH (n:Pathway&!Entity) WHERE NOT EXISTS {{ (n)-[:USES]->(:Region) }} RETURN {_NODE}",
    ),
    (
        "pathway without run",
        "has no run",
        f"MATCH (n:Pathway&!Entity) WHERE NOT EXISTS {{ (n)<-[:OF]-(:Run) }} RETURN {_NODE}",
    ),
    (
        "region without area",
        "is in no area",
        f"MATCH (n:Region&!Entity) WHERE NOT EXISTS {{ (n)<-[:HAS_REGION]-(:Area) }} RETURN {_NODE}",
    ),
    (
        "unreadable",
        "has {detail} of another type than the catalogue can read, and is left out; declare it again, or delete it",
        "MATCH (n:(Region|Area)&!Entity) WHERE coalesce(n.builder, n.accepts) IS NOT NULL "
        "WITH n, [p IN ['name', 'description', 'accepts', 'emits'] WHERE n[p] IS NULL OR NOT n[p] IS :: STRING] "
        "+ [p IN ['licence', 'derived_from'] WHERE n[p] IS NOT NULL AND NOT n[p] IS :: STRING] "
        "+ [p IN ['trainable', 'variadic'] WHERE n[p] IS NOT NULL AND NOT n[p] IS :: BOOLEAN] AS odd "
        f"WHERE size(odd) > 0 RETURN {_NODE}, odd AS detail",
    ),
    (
        "wrong embedding",
        "has an embedding of {detail} numbers, the index has another dimension",
        "UNWIND keys($dimensions) AS l MATCH (n:$(l)) "
        "WHERE (l = 'Entity' OR NOT n:Entity) AND n.embedding IS NOT NULL AND size(n.embedding) <> $dimensions[l] "
        f"RETURN {_NODE}, size(n.embedding) AS detail",
    ),
)
REFERENCED_WEIGHTS = """
CALL () {
  MATCH (n:(Run|Region)&!Entity) WHERE n.weights IS NOT NULL
  UNWIND n.weights AS weights // one hash, or a list of them
  RETURN labels(n)[0] AS label, n.key AS key, weights
  UNION ALL
  MATCH (n:!Entity)-[r:USES]->(:Region&!Entity) WHERE r.weights IS NOT NULL
  RETURN labels(n)[0] AS label, n.key AS key, r.weights AS weights
}
RETURN weights, collect([label, key])[0] AS user, count(*) AS users ORDER BY weights
"""

# Entities, and facts between them, that carry a name of the store's own.
RELABEL = f"""
MATCH (n:{cypher.TAKEN}) WITH n, [l IN labels(n) WHERE l <> 'Entity' AND l IN $own] AS own LIMIT $most
SET n:$([l IN own | $instead[l]])
REMOVE n:$(own)
RETURN n.key AS key, own"""
RETYPE = f"""
MATCH (n:Entity)-[r:PREDICTED]->(m:Entity) WHERE r.batches IS NOT NULL WITH n, r, m LIMIT $most
CREATE (n)-[s:{cypher.quote(instead(RelType.PREDICTED))}]->(m) SET s = properties(r)
DELETE r
RETURN n.key AS key"""
