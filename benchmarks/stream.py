"""A million rows on the command line, in each format: when the first comes, how long all take, and the memory it takes.

python benchmarks/stream.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from cortigraph.graph import server
from cortigraph.graph.home import Home

QUERY = "UNWIND range(1, {rows}) AS x RETURN x, 'some text of a row' AS text, x / 3.0 AS third"


def measured(form: str, rows: int, home: Home) -> dict[str, float]:
    """One run: seconds and megabytes."""
    script = Path(sys.executable).with_name("cortigraph")
    command = [script, "cypher", QUERY.format(rows=rows), "--format", form, "--home", home.root]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        watched, peak, size, first = psutil.Process(process.pid), 0, 0, 0.0
        while part := process.stdout.read1(1 << 16):
            first = first or time.perf_counter() - began
            size += len(part)
            peak = max(peak, watched.memory_info().rss)
    whole = time.perf_counter() - began
    return {"first": round(first, 2), "seconds": round(whole, 1), "peak_mb": peak >> 20, "output_mb": size >> 20}


def main() -> None:
    """Print a line for each format, and JSON at the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        server.start(home)
        try:
            found = {form: measured(form, rows, home) for form in ("jsonl", "json", "csv", "table")}
        finally:
            server.stop(home)
    for form, numbers in found.items():
        print(f"{form:6}", numbers)
    print(json.dumps({"rows": rows, **found}))


if __name__ == "__main__":
    main()
