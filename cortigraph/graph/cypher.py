"""Every Cypher text of this room, and the one function through which a name may enter a query.

Values are always bound parameters. Labels, relationship types and property names can't be: they go through `quote`.
"""

from __future__ import annotations

from cortigraph.graph.errors import InputError
from cortigraph.graph.names import OWN_LABELS, Label, flaw, instead

__all__ = ["freed", "own", "quote"]


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
    wrong = flaw(name)
    if wrong is not None:
        raise InputError(f"a label or relationship type, and any name, {wrong}: {ascii(name)[:60]}")
    return f"`{name.replace(chr(92), _BACKSLASH).replace('`', '``')}`"


# ---- the store's own -----------------------------------------------------------------------------------------------


def own(label: str) -> str:
    """A label as a query looks for its nodes: one of the store's own is never an entity.

    Example:
        >>> own("Entity"), own("Batch")
        ('`Entity`', '`Batch`&!Entity')
    """
    return quote(label) + ("&!Entity" if label in OWN_LABELS else "")


def freed(label: str, keys: str) -> str:
    """Begins a query that makes nodes of the store's own: keys are unique, and an entity may be in the way of one.

    Args:
        label: Of the store's own.
        keys: An expression that gives their keys.

    Example:
        >>> print(freed("Lease", "['ingest']"))
        CALL () {
          UNWIND ['ingest'] AS taken
          MATCH (e:`Lease`&Entity {key: taken}) SET e:`DataLease` REMOVE e:`Lease`
        }
    """
    own, other = quote(label), quote(instead(label))
    return (
        f"CALL () {{\n  UNWIND {keys} AS taken\n"
        f"  MATCH (e:{own}&Entity {{key: taken}}) SET e:{other} REMOVE e:{own}\n}}"
    )


# What the store keeps for itself is never an entity. An entity that carries one of its labels is somebody's data, so a
# query that looks for the store's own says `&!Entity`. (By a job it can't come in any more: `names`.)
TAKEN = f"{Label.ENTITY}&({'|'.join(sorted(OWN_LABELS))})"
BATCH = (
    "{0}.key IS :: STRING NOT NULL AND {0}.number IS :: INTEGER NOT NULL "
    "AND {0}.job IS :: STRING NOT NULL AND {0}.state IS :: STRING NOT NULL"
)
MIGRATION = "{0}.key = right('000' + toStringOrNull({0}.version), 4)"

# ---- schema -------------------------------------------------------------------------------------------------------

_MIGRATIONS = f"MATCH (m:Migration&!Entity) WHERE {MIGRATION.format('m')}"
SCHEMA_VERSION = f"{_MIGRATIONS} RETURN coalesce(max(m.version), 0) AS version, count(m) AS count"
MIGRATIONS = f"{_MIGRATIONS} RETURN m.version AS version, m.name AS name ORDER BY version"
RECORD_MIGRATION = f"""
{freed("Migration", "[$key]")}
MERGE (m:Migration {{key: $key}})
ON CREATE SET m.version = $version, m.name = $name, m.applied_at = datetime()
"""
AWAIT_INDEXES = "CALL db.awaitIndexes($seconds)"
INDEXES = (
    "SHOW INDEXES YIELD name, type, labelsOrTypes, properties, options, state "
    "RETURN name, type, labelsOrTypes AS labels, properties, options, state"
)
CONSTRAINTS = "SHOW CONSTRAINTS YIELD name"

# ---- writes -------------------------------------------------------------------------------------------------------


def merge_nodes(label: str) -> str:
    """Merge `$rows` of `{key, properties}` by key.

    Example:
        >>> merge_nodes("Entity").splitlines()[2]
        'MERGE (n:`Entity` {key: row.key})'
    """
    head = "\n" + freed(label, "[row IN $rows | row.key]") if label in OWN_LABELS else ""
    return f"""{head}
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
MATCH (a:{own(start_label)} {{key: row.start}})
MATCH (b:{own(end_label)} {{key: row.end}})
MERGE (a)-[r:{quote(rel_type)}{identity}]->(b)
SET r += row.properties
RETURN count(r) AS matched"""


def missing_ends(start_label: str, end_label: str) -> str:
    """Which of `$rows` lack an endpoint."""
    return f"""
UNWIND range(0, size($rows) - 1) AS i
WITH i, $rows[i] AS row
OPTIONAL MATCH (a:{own(start_label)} {{key: row.start}})
OPTIONAL MATCH (b:{own(end_label)} {{key: row.end}})
WITH i, row, a, b WHERE a IS NULL OR b IS NULL
RETURN i, a IS NULL AS no_start, b IS NULL AS no_end ORDER BY i"""


def parallel_edges(rel_type: str, start_label: str, end_label: str) -> str:
    """Which of `$rows` match several relationships at once."""
    return f"""
UNWIND range(0, size($rows) - 1) AS i
WITH i, $rows[i] AS row
MATCH (:{own(start_label)} {{key: row.start}})-[r:{quote(rel_type)}]->(:{own(end_label)} {{key: row.end}})
WITH i, row, r WHERE row.key IS NULL OR r.key = row.key
WITH i, count(r) AS found WHERE found > 1
RETURN i, found ORDER BY i"""


# ---- search -------------------------------------------------------------------------------------------------------

_HIT = (
    # Names and descriptions are whatever data made of them; a list has no text.
    "node.key AS key, labels(node) AS labels, score, coalesce(toStringOrNull(node.name), node.key) AS name, "
    "substring(coalesce(toStringOrNull(node.description), toStringOrNull(node.text), ''), 0, 160) AS snippet"
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
    return f"MATCH (node:{own(label)} {{key: $key}}) WITH node, 1.0 AS score RETURN {_HIT}"


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
ANY_NODE = "MATCH (n:!(Migration|Lease)|Entity) RETURN 1 AS one LIMIT 1"
COUNT_LOADED = """
MATCH (n:!Migration|Entity) WITH count(n) AS nodes
RETURN nodes, COUNT { ()-->() } AS relationships"""
COUNT_BY_LABEL = "MATCH (n) UNWIND labels(n) AS label RETURN label, count(*) AS count ORDER BY label"
DELETE_SOME = "MATCH (n:!Migration|Entity) WITH n LIMIT 1000 DETACH DELETE n RETURN count(*) AS deleted"

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
