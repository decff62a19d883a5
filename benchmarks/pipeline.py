"""A network split by its regions over 2 and 4 workers, against the whole on one: peak memory, and the difference.

    python benchmarks/pipeline.py [--width 2048] [--depth 8] [--batch 64]

The last line is JSON: `memory_ratio`, the peak of the fullest of four workers by that of one alone, each counted on
top of what the process had before the job; and `max_difference` of any loss or weight between them.
"""

from __future__ import annotations

import argparse

from _stage import last_line, tell
from _training import bench, chain, job_of, noise, open_trainer

from cortigraph.regions import WeightStore
from cortigraph.train.cluster import Cluster
from cortigraph.train.exchange import Exchange
from cortigraph.train.job import Outcome
from cortigraph.train.settings import TrainSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("width", 2048), ("depth", 8), ("batch", 64), ("samples", 576), ("epochs", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--schedule", default="1f1b")
    options = parser.parse_args()
    with bench() as folder:
        dataset = noise(folder / "data", options.samples, 28)
        settings = TrainSettings(epochs=options.epochs, batch=options.batch, learning_rate=1e-4, checkpoint_seconds=1e6)
        blueprint, store = chain(dataset, options.width, options.depth), WeightStore(folder / "weights")
        peaks, outcomes = {}, {}
        for stages in (1, 2, 4):
            exchange = Exchange(split="network", micro_batches=2 * stages, schedule=options.schedule)
            if stages == 1:
                exchange = Exchange()
            job = job_of(blueprint, dataset, folder / f"work{stages}", settings, exchange=exchange)
            small = job.model_copy(
                update={"blueprint": chain(dataset, 8, options.depth), "work": folder / f"s{stages}"}
            )
            asked = {"job": job.to_json(), "small": small.to_json(), "weights": str(store.root)}
            cluster = Cluster(stages, "torch", threads=1, exchange=exchange)
            with open_trainer(cluster, folder) as group:
                told = group.call("benchmark.memory", asked)
            peaks[stages] = max(told["peaks"])
            outcomes[stages] = Outcome.from_json(told["outcome"])
            tell(f"{stages} stages: {', '.join(f'{peak / 1e6:.0f}' for peak in told['peaks'])} MB")
        apart = [
            abs(a.loss - b.loss)
            for stages in (2, 4)
            for a, b in zip(outcomes[1].history, outcomes[stages].history, strict=True)
        ]
        for node, kept in outcomes[1].weights.items():
            whole = store.load(kept)
            for stages in (2, 4):
                part = store.load(outcomes[stages].weights[node])
                apart += [float((whole[name] - part[name]).abs().max()) for name in whole]
    last_line(
        memory_ratio=peaks[4] / peaks[1],
        memory_ratio_of_two=peaks[2] / peaks[1],
        max_difference=f"{max(apart):.2e}",
        parameters=outcomes[1].parameters,
    )
