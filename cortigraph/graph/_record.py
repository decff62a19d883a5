"""Shows Java what to load ahead of time: a server's life in short, and a small import. Run by `aot`, on its own.

python -m cortigraph.graph._record JARS FILE
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from cortigraph.graph import _dbms, _import
from cortigraph.graph.store import open_store

__all__: list[str] = []

_ROWS = [{"key": str(number), "to": "0", "weight": 0.5} for number in range(300)]
_QUERIES = (
    "UNWIND $rows AS row MERGE (n:Entity {key: row.key}) SET n += row RETURN count(n)",
    "UNWIND $rows AS row MATCH (a:Entity {key: row.key}) MATCH (b:Entity {key: row.to}) "
    "MERGE (a)-[r:TO]->(b) SET r.weight = row.weight RETURN count(r)",
    "UNWIND $rows AS row MATCH (n:Entity {key: row.key}) DETACH DELETE n",
)


def main(jars: Path, made: Path) -> None:
    """Java writes the file when it ends."""
    import jpype

    _dbms.start_java(jars, [f"-XX:AOTCacheOutput={made}"])
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        _import_something(Path(folder))
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        dbms = _dbms.start_neo4j(Path(folder))
        try:
            _serve_a_little(dbms, Path(folder))
        finally:
            dbms.shutdown()
    jpype.shutdownJVM()


def _serve_a_little(dbms: Any, database: Path) -> None:
    password = secrets.token_urlsafe()
    (database / "password.new").write_text(password, encoding="utf-8")
    _dbms.set_password(dbms, database)
    uri = f"bolt://127.0.0.1:{_dbms.bound_port(dbms)}"
    with open_store(uri=uri, user="neo4j", password=password) as store:
        for query in _QUERIES:
            store.write(query, rows=_ROWS)
        store.version()


def _import_something(incoming: Path) -> None:
    import jpype

    nodes, edges = incoming / "nodes.csv", incoming / "edges.csv"
    nodes.write_text(':ID,"key:string","weight:double"\n' + "".join(f'{i},"{i}",0.5\n' for i in range(300)))
    edges.write_text(':START_ID,:END_ID,"weight:double"\n' + "".join(f"{i},0,0.5\n" for i in range(300)))
    arguments = _import.arguments(incoming, {nodes: ["Entity"]}, [("TO", edges)], lines=False)
    out = jpype.JClass("java.io.PrintStream")(jpype.JClass("java.io.OutputStream").nullOutputStream())
    home = jpype.JClass("java.nio.file.Path").of(str(incoming))
    files = jpype.JClass("org.neo4j.io.fs.DefaultFileSystemAbstraction")()
    context = jpype.JClass("org.neo4j.cli.ExecutionContext")(home, home.resolve("conf"), out, out, files)
    failed = jpype.JClass("org.neo4j.cli.AdminTool").execute(context, *arguments)
    if failed:
        raise RuntimeError(f"the import tool ended with {failed}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
