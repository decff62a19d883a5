"""The loop: it learns, it is deterministic, it resumes bit for bit, it runs frozen parts once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.regions import WeightStore
from cortigraph.regions.pathway import Pathway
from cortigraph.train import clock
from cortigraph.train import samples as samples_module
from cortigraph.train.augment import augment
from cortigraph.train.data import Dataset, decode_inputs
from cortigraph.train.engine import Engine, open_engine
from cortigraph.train.errors import TrainError
from cortigraph.train.evaluate import evaluate, predict
from cortigraph.train.job import Epoch, Outcome, TrainJob
from cortigraph.train.launch import trainer
from cortigraph.train.loop import fit
from cortigraph.train.randomness import generator
from cortigraph.train.samples import Samples, prepare
from cortigraph.train.settings import TrainSettings
from cortigraph.train.single import SingleEngine

from .conftest import Maker, fused, recogniser

QUICK = TrainSettings(epochs=6, batch=16, learning_rate=5e-3, checkpoint_seconds=0)


@pytest.fixture
def store(tmp_path: Path) -> WeightStore:
    return WeightStore(tmp_path / "weights")


def job_of(dataset: Dataset, work: Path, **more: object) -> TrainJob:
    told = {"blueprint": recogniser(dataset, "image"), "dataset_folder": dataset.folder, "work": work}
    return TrainJob(**{"settings": QUICK, **told, **more})


def run(job: TrainJob, store: WeightStore) -> Outcome:
    return fit(job, SingleEngine(), store, torch_threads=1)


def test_it_learns_and_keeps_the_best_state(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    told: list[Epoch] = []
    job = job_of(dataset, tmp_path / "work")
    outcome = fit(job, SingleEngine(), store, on_epoch=told.append, torch_threads=1)
    assert outcome.metrics["valid"]["accuracy"] > 0.9
    assert set(outcome.metrics) == {"train", "valid"}, "what is not fitted or watched stays unseen"
    assert outcome.history == told
    assert outcome.history[outcome.best_epoch - 1].watch == outcome.metrics["valid"]
    best = job.blueprint.with_weights(outcome.weights).build(store)
    again = evaluate(best, dataset, "valid")
    assert again.metrics == pytest.approx(outcome.metrics["valid"])
    assert again.probabilities.shape == (len(dataset.rows("valid")), 3)
    assert evaluate(best, dataset, "test").metrics["accuracy"] > 0.9


def test_prediction_is_evaluation_of_new_files(
    dataset: Dataset, maker_of_dataset: Maker, store: WeightStore, tmp_path: Path
) -> None:
    job = job_of(dataset, tmp_path / "work")
    best = job.blueprint.with_weights(run(job, store).weights).build(store)
    rows = dataset.rows("test")[:5]
    files = [{name: maker_of_dataset.root / f"{row}.{end}" for name, end in _ENDS.items()} for row in rows]
    given = predict(best, decode_inputs(dataset.transforms, files))
    np.testing.assert_allclose(given, evaluate(best, dataset, "test").probabilities[:5], atol=1e-6)


_ENDS = {"image": "png", "audio": "wav"}


def test_a_job_is_plain_data(dataset: Dataset, tmp_path: Path) -> None:
    job = job_of(dataset, tmp_path)
    assert TrainJob.from_json(job.to_json()) == job
    assert job.key("a") == job.model_copy(update={"work": Path("x")}).key("a") != job.key("b")
    with pytest.raises(InputError, match="TrainJob"):
        TrainJob.from_json('{"work": 3}')
    with pytest.raises(UnknownKeyError, match="did you mean horovod"):
        open_engine("horovodd")


def test_the_same_job_gives_the_same_bits(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    more = {"settings": QUICK.model_copy(update={"noise": 0.3, "shift": 1, "label_smoothing": 0.1})}
    state = torch.random.get_rng_state()
    first = run(job_of(dataset, tmp_path / "a", **more), store)
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's random numbers are left alone"
    torch.rand(7)
    second = run(job_of(dataset, tmp_path / "b", **more), store)
    assert first.trained == second.trained
    other = run(job_of(dataset, tmp_path / "c", settings=QUICK.model_copy(update={"seed": 1})), store)
    assert other.weights != first.weights


def test_deterministic_algorithms_suffice(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        job = job_of(dataset, tmp_path / "a", settings=TrainSettings(epochs=1, shift=1, noise=0.1))
        assert run(job, store).epochs == 1
    finally:
        torch.use_deterministic_algorithms(False)


def test_training_stops_when_nothing_improves(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=40, batch=16, learning_rate=1e-20, patience=2, schedule="constant", metric="nll")
    outcome = run(job_of(dataset, tmp_path / "a", settings=settings), store)
    assert (outcome.best_epoch, outcome.epochs) == (1, 3)
    last = run(job_of(dataset, tmp_path / "b", settings=QUICK, watch_split=None, fit_split="train+valid"), store)
    assert (last.best_epoch, set(last.metrics)) == (6, {"train+valid"})


def test_frozen_parts_run_once_and_change_nothing(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    blueprint = fused(dataset, store)
    pathway = blueprint.build(store)
    samples = prepare(pathway, dataset, "train", SingleEngine(), cache_bytes=1 << 30)
    assert set(samples.ready) == pathway.needed()
    assert not samples.raw
    positions = torch.tensor([5, 0, 11])
    whole = prepare(pathway, dataset, "train", SingleEngine(), cache_bytes=0)
    assert not whole.ready
    with torch.no_grad():
        torch.testing.assert_close(
            pathway.run(samples.take(positions))[blueprint.output], pathway(whole.take(positions)), atol=1e-5, rtol=1e-5
        )
    kept = run(job_of(dataset, tmp_path / "a", blueprint=blueprint), store)
    anew = run(
        job_of(dataset, tmp_path / "b", blueprint=blueprint, settings=QUICK.model_copy(update={"cache_bytes": 0})),
        store,
    )
    assert set(kept.weights) == {"join"}, "frozen nodes keep their weights"
    assert kept.metrics["valid"]["nll"] == pytest.approx(anew.metrics["valid"]["nll"], abs=1e-3)


def test_jobs_that_share_frozen_parts_share_their_outputs(
    dataset: Dataset, store: WeightStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = fused(dataset, store)
    runs: list[list[str]] = []
    compute = samples_module._compute

    def counted(pathway: Pathway, some: Samples, wanted: list[str], engine: Engine) -> dict[str, torch.Tensor]:
        runs.append(wanted)
        return compute(pathway, some, wanted, engine)

    monkeypatch.setattr(samples_module, "_compute", counted)
    with trainer(weights=store, threads=1) as t:
        first = t.fit(job_of(dataset, tmp_path / "a", blueprint=blueprint))
        assert len(runs) == 2, "once for the split that is fitted, once for the one that is watched"
        again = t.fit(job_of(dataset, tmp_path / "b", blueprint=blueprint))
        assert len(runs) == 2
        assert again.trained == first.trained
        torch.manual_seed(99)
        other = recogniser(dataset, "image").nodes[0].region.build(None).state_dict()
        t.fit(job_of(dataset, tmp_path / "c", blueprint=blueprint.with_weights({"ima": store.save(other)})))
        assert runs[2:] == [["ima.features", "ima.logits"]] * 2, "only what changed is computed anew"


def test_nothing_to_train_is_only_evaluated(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    trained = job_of(dataset, tmp_path / "a")
    best = trained.blueprint.with_weights(run(trained, store).weights)
    frozen = best.model_copy(update={"nodes": tuple(node.model_copy(update={"frozen": True}) for node in best.nodes)})
    outcome = run(job_of(dataset, tmp_path / "b", blueprint=frozen), store)
    assert (outcome.epochs, outcome.best_epoch, outcome.weights, outcome.parameters) == (0, 0, {}, 0)
    assert outcome.metrics["valid"]["accuracy"] > 0.9


def test_a_network_for_other_data_is_refused(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    blueprint = recogniser(dataset, "image", classes=4)
    with pytest.raises(InputError, match="4"):
        run(job_of(dataset, tmp_path / "a", blueprint=blueprint), store)


def test_a_loss_that_explodes_is_an_error(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=30, learning_rate=1e30)
    with pytest.raises(TrainError, match=r"lower settings\.learning_rate"):
        run(job_of(dataset, tmp_path / "a", settings=settings), store)


def test_augmentation_does_not_depend_on_the_number_of_workers() -> None:
    settings = TrainSettings(noise=0.5, shift=2)
    image = torch.arange(4 * 36.0).reshape(4, 1, 6, 6)
    raw = {"image": image}
    whole = augment({"image": image}, raw, settings, generator(0, 1, 2), slice(0, 4), 4)["image"]
    for part in (slice(0, 1), slice(1, 4)):
        mine = augment({"image": image[part]}, raw, settings, generator(0, 1, 2), part, 4)["image"]
        assert torch.equal(mine, whole[part])


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
def test_the_learning_rate_stays_in_its_bounds(schedule: str) -> None:
    settings = TrainSettings(schedule=schedule, learning_rate=0.1)
    rates = [settings.rate(step, 100) for step in range(100)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(0.1, rel=0.01)


_KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from cortigraph.regions import WeightStore
from cortigraph.train import clock
from cortigraph.train import samples as samples_module
from cortigraph.train.launch import trainer
from cortigraph.train.job import TrainJob
from cortigraph.train.loop import fit
from cortigraph.train.single import SingleEngine

job = TrainJob.from_json(Path(sys.argv[1]).read_text())
fit(job, SingleEngine(), WeightStore(Path(sys.argv[2])), lambda e: print(e.epoch, flush=True), torch_threads=1)
"""


