"""Two workers of one thread against one worker of one thread, on a pathway whose time goes to computing.

    python benchmarks/horovod_scaling.py [--samples 768] [--epochs 3] [--rounds 3] [--engine horovod]

MediumNet of width 16 on pictures of 112×112, batch 64. The last line is JSON: `speedup`, samples a second of two by
those of one, and `overhead`, how much longer an epoch of our loop takes than one of a bare Horovod loop in the same
two processes (0.05 is 5 %).
"""

from __future__ import annotations

import argparse
import statistics

from _stage import last_line, tell
from _training import bench, job_of, median_of, network, noise, open_trainer

from cortigraph.train.cluster import Cluster
from cortigraph.train.job import TrainJob
from cortigraph.train.launch import Trainer
from cortigraph.train.settings import TrainSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("samples", 768), ("epochs", 3), ("rounds", 3), ("side", 112)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--engine", default="horovod")
    options = parser.parse_args()
    with bench() as folder:
        dataset = noise(folder / "data", options.samples, options.side)
        settings = TrainSettings(epochs=options.epochs, checkpoint_seconds=1e6)
        blueprint, turn = network(dataset, width=16), iter(range(1000))

        def job() -> TrainJob:
            return job_of(blueprint, dataset, folder / f"work{next(turn)}", settings, watch_split=None)

        def seconds(of: Trainer) -> float:
            found = statistics.median(epoch.seconds for epoch in of.fit(job()).history)
            tell(f"{of.workers} × 1 thread: {found:.2f} s an epoch")
            return found

        def bare(of: Trainer) -> float:
            found = statistics.median(of.call("benchmark.bare", {"job": job().to_json()})["seconds"])
            tell(f"bare loop, {of.workers} × 1 thread: {found:.2f} s an epoch")
            return found

        with (
            open_trainer(Cluster(1, "single", threads=1), folder) as one,
            open_trainer(Cluster(2, options.engine, threads=1), folder) as two,
        ):
            seconds(two)  # starts the group
            alone, together, plain = median_of(
                options.rounds, lambda: seconds(one), lambda: seconds(two), lambda: bare(two)
            )
    last_line(speedup=alone / together, overhead=together / plain - 1, engine=options.engine)
