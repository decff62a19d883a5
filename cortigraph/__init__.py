"""cortigraph: the memory and mind of a growing population of neural networks.

    brain = cortigraph.open()
    solution = brain.solve("scene.yaml")
    brain.cypher("MATCH (p:Pathway)-[:USES]->(r:Region) RETURN p.key, collect(r.key)")

Importing this opens nothing and imports neither torch nor the database driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cortigraph.brain import Brain

__all__ = ["__version__", "open"]

__version__ = "0.1.0"


def open(
    uri: str | None = None,
    *,
    home: str | Path | None = None,
    user: str | None = None,
    password: str | None = None,
    read_only: bool = False,
) -> Brain:
    """Opens a memory.

    Args:
        uri: A Neo4j server, such as `neo4j://host:7687`; left out, `CORTIGRAPH_URI`, else an embedded server that is
            started if need be and stops by itself when nobody uses it.
        home: The folder for weights, decoded data and the embedded database; left out, `CORTIGRAPH_HOME`, else the
            platform's folder for user data.
        user: For a remote server; left out, `CORTIGRAPH_USER`.
        password: For a remote server; left out, `CORTIGRAPH_PASSWORD`.
        read_only: Refuse every write.

    Returns:
        The brain: close it, or use it in a `with`.

    Raises:
        SetupError: The server can't be fetched or started; the message says what to do.
        StoreError: It can't be reached.

    Example:
        >>> with cortigraph.open() as brain:  # doctest: +SKIP
        ...     brain.cypher("MATCH (r:Region) RETURN count(r) AS regions")
        [{'regions': 15}]
    """
    import os

    # Read when torch is first imported: how long its threads spin before they sleep. Spinning for long stalls training
    # on a busy machine, sleeping at once slows it on an idle one; see benchmarks/threads.py.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    from cortigraph.brain import Brain

    return Brain.open(uri, home=home, user=user, password=password, read_only=read_only)
