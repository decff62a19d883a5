"""Every Cypher text of this room, and the one function through which a name may enter a query.

Values are always bound parameters. Labels, relationship types and property names can't be: they go through `quote`.
"""

from __future__ import annotations

from cortigraph.graph.errors import InputError

__all__ = ["is_text", "quote"]

LONGEST_NAME = 1000

# Cypher reads \u0060 as a backtick, and any \uxxxx as a character, before it looks for the closing backtick. It does so
# once: a backslash that is written like that is a backslash, and begins nothing.
_BACKSLASH = "\\u005c"


def quote(name: str) -> str:
    """Quote a label, relationship type or property name, so that it can be nothing else.

    Args:
        name: Any text that is not empty.

    Returns:
        The name between backticks, so that exactly this name comes back; backticks in it are doubled, and backslashes
        written as `\\u005c`.

    Raises:
        InputError: Not text, empty, too long, with a NUL or with half a surrogate pair in it.

    Example:
        >>> quote("part_of"), quote("x`) DETACH DELETE n //")
        ('`part_of`', '`x``) DETACH DELETE n //`')
    """
    if not isinstance(name, str):
        raise InputError(f"a label or relationship type must be text, got {type(name).__name__}")
    if not name.strip():
        raise InputError("a label or relationship type must not be empty")
    if len(name) > LONGEST_NAME:
        raise InputError(f"a label or relationship type may have {LONGEST_NAME} characters, got {len(name)}")
    if "\x00" in name:
        raise InputError(f"a label or relationship type must not contain NUL: {name[:50]!r}")
    if not is_text(name):
        raise InputError(f"a label or relationship type must not contain half a surrogate pair: {name[:50]!a}")
    return f"`{name.replace(chr(92), _BACKSLASH).replace('`', '``')}`"


def is_text(text: str) -> bool:
    """Whether text can be sent: half a surrogate pair is no character, and has no UTF-8.

    Example:
        >>> is_text("héllo"), is_text("\\ud800")
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# ---- schema -------------------------------------------------------------------------------------------------------

SCHEMA_VERSION = "MATCH (m:Migration) RETURN coalesce(max(m.version), 0) AS version, count(m) AS count"
MIGRATIONS = "MATCH (m:Migration) RETURN m.version AS version, m.name AS name ORDER BY version"
RECORD_MIGRATION = """
MERGE (m:Migration {key: $key})
ON CREATE SET m.version = $version, m.name = $name, m.applied_at = datetime()
"""
AWAIT_INDEXES = "CALL db.awaitIndexes($seconds)"
INDEXES = (
    "SHOW INDEXES YIELD name, type, labelsOrTypes, properties, options, state "
    "RETURN name, type, labelsOrTypes AS labels, properties, options, state"
)

# ---- writes -------------------------------------------------------------------------------------------------------


def merge_nodes(label: str) -> str:
    """Merge `$rows` of `{key, properties}` by key.

    Example:
        >>> merge_nodes("Area").splitlines()[2]
        'MERGE (n:`Area` {key: row.key})'
    """
    return f"""
UNWIND $rows AS row
MERGE (n:{quote(label)} {{key: row.key}})
SET n += row.properties
RETURN count(n) AS matched"""


def merge_edges(rel_type: str, start_label: str, end_label: str, *, keyed: bool) -> str:
    """Merge `$rows` of `{start, end, properties}`, told apart by `key` where one pair may have several.

    Example:
        >>> "MERGE (a)-[r:`USES` {key: row.key}]->(b)" in merge_edges("USES", "Pathway", "Region", keyed=True)
        True
    """
    identity = " {key: row.key}" if keyed else ""
    return f"""
UNWIND $rows AS row
MATCH (a:{quote(start_label)} {{key: row.start}})
MATCH (b:{quote(end_label)} {{key: row.end}})
MERGE (a)-[r:{quote(rel_type)}{identity}]->(b)
SET r += row.properties
RETURN count(r) AS matched"""


def missing_ends(start_label: str, end_label: str) -> str:
    """Which of `$rows` lack an endpoint."""
    return f"""
UNWIND range(0, size($rows) - 1) AS i
WITH i, $rows[i] AS row
OPTIONAL MATCH (a:{quote(start_label)} {{key: row.start}})
OPTIONAL MATCH (b:{quote(end_label)} {{key: row.end}})
WITH i, row, a, b WHERE a IS NULL OR b IS NULL
RETURN i, a IS NULL AS no_start, b IS NULL AS no_end ORDER BY i"""


def parallel_edges(rel_type: str, start_label: str, end_label: str) -> str:
    """Which of `$rows` match several relationships at once."""
    return f"""
