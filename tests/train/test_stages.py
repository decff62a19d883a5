"""A network split between workers by its regions: balanced, the same as the whole, and as good at going on."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.regions import WeightStore, fusion
from cortigraph.regions.blueprint import Blueprint, Node
from cortigraph.train.cluster import Cluster
from cortigraph.train.data import Dataset
from cortigraph.train.exchange import Exchange
from cortigraph.train.job import Epoch, TrainJob
from cortigraph.train.launch import trainer
from cortigraph.train.pipeline import turns
from cortigraph.train.settings import TrainSettings
from cortigraph.train.stages import Cost, cut, plan

from .conftest import recogniser

SETTINGS = TrainSettings(epochs=3, batch=11, learning_rate=5e-3, noise=0.1, shift=1, checkpoint_seconds=0)


def joined(dataset: Dataset, frozen: bool = False) -> Blueprint:
    """Two recognisers and their joint, which reads values that pass over the stage of the other."""
    nodes = [recogniser(dataset, name).nodes[0] for name in ("image", "audio")]
    nodes[0] = nodes[0].model_copy(update={"frozen": frozen})
    joint = next(region for region in fusion.REGIONS if region.id == "concat")
    joint = joint.model_copy(update={"arguments": {"sizes": [288, 288], "classes": 3}})
    reads = ("ima.features", "aud.features", "ima.logits", "aud.logits")
    ports = tuple(dataset.ports[name] for name in ("image", "audio"))
    return Blueprint(inputs=ports, nodes=(*nodes, Node(name="join", region=joint, inputs=reads)), output="join.logits")


def test_the_dearest_stage_is_as_cheap_as_can_be() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 4):
        costs = rng.integers(1, 20, 7).tolist()
        begins = cut(costs, count)
        dearest = max(sum(costs[a:b]) for a, b in zip(begins, [*begins[1:], 7], strict=True))
        every = [
            max(sum(costs[a:b]) for a, b in zip([0, *inner], [*inner, 7], strict=True))
            for inner in combinations(range(1, 7), count - 1)
        ]
        assert dearest == min(every)
        assert len(begins) == count


def test_stages_say_what_passes_between_them(dataset: Dataset) -> None:
    blueprint = joined(dataset, frozen=True)
    costs = {"ima": Cost(10, 10, False), "aud": Cost(10, 10, True), "join": Cost(10, 10, True)}
    first, second, third = plan(blueprint, costs, 3)
    assert first.sends == {"ima.features": (2,), "ima.logits": (2,)}, "straight to who reads it"
    assert second.receives == {}
    assert third.receives == {"aud.features": 1, "aud.logits": 1, "ima.features": 0, "ima.logits": 0}
    assert (first.reads, third.reads) == ({"image"}, set())
    assert {"aud.features", "join.logits"} <= third.learned
    assert "ima.features" not in third.learned, "no gradient goes back to what is frozen"
    with pytest.raises(InputError, match="at least 4, got 3"):
        plan(blueprint, costs, 4)


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
def test_every_part_goes_forward_once_and_then_back(schedule: str) -> None:
    for stage in range(3):
        order = turns(schedule, stage, 3, 5)
        assert sorted(order) == sorted([(way, part) for way in "FB" for part in range(5)])
        assert all(order.index(("F", part)) < order.index(("B", part)) for part in range(5))
        under_way = max(sum(1 if way == "F" else -1 for way, _ in order[: end + 1]) for end in range(10))
        assert under_way == (5 if schedule == "gpipe" else 3 - stage)


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
def test_a_split_network_learns_what_the_whole_learns(dataset: Dataset, tmp_path: Path, schedule: str) -> None:
    store = WeightStore(tmp_path / "weights")
    blueprint = joined(dataset, frozen=schedule == "gpipe")
    told = {"blueprint": blueprint, "dataset_folder": dataset.folder, "settings": SETTINGS}
    with trainer(weights=store, threads=1) as alone:
        whole = alone.fit(TrainJob(**told, work=tmp_path / "whole"))
    exchange = Exchange(split="network", micro_batches=3, schedule=schedule)
    with trainer(Cluster(3, exchange=exchange, threads=1), weights=store) as three:

        def enough(record: Epoch) -> None:
            if record.epoch == 2:
                raise KeyboardInterrupt

        job = TrainJob(**told, work=tmp_path / "split")
        if schedule == "1f1b":  # and it is killed once
            with pytest.raises(KeyboardInterrupt):
                three.fit(job, on_epoch=enough)
            assert len(list(job.work.glob("checkpoint-*.safetensors"))) >= 3
        epochs: list[int] = []
        split = three.fit(job, on_epoch=lambda record: epochs.append(record.epoch))
    assert epochs[0] >= (2 if schedule == "1f1b" else 1), "all stages had written the first epoch"
    assert (split.workers, split.parameters) == (3, whole.parameters)
    for first, second in zip(whole.history, split.history, strict=True):
        assert first.loss == pytest.approx(second.loss, abs=1e-4)
        assert first.watch["nll"] == pytest.approx(second.watch["nll"], abs=1e-3)
    assert set(split.weights) == set(whole.weights)
    for node, kept in whole.weights.items():
        one, other = store.load(kept), store.load(split.weights[node])
        assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-3
    assert not list(job.work.glob("checkpoint*"))


def test_what_does_not_go_together_is_said() -> None:
    with pytest.raises(InputError, match="by the torch engine, got horovod"):
        Cluster(2, "horovod", exchange=Exchange(split="network"))
    with pytest.raises(InputError, match="needs all its workers"):
        Cluster(2, minimum=1, exchange=Exchange(split="network"))
    with pytest.raises(InputError, match="no gradients to average"):
        Exchange.parse({"split": "network", "local_steps": 4})
