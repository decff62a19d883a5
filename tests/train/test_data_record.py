"""What the graph holds about a data set, and how it is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.store import Store
from cortigraph.train.data import DataError, Dataset, DataSpec
from cortigraph.train.data.kinds import check_any, load_any, seconds_to_load
from cortigraph.train.data.mot import MotSpec, load_mot
from cortigraph.train.data.record import recall, recall_mot, record, rows

from .conftest import Maker
from .test_data_mot import sequence


def test_rows_say_what_is_to_be_written(dataset: Dataset, maker_of_dataset: Maker) -> None:
    spec = maker_of_dataset.spec("image", "audio")
    told = rows("bars", dataset, spec, maker_of_dataset.root, name="Bars", description="Bars and tones.")
    assert told.task == "classification"
    assert told.modalities == [{"key": "audio"}, {"key": "image"}]
    assert told.inputs[0] == {"start": "bars", "end": "image", "key": "bars:image", "input": "image"}
    assert (told.node["key"], told.node["samples"], told.node["classes"]) == ("bars", 120, ["0", "1", "2"])
    assert len(told.node["embedding"]) == 448
    assert len(told.node["text_embedding"]) == 384
    assert DataSpec.model_validate_json(told.node["spec"]) == spec


def test_tracking_sets_are_described_by_their_boxes(tmp_path: Path) -> None:
    sequence(tmp_path)
    spec = MotSpec(motchallenge=tmp_path)
    told = rows("walkers", load_mot(spec, tmp_path), spec, tmp_path, description="People who walk.")
    assert (told.task, told.modalities) == ("tracking", [{"key": "image"}])
    found = {
        name: told.node[name] for name in ("name", "samples", "sequences", "frames", "boxes", "boxes_all", "tracks")
    }
    assert found == {
        "name": "walkers", "samples": 5, "sequences": ["S-01"], "frames": 5, "boxes": 2, "boxes_all": 3, "tracks": 1,
    }  # fmt: skip
    assert (told.node["detectors"], told.node["image_sizes"], told.node["frame_rates"]) == (
        ["det"],
        ["640x480"],
        [25.0],
    )
    assert np.linalg.norm(told.node["embedding"]) == pytest.approx(1, abs=1e-5)
    assert len(told.node["embedding"]) == 448


def test_both_kinds_are_loaded_checked_and_estimated(tmp_path: Path, maker_of_dataset: Maker, cache: Path) -> None:
    sequence(tmp_path)
    for spec, base in (
        (MotSpec(motchallenge=tmp_path), tmp_path),
        (maker_of_dataset.spec("image"), maker_of_dataset.root),
    ):
        check_any(spec, base)
        assert seconds_to_load(spec, base) > 0
        assert len(load_any(spec, base, cache)) in (5, 120)
    with pytest.raises(DataError, match="no file"):
        check_any(maker_of_dataset.spec("image"), tmp_path)
    (tmp_path / "S-01" / "seqinfo.ini").unlink()
    with pytest.raises(DataError, match="no seqinfo"):
        check_any(MotSpec(motchallenge=tmp_path), tmp_path)


def test_a_data_set_is_recalled_as_what_it_is(
    clean_store: Store, dataset: Dataset, maker_of_dataset: Maker, tmp_path: Path
) -> None:
    sequence(tmp_path)
    spec, walkers = maker_of_dataset.spec("image", "audio"), MotSpec(motchallenge=Path())
    for _ in range(2):
        record(clean_store, "bars", dataset, spec, maker_of_dataset.root, description="Bars.")
        record(clean_store, "walkers", load_mot(walkers, tmp_path), walkers, tmp_path)
    clean_store.write("MERGE (:Dataset {key: 'reported'})")
    assert recall(clean_store, "bars") == (spec, maker_of_dataset.root.resolve(), "Bars.")
    assert recall_mot(clean_store, "walkers") == (walkers, tmp_path.resolve(), "")
    tasks = "MATCH (d:Dataset)-[:FOR_TASK]->(t:Task) RETURN d.key AS key, t.key AS task ORDER BY key"
    assert clean_store.read(tasks) == [
        {"key": "bars", "task": "classification"},
        {"key": "walkers", "task": "tracking"},
    ]
    with pytest.raises(InputError, match="'walkers' holds MOTChallenge sequences"):
        recall(clean_store, "walkers")
    with pytest.raises(InputError, match="'bars' holds samples with labels"):
        recall_mot(clean_store, "bars")
    with pytest.raises(InputError, match="known only from results"):
        recall(clean_store, "reported")
    with pytest.raises(UnknownKeyError, match="barz"):
        recall(clean_store, "barz")
