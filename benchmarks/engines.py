"""Horovod against torch.distributed: the same job, two workers of one thread each, by turns.

    python benchmarks/engines.py [--rounds 3] [--epochs 3]

MediumNet of width 16, batch 64, on pictures of 112×112, where time goes to computing as in `horovod_scaling.py`; and on
56×56, where a step takes some tens of milliseconds and what an engine takes to answer shows. One group at a time:
Horovod's ranks exchange messages while they wait, which costs whoever is beside them. The last line is JSON: `ratio`
and `small_ratio`, samples a second under torch by those under Horovod, and `max_loss_difference` of any epoch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _stage import last_line, tell
from _training import bench, job_of, median_of, network, noise, open_trainer

from cortigraph.train.cluster import Cluster
from cortigraph.train.settings import TrainSettings


def compared(folder: Path, side: int, samples: int, epochs: int, rounds: int) -> tuple[list[float], float]:
    """Samples a second under Horovod and torch, and how far their losses are apart."""
    dataset = noise(folder / f"data{side}", samples, side)
    settings = TrainSettings(epochs=epochs, patience=epochs, checkpoint_seconds=1e6)
    blueprint, losses, turn = network(dataset, width=16), dict[str, list[float]](), iter(range(1000))

    def speed(engine: str) -> float:
        with open_trainer(Cluster(2, engine, threads=1), folder) as group:
            for _ in range(2):  # the first starts the group
                outcome = group.fit(job_of(blueprint, dataset, folder / f"work{side}-{next(turn)}", settings))
        losses[engine] = [record.loss for record in outcome.history]
        tell(f"{side}×{side}, {engine}: {outcome.samples_per_second:.0f} samples/s")
        return outcome.samples_per_second

    fast = median_of(rounds, lambda: speed("horovod"), lambda: speed("torch"))
    return fast, max(abs(a - b) for a, b in zip(losses["horovod"], losses["torch"], strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("rounds", 3), ("epochs", 3), ("samples", 768)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with bench() as folder:
        large, apart = compared(folder, 112, options.samples, options.epochs, options.rounds)
        small, apart_too = compared(folder, 56, 4 * options.samples, options.epochs, options.rounds)
    last_line(
        ratio=large[1] / large[0],
        max_loss_difference=f"{max(apart, apart_too):.2e}",
        horovod=large[0],
        torch=large[1],
        small_ratio=small[1] / small[0],
    )