def test_a_killed_run_goes_on_bit_for_bit(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    settings = TrainSettings(
        epochs=30, patience=30, batch=8, noise=0.2, shift=1, checkpoint_seconds=0, schedule="one_cycle"
    )
    whole = run(job_of(dataset, tmp_path / "whole", settings=settings), store)
    job = job_of(dataset, tmp_path / "killed", settings=settings)
    (tmp_path / "job.json").write_text(job.to_json())
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "job.json"), str(store.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    while int(process.stdout.readline()) < 7:
        pass
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert (job.work / "checkpoint.safetensors").exists()
    told: list[int] = []
    resumed = fit(job, SingleEngine(), store, lambda record: told.append(record.epoch), torch_threads=1)
    assert told[0] >= 7, "it did not begin anew"
    assert resumed.trained == whole.trained
    began = time.perf_counter()
    assert run(job, store) == resumed, "a job that is done gives its outcome at once"
    assert time.perf_counter() - began < 0.2


def test_a_checkpoint_of_another_job_is_no_checkpoint(dataset: Dataset, store: WeightStore, tmp_path: Path) -> None:
    first = run(job_of(dataset, tmp_path / "a"), store)
    other = run(job_of(dataset, tmp_path / "a", settings=QUICK.model_copy(update={"seed": 5})), store)
    assert other.weights != first.weights
    (tmp_path / "a" / "checkpoint.safetensors").write_bytes(b"damaged")
    (tmp_path / "a" / "outcome.json").write_text("damaged")
    assert run(job_of(dataset, tmp_path / "a"), store).trained == first.trained


def test_time_ends_an_epoch_and_what_was_learned_is_kept(
    dataset: Dataset, store: WeightStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()  # time passes whenever it is looked at, and not otherwise
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(looks) * 0.01))
    settings = TrainSettings(epochs=50, patience=50, batch=1)
    job = job_of(dataset, tmp_path / "work", settings=settings)
    seen: list[Epoch] = []
    cut = fit(job, SingleEngine(), store, seen.append, clock=clock.Clock(0.5))
    assert cut.cut
    assert 0 < cut.epochs < 50
    assert cut.metrics["valid"]["accuracy"] == seen[cut.best_epoch - 1].watch["accuracy"]
    assert all(store.has(weights) for weights in cut.weights.values())
    assert next(looks) * 0.01 < 0.7
    whole = fit(job.model_copy(update={"settings": settings.model_copy(update={"epochs": 2})}), SingleEngine(), store)
    assert (whole.cut, whole.epochs) == (False, 2)


def test_a_job_that_was_cut_goes_on_when_it_is_given_more_time(
    dataset: Dataset, store: WeightStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: next(looks) * 0.01))
    job = job_of(dataset, tmp_path / "work", settings=TrainSettings(epochs=3, patience=3, batch=1))
    first = fit(job, SingleEngine(), store, clock=clock.Clock(0.2))
    assert first.cut
    later = fit(job, SingleEngine(), store)
    assert (later.cut, later.epochs) == (False, 3)
