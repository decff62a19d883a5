"""20,000 elements through our ingestion, and through neo4j-graphrag's `Neo4jWriter`.

    python benchmarks/graphrag_writer.py [--elements 20000]        # needs neo4j-graphrag

2,000 entities and 18,000 relationships of 20 types, made up. Ours is a whole job from tables in memory. Each runs on an
empty store of its own, after a warm-up with a tenth of the elements. The last line is JSON: `ratio`, above 1 where ours
is faster.
"""

from __future__ import annotations

import argparse
import time

import _peers
import neo4j
import pyarrow as pa
from _stage import address, fresh, last_line, tell

from cortigraph.ingest.job import Job
from cortigraph.ingest.run import Options, run

JOB = {
    "job": "made-up",
    "nodes": [{"source": "things", "key": "key", "properties": {"name": "name"}}],
    "relationships": [{"source": "facts", "type": {"column": "type"}, "start": "start", "end": "end"}],
}


def elements(count: int) -> tuple[list[dict[str, str]], list[tuple[str, str, str]]]:
    """Nodes and triples, a tenth of them nodes."""
    nodes = [{"key": f"thing/{i}", "name": f"The thing number {i}"} for i in range(count // 10)]
    keys = [node["key"] for node in nodes]
    size = len(keys)
    triples = [(keys[i % size], f"REL_{i % 20}", keys[(i * 7 + i // size) % size]) for i in range(count - size)]
    return nodes, list(dict.fromkeys(triples))


def ours(count: int) -> float:
    """Seconds of a job."""
    with fresh() as (store, home):
        for number, size in enumerate((count // 10, count)):
            nodes, triples = elements(size)
            store.write("MATCH (n:Entity) DETACH DELETE n")
            heads, types, tails = zip(*triples, strict=True)
            tables = {
                "things": pa.Table.from_pylist(nodes),
                "facts": pa.table({"start": heads, "type": types, "end": tails}),
            }
            began = time.perf_counter()
            report = run(store, home, Job.parse({**JOB, "job": f"made-up-{number}"}), Options(), tables=tables)
            seconds = time.perf_counter() - began
            assert report.counters["relationships_created"] == len(triples)
    tell(f"ours: {seconds:.2f} s")
    return seconds


def theirs(count: int) -> float:
    """Seconds of the writer."""
    with fresh() as (store, home):
        uri, user, password = address(home)
        with neo4j.GraphDatabase.driver(uri, auth=(user, password)) as driver:
            for size in (count // 10, count):
                store.write("MATCH (n:Entity) DETACH DELETE n")
                seconds = _peers.graphrag_writer(driver, *elements(size))
    tell(f"Neo4jWriter: {seconds:.2f} s")
    return seconds


def main() -> None:
    """Measures and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=20_000)
    count = parser.parse_args().elements
    mine, peers = ours(count), theirs(count)
    last_line(ratio=peers / mine, seconds=mine, peer_seconds=peers, elements=count)


if __name__ == "__main__":
    main()
