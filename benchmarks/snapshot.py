"""FB15k-237 (14,541 nodes, 310,116 relationships) read whole: as a snapshot, and by the driver row by row.

    CORTIGRAPH_DATA=… python benchmarks/snapshot.py [--rounds 5]

The graph is what a job has ingested: names, descriptions, and on every element the number of its batch. Ours is
`snapshot()` from the first query to the files on disk, nodes and properties included, with an empty cache each time;
`first_rels_per_s` is the very first, on a server that has not been asked any of it before. The peer sends one query for
all nodes and one for all relationships, with properties, and makes lists of what comes. `reopen_s` is `snapshot()`
when the store has not changed. Medians; the last line is JSON.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time

import neo4j
from _stage import address, fresh, last_line, tell
from ingest import job

from cortigraph.graph.home import Home
from cortigraph.graph.snapshot import Snapshot, snapshot
from cortigraph.graph.store import Store
from cortigraph.ingest.run import Options, run

NODES = "MATCH (n:Entity) RETURN n.key AS key, properties(n) AS properties"
EDGES = "MATCH (a)-[r]->(b) RETURN a.key AS head, type(r) AS type, b.key AS tail, properties(r) AS properties"
WANTED = (14_541, 310_116)


def ours(store: Store, home: Home) -> tuple[float, float]:
    """Seconds to read, and to open again."""
    shutil.rmtree(home.cache / "snapshots", ignore_errors=True)
    took = []
    for _ in range(2):
        began = time.perf_counter()
        graph = snapshot(store, home)
        took.append(time.perf_counter() - began)
        check(graph)
    return took[0], took[1]


def check(graph: Snapshot) -> None:
    """Everything must be there, and not only quickly."""
    facts = sum(edges.count for kind, edges in graph.edges.items() if kind[::2] == ("Entity", "Entity"))
    assert (graph.nodes["Entity"].count, facts) == WANTED, graph


def peer(home: Home) -> float:
    """Seconds that the driver takes, row by row."""
    uri, user, password = address(home)
    with neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver, driver.session() as session:
        session.run("RETURN 1").consume()
        began = time.perf_counter()
        found = tuple(len([tuple(record) for record in session.run(query)]) for query in (NODES, EDGES))
        seconds = time.perf_counter() - began
    assert found[0] == WANTED[0], found
    return seconds


def main() -> None:
    """Measures in turns and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    reads, reopens, peers = [], [], []
    with fresh() as (store, home):
        run(store, home, job(), Options(first_load=False))
        for number in range(rounds):
            read, reopen = ours(store, home)
            reads.append(read)
            reopens.append(reopen)
            peers.append(peer(home))
            tell(f"round {number + 1}: snapshot {read:.2f} s, again {reopen:.3f} s, row by row {peers[-1]:.2f} s")
    ours_median, peer_median = statistics.median(reads), statistics.median(peers)
    last_line(
        rels_per_s=WANTED[1] / ours_median,
        reopen_s=statistics.median(reopens),
        first_rels_per_s=WANTED[1] / reads[0],
        driver_rels_per_s=WANTED[1] / peer_median,
        ratio_to_driver=peer_median / ours_median,
    )


if __name__ == "__main__":
    main()
