"""PyG's `NeighborLoader` over the store, and over the same graph held in memory.

    CORTIGRAPH_DATA=… python benchmarks/neighbor_loader.py [--batches 100]

FB15k-237: one type of node, 237 types of edge, batches of 128 entities, 4 neighbours of each type, two hops. Over the
store the feature store and the graph store read through a snapshot: cold is the first epoch with the reading in it,
cached is any later one. In memory is a `HeteroData` with the same sampler. The last line is JSON: `ratio`, batches a
second over the store, cached, divided by those in memory; `cold_ratio` the same for the first epoch.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import time
from typing import Any

import numpy as np
import torch
from _stage import fresh, last_line, tell
from ingest import job
from torch_geometric.loader import NeighborLoader

from cortigraph.graph.pyg import neighbor_sampler, pyg_stores, to_pyg
from cortigraph.graph.snapshot import snapshot
from cortigraph.ingest.run import Options, run

NEIGHBOURS = [4, 4]


def epoch(data: Any, batches: int, total: int) -> float:
    """Seconds for so many batches."""
    seeds = torch.from_numpy(np.random.default_rng(0).permutation(total)[: batches * 128])
    sampler = neighbor_sampler(data, num_neighbors=NEIGHBOURS)
    loader = NeighborLoader(
        data, num_neighbors=NEIGHBOURS, input_nodes=("Entity", seeds), batch_size=128, neighbor_sampler=sampler
    )
    began = time.perf_counter()
    count = sum(1 for _ in itertools.islice(loader, batches))
    assert count
    return (time.perf_counter() - began) / count


def main() -> None:
    """Measures and prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batches", type=int, default=100)
    batches = parser.parse_args().batches
    with fresh() as (store, home):
        run(store, home, job(), Options(first_load=False))
        store.write("MATCH (n:Entity) SET n.embedding = [x IN range(1, 384) | rand()]")
        shutil.rmtree(home.cache / "snapshots", ignore_errors=True)
        began = time.perf_counter()
        stores = pyg_stores(snapshot(store, home, labels=["Entity"]))
        reading = time.perf_counter() - began
        cold = epoch(stores, batches, 14_541) + reading / batches
        cached = min(epoch(stores, batches, 14_541) for _ in range(2))
        data = to_pyg(snapshot(store, home, labels=["Entity"]))
        epoch(data, batches, 14_541)
        memory = min(epoch(data, batches, 14_541) for _ in range(2))
        tell(f"cold {1 / cold:.1f}, cached {1 / cached:.1f}, in memory {1 / memory:.1f} batches/s")
        last_line(ratio=memory / cached, cold_ratio=memory / cold, batches_per_s=1 / cached, reading_s=reading)


if __name__ == "__main__":
    main()
