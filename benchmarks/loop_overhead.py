"""Our loop in one process against a bare PyTorch loop: the same network, data, batches and optimizer, by turns.

    python benchmarks/loop_overhead.py [--samples 2048] [--epochs 3] [--rounds 5] [--side 56]

The last line is JSON: `overhead`, how much longer an epoch of ours takes (0.05 is 5 %), and `input_share`, the part of
it that goes to taking batches out of the data.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from _stage import last_line, tell
from _training import bare_loop, bench, job_of, median_of, network, noise

from cortigraph.regions import WeightStore
from cortigraph.train.loop import fit
from cortigraph.train.samples import Samples
from cortigraph.train.settings import TrainSettings
from cortigraph.train.single import SingleEngine

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("samples", 2048), ("epochs", 3), ("rounds", 5), ("side", 56), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    taken = [0.0]
    take = Samples.take

    def timed(self: Samples, positions: torch.Tensor) -> dict[str, torch.Tensor]:
        began = time.perf_counter()
        try:
            return take(self, positions)
        finally:
            taken[0] += time.perf_counter() - began

    with bench() as folder:
        dataset = noise(folder / "data", options.samples, options.side)
        settings = TrainSettings(epochs=options.epochs, checkpoint_seconds=1e6)
        store, turn, shares = WeightStore(folder / "weights"), iter(range(1000)), []

        def ours() -> float:
            job = job_of(network(dataset, width=16), dataset, folder / f"work{next(turn)}", settings, watch_split=None)
            seconds: list[float] = []
            taken[0] = 0.0
            at: list[float] = []
            fit(job, SingleEngine(), store, lambda epoch: (seconds.append(epoch.seconds), at.append(taken[0])))
            shares.append(at[-1] / sum(seconds))
            return statistics.median(seconds)

        def bare() -> float:
            job = job_of(network(dataset, width=16), dataset, folder / "none", settings)
            return statistics.median(bare_loop(job))

        Samples.take = timed
        ours(), bare()
        mine, plain = median_of(options.rounds, ours, bare)
        tell(f"an epoch: ours {mine:.3f} s, bare {plain:.3f} s")
    last_line(overhead=mine / plain - 1, input_share=statistics.median(shares), ours=mine, bare=plain)
