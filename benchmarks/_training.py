"""What the benchmarks of training share: data, networks, and what ranks are asked to do. Ranks import it as well.

MNIST lies under `CORTIGRAPH_DATA`; without it, networks learn from noise where only time is measured.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _stage import data_folder
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn import functional

from cortigraph.regions import WeightStore, vision
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.regions.builders import builder
from cortigraph.regions.ports import Port
from cortigraph.regions.region import Region
from cortigraph.train.cluster import Cluster
from cortigraph.train.data.dataset import Dataset
from cortigraph.train.data.decode import Transform
from cortigraph.train.data.image import ImageDecoder
from cortigraph.train.engine import Engine
from cortigraph.train.job import TrainJob
from cortigraph.train.launch import Trainer, trainer
from cortigraph.train.loop import fit
from cortigraph.train.settings import TrainSettings
from cortigraph.train.tasks import Report, task

MODULE = __name__
HERE = Path(__file__).resolve().parent


@contextmanager
def bench() -> Iterator[Path]:
    """A folder for all that a benchmark makes; ranks find this module."""
    sys.path.insert(0, str(HERE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="cortigraph-benchmark-") as name:
        yield Path(name)


def open_trainer(cluster: Cluster, folder: Path) -> Trainer:
    """One whose ranks know this module."""
    return trainer(cluster, weights=WeightStore(folder / "weights"), modules=[MODULE])


def noise(folder: Path, count: int, side: int, classes: int = 10) -> Dataset:
    """Pictures of noise, whose class is where it is a little brighter: half train, the rest to watch and test."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, count)
    images = rng.random((count, 1, side, side), dtype=np.float32)
    for label in range(classes):
        images[target == label, :, :, label * side // classes : (label + 1) * side // classes] += 0.3
    return _written(folder, images, target, [count - 2 * (count // 16), count // 16, count // 16])


def mnist(folder: Path, train: int, valid: int, side: int = 28) -> Dataset | None:
    """Handwritten digits, all 10,000 to test; None where the file is not."""
    file = data_folder() / "mnist" / "mnist.npz"
    if not file.exists():
        return None
    found = np.load(file, allow_pickle=False)
    images = np.concatenate([found["x_train"][: train + valid], found["x_test"]])[:, None].astype(np.float32) / 255
    images = (images - images[:train].mean()) / images[:train].std()
    target = np.concatenate([found["y_train"][: train + valid], found["y_test"]]).astype(np.int64)
    if side != 28:
        maps = [functional.interpolate(part, (side, side)) for part in torch.from_numpy(images).split(1000)]
        images = torch.cat(maps).numpy()
    return _written(folder, images, target, [train, valid, 10_000])


def _written(folder: Path, images: np.ndarray, target: np.ndarray, sizes: list[int]) -> Dataset:
    folder.mkdir(parents=True)
    decoder = ImageDecoder((images.shape[2], images.shape[3]), 1)
    np.save(folder / "input.image.npy", images)
    dataset = Dataset(
        folder=folder,
        inputs={"image": images},
        target=target.astype(np.int64),
        classes=[str(label) for label in range(int(target.max()) + 1)],
        transforms={"image": Transform("image", decoder, (0.0,), (1.0,))},
        splits=np.repeat(np.arange(3, dtype=np.int8), sizes),
        statistics=np.zeros(64, dtype=np.float32),
        fingerprint=f"{abs(hash((len(images), images.shape))):064x}",
    )
    dataset.write()
    return Dataset.open(folder)


def network(dataset: Dataset, name: str = "mediumnet", **arguments: JsonValue) -> Blueprint:
    """One region on the pictures."""
    region = next(region for region in vision.REGIONS if region.builder == "mediumnet")
    region = region.model_copy(
        update={"builder": name, "arguments": {"classes": len(dataset.classes), **arguments}, "weights": None}
    )
    node = Node(name="eye", region=region, inputs=("image",))
    return Blueprint(inputs=(dataset.ports["image"],), nodes=(node,), output="eye.logits")


def chain(dataset: Dataset, width: int, depth: int) -> Blueprint:
    """Regions of one wide layer each, one after the other, and a head."""
    image = dataset.ports["image"]
    nodes, before, size = [], "image", int(np.prod([axis or 1 for axis in image.sizes]))
    for number in range(depth):
        last = number == depth - 1
        arguments: dict[str, JsonValue] = {"inputs": size, "width": len(dataset.classes) if last else width}
        accepts = image if number == 0 else Port.parse("x", "image[feature=*] float32 features")
        emits = "image[class=*] float32 logits" if last else "image[feature=*] float32 features"
        region = Region(
            area="benchmark", id=f"dense{number}", name="dense", builder="benchmark_dense", arguments=arguments,
            accepts=(accepts,), emits=(Port.parse("y", emits),),
        )  # fmt: skip
        nodes.append(Node(name=f"layer{number}", region=region, inputs=(before,)))
        before, size = f"layer{number}.y", width
    return Blueprint(inputs=(image,), nodes=tuple(nodes), output=before)


def job_of(blueprint: Blueprint, dataset: Dataset, work: Path, settings: TrainSettings, **more: Any) -> TrainJob:
    """A job that writes no checkpoint while it is timed."""
    return TrainJob(blueprint=blueprint, dataset_folder=dataset.folder, work=work, settings=settings, **more)


class _Dense(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, width)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": functional.relu(self.layer(x.flatten(1)))}


@builder("benchmark_dense")
def benchmark_dense(inputs: int, width: int) -> nn.Module:
    """One layer."""
    return _Dense(inputs, width)


class _Perceptron(nn.Module):
    def __init__(self, classes: int, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU(),
            nn.Dropout(dropout),
        )  # fmt: skip
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.hidden(x)
        return {"features": features, "logits": self.head(features)}


@builder("benchmark_perceptron")
def benchmark_perceptron(classes: int = 10, inputs: int = 784, width: int = 2800, dropout: float = 0.0) -> nn.Module:
    """Two wide hidden layers: 10 million parameters."""
    return _Perceptron(classes, inputs, width, dropout)


class _Sleepy(nn.Module):
    def __init__(self, classes: int, milliseconds: float) -> None:
        super().__init__()
        self.head = nn.Linear(64, classes)
        rank = int(os.environ.get("HOROVOD_RANK") or os.environ.get("RANK") or 0)
        self.seconds = milliseconds / 1000 * (2 if rank == 1 else 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        time.sleep(self.seconds * len(x))
        features = functional.adaptive_avg_pool2d(x, 8).flatten(1)
        return {"features": features, "logits": self.head(features)}


@builder("benchmark_sleepy")
def benchmark_sleepy(classes: int = 10, milliseconds: float = 1.0) -> nn.Module:
    """Takes so long for each sample, and rank 1 twice as long: half the speed, however busy the machine is."""
    return _Sleepy(classes, milliseconds)


@task("benchmark.bare")
def bare(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """What anybody would write: a plain loop over tensors in memory; with several ranks, a plain Horovod loop."""
    job = TrainJob.from_json(str(arguments["job"]))
    seconds = bare_loop(job, engine.rank, engine.size, _horovod() if engine.size > 1 else None)
    return {"seconds": seconds}


def _horovod() -> Any:
    import horovod.torch as hvd

    return hvd


def bare_loop(job: TrainJob, rank: int = 0, size: int = 1, hvd: Any = None) -> list[float]:
    """Seconds of each epoch; the same network, data, batches and optimizer as the job's."""
    dataset, settings = Dataset.open(job.dataset_folder), job.settings
    torch.manual_seed(settings.seed)
    pathway = job.blueprint.build(None)
    net = pathway.regions["eye"]
    rows = torch.from_numpy(dataset.rows(job.fit_split))
    images, target = torch.from_numpy(np.array(dataset.inputs["image"]))[rows], torch.from_numpy(dataset.target)[rows]
    optimizer: Any = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=0.01, fused=True)
    if hvd is not None:
        for parameter in net.parameters():
            parameter.data = parameter.data.contiguous()
        hvd.broadcast_parameters(net.state_dict(), root_rank=0)
        optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=net.named_parameters())
    net.train()
    seconds = []
    for epoch in range(settings.epochs):
        began = time.perf_counter()
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(settings.batch):
            mine = batch[rank * len(batch) // size : (rank + 1) * len(batch) // size]
            optimizer.zero_grad()
            functional.cross_entropy(net(images[mine])["logits"], target[mine]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - began)
    return seconds


@task("benchmark.memory")
def memory(engine: Engine, arguments: Mapping[str, JsonValue], report: Report) -> Mapping[str, JsonValue]:
    """Runs a job, and says how much memory each rank took at most on top of what it had before.

    A small job goes first: what torch itself takes when it trains for the first time is not the network's.
    """
    store = WeightStore(Path(str(arguments["weights"])))
    fit(TrainJob.from_json(str(arguments["small"])), engine, store)
    job = TrainJob.from_json(str(arguments["job"]))
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now
    outcome = fit(job, engine, store)
    peak = _resident("VmHWM") - before
    told = engine.gather(torch.tensor([peak])).tolist()
    return {"peaks": told, "outcome": outcome.to_json()}


def _resident(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def median_of(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Medians of several measures, taken by turns, so that a machine that becomes slower is so for all of them."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for one, measure in zip(found, measures, strict=True):
            one.append(measure())
    return [statistics.median(one) for one in found]
