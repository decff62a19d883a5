"""Real Horovod processes: they give what one process gives, and no way out leaves one behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from cortigraph.graph.errors import InputError, SetupError
from cortigraph.regions import WeightStore
from cortigraph.train import horovod
from cortigraph.train.data import Dataset
from cortigraph.train.errors import TrainError
from cortigraph.train.job import TrainJob
from cortigraph.train.launch import Trainer, trainer
from cortigraph.train.settings import TrainSettings

from .conftest import fused, recogniser

# 72 samples: the last batch of 11 has one sample, so that one of two ranks has none
QUICK = TrainSettings(epochs=3, batch=11, learning_rate=5e-3, noise=0.1, shift=1, checkpoint_seconds=0)
LONG = QUICK.model_copy(update={"epochs": 4000, "patience": 4000})

missing = horovod.why_missing()
needs_horovod = pytest.mark.skipif(bool(missing), reason=f"Horovod is not built: {missing}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WeightStore:
    return WeightStore(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def group(store: WeightStore) -> Iterator[Trainer]:
    with trainer("horovod", 2, weights=store) as started:
        yield started


def job_of(dataset: Dataset, work: Path, **more: object) -> TrainJob:
    told = {"blueprint": recogniser(dataset, "image"), "dataset_folder": dataset.folder, "work": work}
    return TrainJob(**{"settings": QUICK, **told, **more})


def gone(pids: list[int], seconds: float = 8.0) -> bool:
    """Whether all these processes end in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return True
        time.sleep(0.1)
    return False


@needs_horovod
@pytest.mark.horovod
def test_two_workers_give_what_one_gives(group: Trainer, dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    told: list[int] = []
    job = job_of(dataset, tmp_path / "two")
    two = group.fit(job, on_epoch=lambda record: told.append(record.epoch))
    with trainer(weights=store, threads=1) as alone:
        one = alone.fit(job_of(dataset, tmp_path / "one"))
    assert told == [1, 2, 3]
    assert (two.workers, one.workers) == (2, 1)
    for first, second in zip(one.history, two.history, strict=True):
        assert first.loss == pytest.approx(second.loss, abs=1e-4)
        assert first.watch["nll"] == pytest.approx(second.watch["nll"], abs=1e-3)
    weights = [store.load(outcome.weights["ima"]) for outcome in (one, two)]
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 1e-3
    best = job.blueprint.with_weights(two.weights)
    with trainer(weights=store, threads=1) as alone:
        mine = alone.evaluate(best, dataset.folder, "test")
    theirs = group.evaluate(best, dataset.folder, "test")
    np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-5)
    np.testing.assert_array_equal(mine.rows, theirs.rows)


@needs_horovod
@pytest.mark.horovod
def test_frozen_parts_are_shared_out(group: Trainer, dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    blueprint = fused(dataset, store)
    two = group.fit(job_of(dataset, tmp_path / "two", blueprint=blueprint))
    with trainer(weights=store, threads=1) as alone:
        one = alone.fit(job_of(dataset, tmp_path / "one", blueprint=blueprint))
    assert two.metrics["valid"]["nll"] == pytest.approx(one.metrics["valid"]["nll"], abs=1e-3)


@needs_horovod
@pytest.mark.horovod
def test_mistakes_come_back_and_the_group_goes_on(group: Trainer, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="classes"):
        group.fit(job_of(dataset, tmp_path / "a", blueprint=recogniser(dataset, "image", classes=5)))
    with pytest.raises(TrainError, match=r"lower settings\.learning_rate"):
        group.fit(job_of(dataset, tmp_path / "b", settings=TrainSettings(epochs=30, learning_rate=1e30)))
    assert group.fit(job_of(dataset, tmp_path / "c")).epochs == 3


@needs_horovod
@pytest.mark.horovod
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_worker_is_an_error_and_the_job_goes_on(
    dataset: Dataset, store: WeightStore, tmp_path: Path, sign: signal.Signals
) -> None:
    job = job_of(dataset, tmp_path / "work", settings=LONG)
    with trainer("horovod", 2, weights=store, silence=4) as t:
        pids: list[int] = []

        def strike(record: object) -> None:
            if not pids:
                pids.extend(t.group.pids)
                os.kill(pids[1], sign)

        began = time.monotonic()
        expected = "was killed by signal 9" if sign == signal.SIGKILL else "gave no sign of life for 4 s"
        with pytest.raises(TrainError, match=f"rank 1 of 2 {expected}") as caught:
            t.fit(job, on_epoch=strike)
        assert time.monotonic() - began < 40
        assert "Last lines of" in str(caught.value)
        assert gone(pids)
        if sign == signal.SIGKILL:
            told: list[int] = []

            def enough(record: object) -> None:
                told.append(record.epoch)
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                t.fit(job, on_epoch=enough)
            assert told[0] > 1, "it went on from its checkpoint"


_PARENT = """
import sys
from pathlib import Path
from cortigraph.regions import WeightStore
from cortigraph.train.job import TrainJob
from cortigraph.train.launch import trainer

t = trainer("horovod", 2, weights=WeightStore(Path(sys.argv[2])))
t.fit(TrainJob.from_json(Path(sys.argv[1]).read_text()), lambda e: print(*t.group.pids, flush=True))
"""


@needs_horovod
@pytest.mark.horovod
def test_workers_end_when_their_parent_is_killed(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(job_of(dataset, tmp_path / "work", settings=LONG).to_json())
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "job.json"), str(store.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    pids = [int(part) for part in process.stdout.readline().split()]
    assert len(pids) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pids)


@needs_horovod
@pytest.mark.horovod
def test_horovodrun_can_start_the_worker_itself(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(job_of(dataset, tmp_path / "work").to_json())
    command = [str(Path(sys.executable).with_name("horovodrun")), "-np", "2", "--gloo", "--network-interfaces", "lo"]
    command += [sys.executable, "-m", "cortigraph.train.worker", str(tmp_path / "job.json"), str(store.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert '"workers":2' in done.stdout


def test_closing_twice_and_never_starting_are_fine(store: WeightStore) -> None:
    threads = threading.active_count()
    with trainer(weights=store) as t:
        t.close()
    assert threading.active_count() == threads
    with pytest.raises(InputError, match="choose the horovod engine"):
        trainer("single", 2, weights=store)
    with pytest.raises(InputError, match="did you mean horovod"):
        trainer("horovd", 2, weights=store)
    with pytest.raises(InputError, match="at least 1"):
        trainer("single", 0, weights=store)


def test_without_horovod_the_error_says_how_to_build_it(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horovod, "why_missing", lambda: "No module named 'horovod'")
    with pytest.raises(SetupError, match=r"No module named 'horovod'\. Run `make setup`.*HOROVOD_WITH_GLOO=1"):
        trainer("horovod", 2, weights=store)