UNWIND range(0, size($rows) - 1) AS i
WITH i, $rows[i] AS row
MATCH (:{quote(start_label)} {{key: row.start}})-[r:{quote(rel_type)}]->(:{quote(end_label)} {{key: row.end}})
WITH i, row, r WHERE row.key IS NULL OR r.key = row.key
WITH i, count(r) AS found WHERE found > 1
RETURN i, found ORDER BY i"""


# ---- search -------------------------------------------------------------------------------------------------------

_HIT = (
    "node.key AS key, labels(node) AS labels, score, coalesce(node.name, node.key) AS name, "
    "substring(coalesce(node.description, node.text, ''), 0, 160) AS snippet"
)
NEAREST = f"""
CALL db.index.vector.queryNodes($index, $depth, $embedding) YIELD node, score
WITH node, score ORDER BY score DESC LIMIT $top
RETURN {_HIT}"""

MATCHING = f"""
CALL db.index.fulltext.queryNodes($index, $query) YIELD node, score
WITH node, score WHERE $labels IS NULL OR any(label IN labels(node) WHERE label IN $labels)
RETURN {_HIT}
ORDER BY score DESC, key LIMIT $top"""


def by_key(label: str) -> str:
    """The node of a key, as a hit."""
    return f"MATCH (node:{quote(label)} {{key: $key}}) WITH node, 1.0 AS score RETURN {_HIT}"


# The nodes of a label that few have, one by one: an index of all entities would have to be looked through to its end.
def nearest_of(label: str, prop: str) -> str:
    """The nodes of a label, nearest to a vector first."""
    return f"""
