"""Shares of a batch that follow the workers' speed, where one of two has half of it.

    python benchmarks/adaptive_batch.py [--samples 1536] [--epochs 4] [--engine torch]

A network that sleeps for each sample, and twice as long on rank 1: so the figure holds on a busy machine, too. The last
line is JSON: `time_ratio`, an epoch with adapted shares by one with equal shares (two thirds is the least that can be),
and `max_loss_difference` between the two.
"""

from __future__ import annotations

import argparse
import statistics

from _stage import last_line, tell
from _training import bench, job_of, network, noise, open_trainer

from cortigraph.train.cluster import Cluster
from cortigraph.train.exchange import Exchange
from cortigraph.train.settings import TrainSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("samples", 1536), ("epochs", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--milliseconds", type=float, default=2.0)
    options = parser.parse_args()
    with bench() as folder:
        dataset = noise(folder / "data", options.samples, 16)
        settings = TrainSettings(epochs=options.epochs, patience=options.epochs, batch=64, checkpoint_seconds=1e6)
        blueprint = network(dataset, "benchmark_sleepy", milliseconds=options.milliseconds)
        seconds, losses = {}, {}
        with open_trainer(Cluster(2, options.engine, threads=1), folder) as two:
            for adapt in (False, True):
                exchange = Exchange(adapt=adapt)
                job = job_of(blueprint, dataset, folder / str(adapt), settings, watch_split=None, exchange=exchange)
                history = two.fit(job).history
                seconds[adapt] = [epoch.seconds for epoch in history]
                losses[adapt] = [epoch.loss for epoch in history]
                tell(f"{'adapted' if adapt else 'equal'}: {', '.join(f'{one:.2f}' for one in seconds[adapt])} s")
    last_line(
        time_ratio=statistics.median(seconds[True]) / statistics.median(seconds[False]),
        first_epoch_ratio=seconds[True][0] / seconds[False][0],
        max_loss_difference=f"{max(abs(a - b) for a, b in zip(losses[True], losses[False], strict=True)):.2e}",
    )
