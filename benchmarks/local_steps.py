"""Averaging parameters now and then, against averaging gradients in every step: bytes sent, and accuracy.

    CORTIGRAPH_DATA=… python benchmarks/local_steps.py [--train 6144] [--epochs 6] [--steps 8] [--engine torch]

A perceptron of 10 million parameters on MNIST, two workers, H = 8; judged on all 10,000 test digits. The last line is
JSON: `bytes_ratio`, bytes of every step by bytes of H local steps, and `accuracy_drop` in points; then the same for
averages that travel while the next steps are taken (`async_…`) and for 16-bit ones (`fp16_…`).
"""

from __future__ import annotations

import argparse

from _stage import last_line, tell
from _training import bench, job_of, mnist, network, open_trainer

from cortigraph.train.cluster import Cluster
from cortigraph.train.exchange import Exchange
from cortigraph.train.settings import TrainSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in (("train", 6144), ("epochs", 6), ("steps", 8), ("batch", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--outer-rate", type=float, default=1.0)
    parser.add_argument("--outer-momentum", type=float, default=0.2)
    parser.add_argument("--engine", default="torch")
    options = parser.parse_args()
    outer = {"outer_rate": options.outer_rate, "outer_momentum": options.outer_momentum}
    ways = {
        "every": Exchange(),
        "local": Exchange(local_steps=options.steps, **outer),
        "async": Exchange(local_steps=options.steps, overlap=True, **outer),
        "fp16": Exchange(local_steps=options.steps, compression="fp16", **outer),
    }
    with bench() as folder:
        dataset = mnist(folder / "data", options.train, 512)
        if dataset is None:
            raise SystemExit("MNIST is not there: set CORTIGRAPH_DATA to the folder that holds mnist/mnist.npz")
        settings = TrainSettings(epochs=options.epochs, batch=options.batch, learning_rate=5e-4, checkpoint_seconds=1e6)
        blueprint = network(dataset, "benchmark_perceptron")
        sent, accuracy, seconds = {}, {}, {}
        with open_trainer(Cluster(2, options.engine, threads=1), folder) as two:
            for name, exchange in ways.items():
                job = job_of(blueprint, dataset, folder / name, settings, watch_split=None, exchange=exchange)
                outcome = two.fit(job)
                trained = blueprint.with_weights(outcome.weights)
                accuracy[name] = two.evaluate(trained, dataset.folder, "test").metrics["accuracy"]
                sent[name] = outcome.exchanged
                seconds[name] = sum(epoch.seconds for epoch in outcome.history)
                tell(f"{name}: {sent[name] / 1e6:.0f} MB, test accuracy {accuracy[name]:.4f}, {seconds[name]:.1f} s")
    told = {}
    for name, prefix in (("local", ""), ("async", "async_"), ("fp16", "fp16_")):
        told[f"{prefix}bytes_ratio"] = sent["every"] / sent[name]
        told[f"{prefix}accuracy_drop"] = 100 * (accuracy["every"] - accuracy[name])
        told[f"{prefix}seconds_ratio"] = seconds[name] / seconds["every"]
    last_line(**told, accuracy=accuracy["every"], parameters=outcome.parameters, steps=options.steps)