MATCH (node:{quote(label)}) WHERE node.{quote(prop)} IS NOT NULL
WITH node, vector.similarity.cosine(node.{quote(prop)}, $embedding) AS score ORDER BY score DESC LIMIT $top
RETURN {_HIT}"""


def counted_nodes(label: str) -> str:
    """How many entities have a label."""
    return f"MATCH (n:Entity:{quote(label)}) RETURN count(n) AS count"


# ---- columns ------------------------------------------------------------------------------------------------------


def collected(query: str, names: list[str]) -> str:
    """All rows of a query in one: ten times faster to receive than row by row.

    Example:
        >>> collected("MATCH (n) RETURN n.key AS key", ["key"]).splitlines()[-1]
        '} RETURN collect([`key`]) AS rows'
    """
    values = ", ".join(quote(name) for name in names)
    return f"CALL () {{\n{query.rstrip().rstrip(';')}\n}} RETURN collect([{values}]) AS rows"


# ---- looking after ------------------------------------------------------------------------------------------------

PING = "RETURN 1 AS one"
STORE_ID = "CALL db.info() YIELD id RETURN id"
COMPONENTS = "CALL dbms.components() YIELD name, versions, edition RETURN name, versions[0] AS version, edition"
ANY_NODE = "MATCH (n) WHERE NOT n:Migration AND NOT n:Lease RETURN 1 AS one LIMIT 1"
COUNT_LOADED = """
MATCH (n) WHERE NOT n:Migration WITH count(n) AS nodes
RETURN nodes, COUNT { ()-->() } AS relationships"""
COUNT_BY_LABEL = "MATCH (n) UNWIND labels(n) AS label RETURN label, count(*) AS count ORDER BY label"
DELETE_SOME = "MATCH (n) WHERE NOT n:Migration WITH n LIMIT 1000 DETACH DELETE n RETURN count(*) AS deleted"

# What `check` looks for: (what it is called, how it is said, the query). Each row has `label` and `key`, and `detail`
# where there is more to say. A node is named by its key, or by the server's own identifier where it has none.
_NODE = "labels(n)[0] AS label, coalesce(n.key, elementId(n)) AS key"
CHECKS = (
    ("no key", "has no key", f"MATCH (n) WHERE n.key IS NULL RETURN {_NODE}"),
    (
        "unknown label",
        "has no label that this version knows; its labels: {detail}",
        f"MATCH (n) WHERE none(l IN labels(n) WHERE l IN $known) RETURN {_NODE}, labels(n) AS detail",
    ),
    (
        "run of nothing",
        "is not OF exactly one region or pathway ({detail})",
        f"MATCH (n:Run) WITH n, COUNT {{ (n)-[:OF]->(x) WHERE x:Region OR x:Pathway }} AS found WHERE found <> 1 "
        f"RETURN {_NODE}, found AS detail",
    ),
    (
        "run on nothing",
        "is not ON exactly one data set ({detail})",
        f"MATCH (n:Run) WITH n, COUNT {{ (n)-[:ON]->(:Dataset) }} AS found WHERE found <> 1 "
        f"RETURN {_NODE}, found AS detail",
    ),
    (
        "run without record",
        "lacks {detail}",
        # What others have reported comes without seed and versions: nobody knows them.
        "MATCH (n:Run) WHERE coalesce(n.kind, '') <> 'reported' "
        "WITH n, [p IN ['metrics', 'seed', 'versions', 'finished_at'] WHERE n[p] IS NULL] AS lacks "
        f"WHERE size(lacks) > 0 RETURN {_NODE}, lacks AS detail",
    ),
    (
        "candidate without search",
        "is IN_SEARCH of no search",
        f"MATCH (n:Candidate) WHERE NOT EXISTS {{ (n)-[:IN_SEARCH]->(:Search) }} RETURN {_NODE}",
    ),
    (
        "candidate without region",
        "USES no region",
        f"MATCH (n:Candidate) WHERE NOT EXISTS {{ (n)-[:USES]->(:Region) }} RETURN {_NODE}",
    ),
    (
        "candidate told twice",
        "shares its index in the search with {detail}",
        "MATCH (n:Candidate)-[:IN_SEARCH]->(s:Search)<-[:IN_SEARCH]-(m:Candidate) "
        f"WHERE n.index = m.index AND n.key < m.key RETURN {_NODE}, m.key AS detail",
    ),
    (
        "pathway without scene",
        "is FOR_SCENE of no scene",
        f"MATCH (n:Pathway) WHERE NOT EXISTS {{ (n)-[:FOR_SCENE]->(:Scene) }} RETURN {_NODE}",
    ),
    (
        "pathway without region",
        "USES no region",
        f"MATCH (n:Pathway) WHERE NOT EXISTS {{ (n)-[:USES]->(:Region) }} RETURN {_NODE}",
    ),
    (
        "pathway without run",
        "has no run",
        f"MATCH (n:Pathway) WHERE NOT EXISTS {{ (n)<-[:OF]-(:Run) }} RETURN {_NODE}",
    ),
    (
        "region without area",
        "is in no area",
        f"MATCH (n:Region) WHERE NOT EXISTS {{ (n)<-[:HAS_REGION]-(:Area) }} RETURN {_NODE}",
    ),
    (
        "wrong embedding",
        "has an embedding of {detail} numbers, the index has another dimension",
        "UNWIND keys($dimensions) AS l MATCH (n:$(l)) "
        "WHERE n.embedding IS NOT NULL AND size(n.embedding) <> $dimensions[l] "
        f"RETURN {_NODE}, size(n.embedding) AS detail",
    ),
)
REFERENCED_WEIGHTS = """
CALL () {
  MATCH (n:Run|Region) WHERE n.weights IS NOT NULL
  UNWIND n.weights AS weights // one hash, or a list of them
  RETURN labels(n)[0] AS label, n.key AS key, weights
  UNION ALL
  MATCH (n)-[r:USES]->(:Region) WHERE r.weights IS NOT NULL
  RETURN labels(n)[0] AS label, n.key AS key, r.weights AS weights
}
RETURN weights, collect([label, key])[0] AS user, count(*) AS users ORDER BY weights
"""

LABELS = "CALL db.labels() YIELD label RETURN label"
TYPES = "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType AS type"

# ---- snapshots ----------------------------------------------------------------------------------------------------

# Nodes and relationships are told apart by the server's own numbers here: within one version of the store they are
# unique, and an integer is quicker to send, and to look up, than a key.
NODES_BY_LABELS = "MATCH (n) RETURN labels(n) AS labels, collect(id(n)) AS ids"
NODE_PROPERTIES = "UNWIND $ids AS i MATCH (n) WHERE id(n) = i RETURN collect([i, properties(n), elementId(n)]) AS nodes"
OUT_DEGREES = "UNWIND $ids AS i MATCH (n) WHERE id(n) = i RETURN collect([i, COUNT { (n)-->() }]) AS degrees"


def counted_edges(types: list[str] | None) -> str:
    """How many relationships there are; the server knows it without looking at them.

    Example:
        >>> counted_edges(None)
        'MATCH ()-[r]->() RETURN count(r) AS count'
    """
    return f"MATCH ()-[r{_any_of(types)}]->() RETURN count(r) AS count"


def grouped_edges(types: list[str] | None, *, scan: bool) -> str:
    """Relationships as groups `[type, properties, starts, ends]`: those with equal properties share a group.

    Args:
        types: Only these; all when left out.
        scan: Read one of `$parts` parts of the whole graph, `$part`; else what leaves the nodes `$ids`.

    Example:
        >>> grouped_edges(["USES"], scan=True).splitlines()[1]
        'MATCH (a)-[r:`USES`]->(b) WHERE id(r) % $parts = $part'
    """
    pattern = f"MATCH (a)-[r{_any_of(types)}]->(b)"
    of_nodes = "UNWIND $ids AS i MATCH (a) WHERE id(a) = i"
    return f"""
{pattern + " WHERE id(r) % $parts = $part" if scan else f"{of_nodes} {pattern}"}
WITH type(r) AS type, properties(r) AS properties, collect(id(a)) AS starts, collect(id(b)) AS ends
RETURN collect([type, properties, starts, ends]) AS groups"""


def _any_of(types: list[str] | None) -> str:
    return ":" + "|".join(map(quote, types)) if types else ""
