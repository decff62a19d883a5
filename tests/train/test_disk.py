"""A disk that is full: checkpoints are left out, and trained weights that can't be kept are an error on every rank."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortigraph.regions import WeightStore
from cortigraph.train.cluster import Cluster
from cortigraph.train.data import Dataset
from cortigraph.train.errors import TrainError
from cortigraph.train.job import TrainJob
from cortigraph.train.launch import trainer
from cortigraph.train.settings import TrainSettings

from .conftest import recogniser


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for next to nothing."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_only_what_needs_it(
    dataset: Dataset, small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = TrainSettings(epochs=2, checkpoint_seconds=0)
    told = {"blueprint": recogniser(dataset, "image"), "dataset_folder": dataset.folder, "settings": settings}
    store = WeightStore(tmp_path / "weights")
    with trainer(weights=store, threads=1) as one, caplog.at_level(logging.WARNING):
        outcome = one.fit(TrainJob(**told, work=small_disk / "work"))
    assert outcome.epochs == 2
    assert "no checkpoint was written" in caplog.text
    assert "No space left" in caplog.text
    assert store.has(outcome.weights["ima"])
    (small_disk / "weights").mkdir(exist_ok=True)
    with trainer(Cluster(2, "torch", threads=1), weights=WeightStore(small_disk / "weights")) as two:
        with pytest.raises(TrainError, match=r"trained weights can't be written.*goes on from its last commit"):
            two.fit(TrainJob(**told, work=tmp_path / "work"))
        assert two.group is not None, "every rank knew, so the group is there for the next job"
