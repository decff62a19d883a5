"""A snapshot of FB15k-237: how fast it is read for the first time, and opened again; the driver row by row beside it.

    CORTIGRAPH_DATA=… python benchmarks/snapshot.py

The graph has 14,541 entities with names, descriptions and 310,116 relationships. `rels_per_s` counts the whole of the
first read: nodes, properties, relationships, files written. The server has answered the same kind of query once before,
for us and for the peer. The last line is JSON: `rels_per_s`, `reopen_s`, `driver_rels_per_s`.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import neo4j
from _stage import address, fresh, last_line, tell
from ingest import job

from cortigraph.graph.snapshot import snapshot
from cortigraph.ingest.run import Options, run

ROUNDS = 3
QUERY = "MATCH (a)-[r]->(b) RETURN a.key AS start, type(r) AS type, b.key AS end, properties(r) AS properties"


def main() -> None:
    """Measures and prints the last line."""
    with fresh() as (store, home):
        run(store, home, job(), Options(first_load=False))
        firsts, again = [], []
        for _ in range(ROUNDS):
            shutil.rmtree(home.cache / "snapshots", ignore_errors=True)
            began = time.perf_counter()
            taken = snapshot(store, home)
            firsts.append(time.perf_counter() - began)
            began = time.perf_counter()
            opened = snapshot(store, home)
            again.append(time.perf_counter() - began)
            assert taken.edge_count == opened.edge_count
            tell(f"first read {firsts[-1]:.2f} s, again {again[-1]:.3f} s, {taken.edge_count} relationships")
        uri, user, password = address(home)
        rows = []
        with neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver, driver.session() as session:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                count = sum(1 for _ in session.run(QUERY))
                rows.append(count / (time.perf_counter() - began))
                tell(f"row by row {rows[-1]:.0f} relationships/s")
        size = sum(path.stat().st_size for path in Path(home.cache / "snapshots").rglob("*") if path.is_file())
        last_line(
            rels_per_s=taken.edge_count / min(firsts),
            reopen_s=min(again),
            driver_rels_per_s=max(rows),
            first_of_all_rels_per_s=taken.edge_count / firsts[0],
            mebibytes=size / 2**20,
        )


if __name__ == "__main__":
    main()
