"""Real groups of processes under each engine: they give what one gives, and no way out leaves one behind."""

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
from cortigraph.train.cluster import Cluster
from cortigraph.train.data import Dataset
from cortigraph.train.errors import TrainError, WorkerLostError
from cortigraph.train.exchange import Exchange
from cortigraph.train.job import Epoch, Outcome, TrainJob
from cortigraph.train.launch import Trainer, trainer
from cortigraph.train.settings import TrainSettings

from . import tasks
from .conftest import fused, recogniser

# 72 samples: the last batch of 11 has one sample, so that one of two ranks has none
QUICK = TrainSettings(epochs=3, batch=11, learning_rate=5e-3, noise=0.1, shift=1, checkpoint_seconds=0)
LONG = QUICK.model_copy(update={"epochs": 4000, "patience": 4000})

missing = horovod.why_missing()
needs_horovod = pytest.mark.skipif(bool(missing), reason=f"Horovod is not built: {missing}")
HOROVOD = pytest.param("horovod", marks=[needs_horovod, pytest.mark.horovod])
ENGINES = [HOROVOD, "torch"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WeightStore:
    return WeightStore(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", params=ENGINES)
def group(store: WeightStore, request: pytest.FixtureRequest) -> Iterator[Trainer]:
    with trainer(request.param, 2, weights=store, modules=[tasks.__name__]) as started:
        yield started


@pytest.fixture(scope="module")
def alone(dataset: Dataset, store: WeightStore, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one worker makes of the quick job."""
    with trainer(weights=store, threads=1) as one:
        return one.fit(job_of(dataset, tmp_path_factory.mktemp("one")))


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


def alike(one: Outcome, two: Outcome, store: WeightStore, tolerance: float = 1e-3) -> None:
    """Both have learned the same, up to the order of summation."""
    for first, second in zip(one.history, two.history, strict=True):
        assert first.loss == pytest.approx(second.loss, abs=tolerance / 10)
        assert first.watch["nll"] == pytest.approx(second.watch["nll"], abs=tolerance)
    for node, kept in one.weights.items():
        mine, theirs = store.load(kept), store.load(two.weights[node])
        assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < tolerance


def test_two_workers_give_what_one_gives(
    group: Trainer, alone: Outcome, dataset: Dataset, store: WeightStore, tmp_path: Path
) -> None:
    told: list[int] = []
    job = job_of(dataset, tmp_path / "two")
    two = group.fit(job, on_epoch=lambda record: told.append(record.epoch))
    assert told == [1, 2, 3]
    assert (two.workers, alone.workers) == (2, 1)
    alike(alone, two, store)
    assert two.exchanged == 21 * two.parameters * 4, "the gradients of every step, and nothing else"
    best = job.blueprint.with_weights(two.weights)
    with trainer(weights=store, threads=1) as one:
        mine = one.evaluate(best, dataset.folder, "test")
    theirs = group.evaluate(best, dataset.folder, "test")
    np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-5)
    np.testing.assert_array_equal(mine.rows, theirs.rows)


def test_frozen_parts_are_shared_out(group: Trainer, dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    blueprint = fused(dataset, store)
    two = group.fit(job_of(dataset, tmp_path / "two", blueprint=blueprint))
    with trainer(weights=store, threads=1) as one:
        alike(one.fit(job_of(dataset, tmp_path / "one", blueprint=blueprint)), two, store)


def test_shares_by_speed_change_nothing_but_the_time(
    group: Trainer, alone: Outcome, dataset: Dataset, store: WeightStore, tmp_path: Path
) -> None:
    adapted = group.fit(job_of(dataset, tmp_path / "work", exchange=Exchange(adapt=True)))
    alike(alone, adapted, store)


def test_gradients_may_travel_at_half_their_size(
    group: Trainer, alone: Outcome, dataset: Dataset, store: WeightStore, tmp_path: Path
) -> None:
    half = group.fit(job_of(dataset, tmp_path / "work", exchange=Exchange(compression="fp16", fused=False)))
    assert half.exchanged * 2 == 21 * half.parameters * 4
    alike(alone, half, store, tolerance=0.05)


@pytest.mark.parametrize("overlap", [False, True])
def test_local_steps_send_less_and_learn_the_same(
    group: Trainer, dataset: Dataset, tmp_path: Path, overlap: bool
) -> None:
    settings = QUICK.model_copy(
        update={"batch": 9, "epochs": 8, "patience": 8, "noise": 0.0, "shift": 0}
    )  # 8 steps an epoch
    often = group.fit(job_of(dataset, tmp_path / "often", settings=settings))
    exchange = Exchange(local_steps=8, outer_momentum=0.3, overlap=overlap)
    rarely = group.fit(job_of(dataset, tmp_path / "rarely", settings=settings, exchange=exchange))
    assert often.exchanged >= (4 if overlap else 8) * rarely.exchanged  # one more in each epoch, to measure one network
    assert rarely.metrics["valid"]["accuracy"] > 0.9


def test_a_task_runs_on_every_rank(group: Trainer) -> None:
    told: list[str] = []
    answer = group.call("exercise", {"length": 3}, told.append)
    assert answer["size"] == 2
    assert answer["sum"] == [1.0, 1.0, 1.0], "of the ranks' numbers, 0 and 1"
    assert answer["rows"] == [1.0], "rank 0 has none, rank 1 has one"
    assert answer["texts"] == ["", "rank 1 says ä"]
    assert answer["gradient"] == [0.5, 0.0], "the mean of 1 and none, and of none at all"
    assert answer["broadcast"] == 0.0
    assert told == ["rank 0 of 2"]


def test_a_part_that_another_rank_trains_alone(group: Trainer) -> None:
    """Whoever has no gradient for it brings zero, and nobody waits for him."""
    answer = group.call("branches", {})
    assert answer["weights"] == [-1.5, -1.5, 0.0, -3.0]


def test_mistakes_come_back_and_the_group_goes_on(group: Trainer, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="classes"):
        group.fit(job_of(dataset, tmp_path / "a", blueprint=recogniser(dataset, "image", classes=5)))
    with pytest.raises(TrainError, match=r"lower settings\.learning_rate"):
        group.fit(job_of(dataset, tmp_path / "b", settings=TrainSettings(epochs=30, learning_rate=1e30)))
    assert group.fit(job_of(dataset, tmp_path / "c")).epochs == 3


@pytest.mark.parametrize(
    ("engine", "sign"), [pytest.param("horovod", signal.SIGKILL, marks=HOROVOD.marks), ("torch", signal.SIGSTOP)]
)
def test_a_dead_worker_is_an_error_and_the_job_goes_on(
    dataset: Dataset, store: WeightStore, tmp_path: Path, engine: str, sign: signal.Signals
) -> None:
    job = job_of(dataset, tmp_path / "work", settings=LONG)
    with trainer(engine, 2, weights=store, silence=4) as t:
        pids: list[int] = []

        def strike(record: object) -> None:
            if not pids:
                pids.extend(t.group.pids)
                os.kill(pids[1], sign)

        began = time.monotonic()
        expected = "was killed by signal 9" if sign == signal.SIGKILL else "gave no sign of life for 4 s"
        with pytest.raises(WorkerLostError, match=f"rank 1 of 2 {expected}") as caught:
            t.fit(job, on_epoch=strike)
        assert time.monotonic() - began < 40
        assert "Last lines of" in str(caught.value)
        assert caught.value.ranks == (1,)
        assert gone(pids)
        if sign == signal.SIGKILL:
            told: list[int] = []

            def enough(record: object) -> None:
                told.append(record.epoch)
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                t.fit(job, on_epoch=enough)
            assert told[0] > 1, "it went on from its checkpoint"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rank_that_never_comes_is_named(store: WeightStore, engine: str) -> None:
    cluster = Cluster(2, engine, stall=2)
    with trainer(cluster, weights=store, modules=[tasks.__name__]) as t:
        with pytest.raises(WorkerLostError, match="rank 1 of 2 kept the others waiting for 2 s"):
            t.call("absent", {"rank": 1})
        assert t.group is None


# What forms a group anew is the same for both engines; `make faults` tries it with Horovod, too.
@pytest.mark.parametrize("engine", ENGINES if os.environ.get("CORTIGRAPH_FAULTS") else ["torch"])
def test_a_group_survives_losses_and_grows_again(
    alone: Outcome, dataset: Dataset, store: WeightStore, tmp_path: Path, engine: str
) -> None:
    """A worker is killed in mid-epoch, the other goes on alone; a slot is added, and they are two again."""
    count = 30
    settings = QUICK.model_copy(update={"epochs": count, "patience": count, "noise": 0.0})
    steps = Exchange(commit_steps=2)
    hosts = tmp_path / "hosts"
    hosts.write_text("localhost:2  # for now")
    sizes: dict[int, int] = {}
    cluster = Cluster(2, engine, str(hosts), minimum=1, rest=1000, threads=1, exchange=steps)
    blueprint = recogniser(dataset, "image")
    with trainer(cluster, weights=store, modules=[tasks.__name__]) as t:

        def watch(record: Epoch) -> None:
            assert t.group is not None
            sizes[record.epoch] = len(t.group.pids)
            if record.epoch == 2:
                os.kill(t.group.pids[1], signal.SIGKILL)
            if sizes[record.epoch] == 1:
                hosts.write_text("localhost:3")

        job = job_of(dataset, tmp_path / "a", settings=settings, blueprint=tasks.slowed(blueprint))
        survived = t.fit(job, on_epoch=watch)
    with trainer(weights=store, threads=1) as one:
        whole = one.fit(job_of(dataset, tmp_path / "b", settings=settings, exchange=steps, blueprint=blueprint))
    assert [record.epoch for record in survived.history] == list(range(1, count + 1))
    assert list(dict.fromkeys(sizes.values())) == [2, 1], "it went on with one"
    assert sizes[count] == 2, "and with two again"
    for first, second in zip(whole.history, survived.history, strict=True):
        assert first.loss == pytest.approx(second.loss, abs=5e-3)
    assert survived.metrics["valid"]["accuracy"] == pytest.approx(whole.metrics["valid"]["accuracy"], abs=0.05)


def test_a_job_that_kills_its_workers_is_given_up(store: WeightStore) -> None:
    with (
        trainer(Cluster(1, "torch", minimum=1, rest=0.1), weights=store, modules=[tasks.__name__]) as t,
        pytest.raises(WorkerLostError, match="rank 0 of 1 was killed by signal 9"),
    ):
        t.call("suicide", {})


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


_SCRIPT = """
import sys
from pathlib import Path
from cortigraph.regions import WeightStore
from cortigraph.train.engine import join
from cortigraph.train.job import TrainJob
from cortigraph.train.loop import fit

engine = join()
outcome = fit(TrainJob.from_json(Path(sys.argv[1]).read_text()), engine, WeightStore(Path(sys.argv[2])))
if engine.rank == 0:
    print(type(engine).__name__, outcome.workers, outcome.history[-1].loss)
engine.close()
left = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in left if "gloo" in name], left  # a thread of the group could abort the interpreter's end
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_of_a_user_is_started_by_either_launcher(
    alone: Outcome, dataset: Dataset, store: WeightStore, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "job.json").write_text(job_of(dataset, tmp_path / "work").to_json())
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    launchers = {
        "horovod": ["horovodrun", "-np", "2", "--gloo", "--network-interfaces", "lo", sys.executable],
        "torch": ["torchrun", "--standalone", "--nproc-per-node", "2"],
    }
    command = launchers[engine] + [str(script), str(tmp_path / "job.json"), str(store.root)]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    told = next(line for line in done.stdout.splitlines() if "Engine" in line).split()[-3:]
    assert told[0].endswith({"horovod": "HorovodEngine", "torch": "TorchEngine"}[engine])
    assert told[1] == "2"
    assert float(told[2]) == pytest.approx(alone.history[-1].loss, abs=1e-4)


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
