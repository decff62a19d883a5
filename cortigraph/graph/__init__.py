"""The knowledge store: embedded or remote Neo4j, schema, Cypher, writes, search, checks."""
