"""Incremental ingestion of FB15k-237 against the bare driver's loop that does the same writes.

    CORTIGRAPH_DATA=… python benchmarks/ingest.py [--rounds 2]

Ours is a whole job: files read and unpacked, rows checked, compared with the graph, archived, written with the number
of their batch, counts compared with the server's. The peer (`_peers.bare_unwind`) gets its rows ready-made and
writes them without any of that. Each runs on an empty store of its own with the same schema, in turns; the best of
each counts.
The last line is JSON: `ratio_to_driver` (above 1: ours is faster), `nodes_per_s`, `rels_per_s`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import _fb15k
import _peers
from _stage import address, fresh, last_line, tell

from cortigraph.ingest.job import Job
from cortigraph.ingest.run import Options, run


def job(*, facts: bool = True) -> Job:
    """Names, descriptions and, if asked for, the facts."""
    names = {"path": "entity2name.txt.gz", "format": "tsv", "header": ["id", "name"]}
    sources: dict[str, Any] = {"names": names, "wikidata": {"path": "entity2wikidata.json.gz"}}
    nodes: list[dict[str, Any]] = [
        {"source": "names", "key": "id", "properties": {"name": "name"}, "existing": facts},
        {"source": "wikidata", "key": "_key", "properties": {"description": "description"}, "existing": facts},
    ]
    told: dict[str, Any] = {"job": "fb15k-237", "sources": sources, "nodes": nodes}
    if facts:
        sources["facts"] = {"path": ["train.txt.gz", "valid.txt.gz", "test.txt.gz"], "format": "triples"}
        edge = {"source": "facts", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
        told["relationships"] = [edge]
    return Job.parse(told, _fb15k.folder())


def ours(*, facts: bool = True) -> float:
    """Seconds that a job takes on an empty store."""
    with fresh() as (store, home):
        began = time.perf_counter()
        report = run(store, home, job(facts=facts), Options(first_load=False))
        seconds = time.perf_counter() - began
        made = (report.counters["nodes_created"], report.counters.get("relationships_created", 0))
        assert not facts or made == (14_541, 310_116), made
        tell(f"ours{'' if facts else ', nodes alone'}: {seconds:.1f} s, {made}")
        return seconds


def peer(data: _fb15k.FB15k) -> float:
    """Seconds that the bare loop takes on an empty store."""
    with fresh() as (_, home):
        took = _peers.bare_unwind(*address(home), data.nodes, data.triples)
        assert (took.nodes, took.rels) == (14_541, 310_116)
        tell(f"bare driver: {took.seconds:.1f} s")
        return took.seconds


def main() -> None:
    """Measures in turns and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    data = _fb15k.read()
    pairs = [(ours(), peer(data)) for _ in range(rounds)]
    mine, theirs = (min(each) for each in zip(*pairs, strict=True))
    nodes = min(ours(facts=False) for _ in range(rounds))
    last_line(
        ratio_to_driver=theirs / mine,
        nodes_per_s=14_951 / nodes,
        rels_per_s=310_116 / mine,
        seconds=mine,
        driver_seconds=theirs,
    )


if __name__ == "__main__":
    main()
