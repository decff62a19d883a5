"""Horovod against torch.distributed: the same job, two workers of one thread each, by turns.

    python benchmarks/engines.py [--samples 4096] [--epochs 4] [--rounds 3]

One group at a time: Horovod's ranks exchange messages while they wait, which costs whoever is beside them. The last
line is JSON: `ratio`, samples a second under torch by those under Horovod, and `max_loss_difference` of any
epoch between the two.
"""

from __future__ import annotations

import argparse

from _stage import last_line, tell
from _training import bench, job_of, median_of, network, noise, open_trainer

from cortigraph.train.cluster import Cluster
from cortigraph.train.settings import TrainSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("samples", 4096), ("epochs", 4), ("rounds", 3), ("side", 56)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with bench() as folder:
        dataset = noise(folder / "data", options.samples, options.side)
        settings = TrainSettings(epochs=options.epochs, patience=options.epochs, checkpoint_seconds=1e6)
        blueprint = network(dataset, width=16)
        losses: dict[str, list[float]] = {}
        turn = iter(range(1000))

        def speed(engine: str) -> float:
            with open_trainer(Cluster(2, engine, threads=1), folder) as group:
                for _ in range(2):  # the first starts the group
                    outcome = group.fit(job_of(blueprint, dataset, folder / f"work{next(turn)}", settings))
            losses[engine] = [record.loss for record in outcome.history]
            tell(f"{engine}: {outcome.samples_per_second:.0f} samples/s")
            return outcome.samples_per_second

        fast = median_of(options.rounds, lambda: speed("horovod"), lambda: speed("torch"))
    apart = max(abs(a - b) for a, b in zip(losses["horovod"], losses["torch"], strict=True))
    last_line(ratio=fast[1] / fast[0], max_loss_difference=f"{apart:.2e}", horovod=fast[0], torch=fast[1])
