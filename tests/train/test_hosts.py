"""Several hosts: their slots, and real groups over network namespaces, whose line is cut."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cortigraph.graph.errors import InputError, SetupError
from cortigraph.regions import WeightStore
from cortigraph.train.cluster import Cluster
from cortigraph.train.data import Dataset
from cortigraph.train.exchange import Exchange
from cortigraph.train.hosts import Roster, Slot, parse_hosts
from cortigraph.train.job import Epoch, TrainJob
from cortigraph.train.launch import trainer
from cortigraph.train.meeting import open_meeting
from cortigraph.train.settings import TrainSettings
from tests.network import HERE, Hosts

from . import tasks
from .conftest import recogniser


def test_hosts_are_read_as_a_whole() -> None:
    assert parse_hosts("a:2, b # two\nc:1") == [Slot("a", 0), Slot("a", 1), Slot("b", 0), Slot("c", 0)]
    with pytest.raises(InputError, match="2 problems") as caught:
        parse_hosts("a:2,b:x,a:1")
    assert "got 'b:x'" in str(caught.value)
    with pytest.raises(InputError, match="at least 3 slots, got 2"):
        Roster("a,b", 3, 3)


def test_a_slot_rests_longer_after_each_loss(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("a:2")
    roster = Roster(str(file), 1, 3, rest=0.2)
    used = roster.available()
    roster.lost(used[1])
    assert roster.available() == used[:1]
    assert not roster.better(used[:1])
    time.sleep(0.25)
    assert roster.available() == used
    assert roster.better(used[:1])
    roster.lost(used[1])
    time.sleep(0.25)
    assert roster.available() == used[:1], "twice as long"
    file.write_text("a:1\nb:2")
    assert roster.better(used), "a slot is gone"
    assert len(roster.available()) == 3
    file.write_text("nonsense:")
    assert len(roster.available()) == 3, "a file that is being written changes nothing"


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(SetupError, match=r"no way to host 'no-such-host\.invalid'.*CORTIGRAPH_ADDRESS"):
        open_meeting("torch", [Slot("localhost", 0), Slot("no-such-host.invalid", 0)])


@pytest.fixture
def reached(hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    """Two hosts on which ranks are started as through `ssh`."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\nhost=$1; shift\nexec ip netns exec "$host" sh -c "$*"\n')
    shell.chmod(0o755)
    monkeypatch.setenv("CORTIGRAPH_RSH", str(shell))
    monkeypatch.setenv("CORTIGRAPH_ADDRESS", HERE)
    return hosts


@pytest.mark.horovod
def test_a_line_that_is_cut_costs_a_host_and_not_the_job(reached: Hosts, dataset: Dataset, tmp_path: Path) -> None:
    count = 12
    settings = TrainSettings(epochs=count, patience=count, batch=11, checkpoint_seconds=0)
    job = TrainJob(
        blueprint=tasks.slowed(recogniser(dataset, "image")),
        dataset_folder=dataset.folder,
        work=tmp_path / "work",
        settings=settings,
        exchange=Exchange(commit_steps=2),
    )
    slots = ",".join(f"{host}:1" for host in reached.names)
    cluster = Cluster(2, None, slots, minimum=1, threads=1, stall=3, rest=1000)
    sizes: dict[int, int] = {}
    with trainer(cluster, weights=WeightStore(tmp_path / "weights"), modules=[tasks.__name__]) as t:

        def cut(record: Epoch) -> None:
            assert t.group is not None
            sizes[record.epoch] = len(t.group.pids)
            if record.epoch == 2:
                reached.cut(reached.names[1])

        outcome = t.fit(job, on_epoch=cut)
    assert sizes[1] == 2
    assert sizes[count] == 1
    assert outcome.epochs == count
