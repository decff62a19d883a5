"""PyG's `NeighborLoader` over the store against the same graph held in memory: batches per second, FB15k-237.

    CORTIGRAPH_DATA=… python benchmarks/neighbor_loader.py [--rounds 3]

14,541 entities with vectors of 384 numbers, 310,116 facts of 237 types; batches of 512 entities, fan-outs 10 and 5 per
type, one process, the same sampler on both sides. `ratio` is the store's rate over memory's once everything has been
read (medians). `first_epoch_ratio` is memory's epoch over the store's first one, which reads the graph from the server
and its vectors from disk; `second_process_ratio` the same where a snapshot of this version lies on disk already.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import _fb15k
import numpy as np
from _stage import fresh, last_line, tell
from ingest import job

from cortigraph.graph.home import Home
from cortigraph.graph.pyg import neighbor_sampler, pyg_stores, to_pyg
from cortigraph.graph.schema import TEXT_DIMENSION
from cortigraph.graph.snapshot import snapshot
from cortigraph.graph.store import Store
from cortigraph.graph.write import merge_nodes
from cortigraph.ingest.run import Options, run

FAN_OUT = [10, 5]
BATCH = 512
LABELS = ["Entity"]


def fill(store: Store, home: Home) -> None:
    """The data set by its job, and a vector for every entity."""
    run(store, home, job(), Options(first_load=False))
    keys = [node["key"] for node in _fb15k.read().nodes]
    vectors = np.random.default_rng(0).normal(size=(len(keys), TEXT_DIMENSION))
    rows = ({"key": key, "embedding": vector} for key, vector in zip(keys, vectors, strict=True))
    merge_nodes(store, "Entity", rows, batch_size=1_000)


def epoch(data: Any, sampler: Any) -> tuple[float, int]:
    """Seconds that a pass over all entities takes, and its batches."""
    from torch_geometric.loader import NeighborLoader

    loader = NeighborLoader(data, FAN_OUT, input_nodes="Entity", batch_size=BATCH, neighbor_sampler=sampler)
    began = time.perf_counter()
    batches = sum(1 for batch in loader if batch["Entity"].x.shape[1] == TEXT_DIMENSION)
    return time.perf_counter() - began, batches


def from_store(store: Store, home: Home) -> tuple[float, Any, Any]:
    """Seconds from an open store to the end of the first epoch; the data and its sampler."""
    began = time.perf_counter()
    data = pyg_stores(snapshot(store, home, labels=LABELS))
    sampler = neighbor_sampler(data, FAN_OUT, seed=0)
    epoch(data, sampler)
    return time.perf_counter() - began, data, sampler


def main() -> None:
    """Measures in turns and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with fresh() as (store, home):
        fill(store, home)
        first, data, sampler = from_store(store, home)
        again, _, _ = from_store(store, home)
        memory = to_pyg(snapshot(store, home, labels=LABELS)).clone()  # no longer mapped from the file
        memory_sampler = neighbor_sampler(memory, FAN_OUT, seed=0)
        epoch(memory, memory_sampler)
        rates: dict[str, list[float]] = {"store": [], "memory": []}
        for _ in range(rounds):
            for name, one in (("memory", (memory, memory_sampler)), ("store", (data, sampler))):
                seconds, batches = epoch(*one)
                rates[name].append(batches / seconds)
                tell(f"{name}: {batches / seconds:.1f} batches/s")
    ours, theirs = (statistics.median(rates[name]) for name in ("store", "memory"))
    last_line(
        ratio=ours / theirs,
        batches_per_s=ours,
        memory_batches_per_s=theirs,
        first_epoch_ratio=batches / theirs / first,
        second_process_ratio=batches / theirs / again,
    )


if __name__ == "__main__":
    main()
