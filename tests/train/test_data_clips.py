"""One long recording with an index: clips by offset and length, or all as long."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cortigraph.train.data import DataError, DataSpec, load
from cortigraph.train.data.clips import Clip

from .conftest import RATE, tone
from .real_data import DATA, needs_data

LENGTHS = [1600, 1200, 2000]


def recording(root: Path, count: int = 30, name: str = "all.flac") -> list[dict[str, Any]]:
    """Writes `all.flac` and the rows of its index: three classes, five folds."""
    waves = [tone(index % 3, index, LENGTHS[index % 3] / RATE) for index in range(count)]
    soundfile.write(root / name, np.concatenate(waves), RATE)
    starts = np.cumsum([0, *(len(wave) for wave in waves)])
    return [
        {"start": int(starts[k]), "samples": len(waves[k]), "label": k % 3, "fold": 1 + k // 3 % 5}
        for k in range(count)
    ]


def write(root: Path, rows: list[dict[str, Any]]) -> None:
    with (root / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def spec(split: dict[str, Any] | None = None, **audio: Any) -> DataSpec:
    told = audio or {"file": "all.flac", "offset": "start", "length": "samples"}
    inputs = {"audio": {"modality": "audio", "size": [16, 16], **told}}
    return DataSpec.parse({"table": "index.csv", "inputs": inputs, "split": split or {}})


FOLDS = {"column": "fold", "test": ["5"], "valid": [4]}


def test_clips_are_what_files_of_their_own_would_be(tmp_path: Path, cache: Path) -> None:
    rows = recording(tmp_path)
    wave, _ = soundfile.read(tmp_path / "all.flac", dtype="int16")
    for index, row in enumerate(rows):
        row["path"] = f"{index}.wav"
        soundfile.write(tmp_path / row["path"], wave[row["start"] :][: row["samples"]], RATE)
    write(tmp_path, rows)
    clips = load(spec(FOLDS), tmp_path, cache)
    files = load(spec(FOLDS, column="path"), tmp_path, cache)
    np.testing.assert_array_equal(clips.inputs["audio"], files.inputs["audio"])
    assert [len(clips.rows(split)) for split in ("train", "valid", "test")] == [18, 6, 6]
    assert set(clips.rows("test")) == {index for index, row in enumerate(rows) if row["fold"] == 5}


def test_rows_may_name_the_file_that_their_clip_is_in(tmp_path: Path, cache: Path) -> None:
    rows = recording(tmp_path, name="a.flac") + recording(tmp_path, 60, name="b.wav")[30:]
    for index, row in enumerate(rows):
        row["path"] = "a.flac" if index < 30 else "b.wav"
    write(tmp_path, rows[::-1])  # in any order
    told = {"column": "path", "offset": "start", "length": "samples"}
    assert len(load(spec(FOLDS, **told), tmp_path, cache)) == 60


def test_clips_of_one_length_need_no_columns(tmp_path: Path, cache: Path) -> None:
    waves = [tone(index % 3, index, 0.2) for index in range(15)]
    soundfile.write(tmp_path / "all.wav", np.concatenate(waves), RATE)
    write(tmp_path, [{"label": index % 3, "fold": 1 + index // 3} for index in range(15)])
    data = load(spec(FOLDS, file="all.wav", every=1600), tmp_path, cache)
    assert data.transform_for("audio").decoder.seconds == pytest.approx(0.2)  # type: ignore[union-attr]
    soundfile.write(tmp_path / "all.wav", np.concatenate(waves)[:-1], RATE)
    with pytest.raises(DataError, match=r"index.csv row 15: samples 22400 to 24000 are not all in all.wav, .* 23999"):
        load(spec(FOLDS, file="all.wav", every=1600), tmp_path, cache)


def test_new_samples_are_files_or_clips(tmp_path: Path, cache: Path) -> None:
    rows = recording(tmp_path)
    write(tmp_path, rows)
    data = load(spec(FOLDS), tmp_path, cache)
    clip = Clip(tmp_path / "all.flac", rows[4]["start"], rows[4]["samples"])
    np.testing.assert_array_equal(data.transform_for("audio")(clip), data.inputs["audio"][4])


def test_all_that_is_wrong_with_clips_is_told_by_row(tmp_path: Path, cache: Path) -> None:
    rows = recording(tmp_path)
    rows[1]["start"] = -5
    rows[2]["samples"] = 0
    rows[3]["start"] = "12.5"
    rows[4]["start"] = ""
    rows[29]["samples"] = 99999
    write(tmp_path, rows)
    with pytest.raises(DataError) as caught:
        load(spec(FOLDS), tmp_path, cache)
    told = str(caught.value)
    assert "row 2: 'start' is '-5'; expected a whole number of samples, from 0" in told
    assert "row 3: 'samples' is '0'; expected a whole number of samples, from 1" in told
    assert "row 4: 'start' is '12.5'" in told
    assert "row 5: 'start' is empty" in told
    assert "row 30: samples " in told
    assert len(caught.value.problems) == 5


def test_the_same_sound_in_two_splits_is_a_leak(tmp_path: Path, cache: Path) -> None:
    rows = recording(tmp_path)
    rows[14] |= {"start": rows[2]["start"], "samples": rows[2]["samples"]}  # fold 5 hears what fold 1 has
    write(tmp_path, rows)
    with pytest.raises(DataError, match=r"row 3 and row 15: the same audio .* 'all.flac at 2800' \(train\)"):
        load(spec(FOLDS), tmp_path, cache)


def test_a_recording_that_changes_is_read_again(tmp_path: Path, cache: Path) -> None:
    write(tmp_path, recording(tmp_path))
    first = load(spec(FOLDS), tmp_path, cache)
    assert load(spec(FOLDS), tmp_path, cache).fingerprint == first.fingerprint
    wave, _ = soundfile.read(tmp_path / "all.flac")
    soundfile.write(tmp_path / "all.flac", wave * 0.5, RATE)
    assert load(spec(FOLDS), tmp_path, cache).fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["../secret.flac", "none.flac", "text.flac"])
def test_a_recording_that_may_not_be_read_is_named(tmp_path: Path, cache: Path, name: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write(root, recording(root))
    recording(tmp_path, name="secret.flac")
    (root / "text.flac").write_text("no sound")
    says = {"../secret.flac": "leads out of", "none.flac": "no file", "text.flac": "not a sound that can be read"}
    with pytest.raises(DataError, match=says[name]) as caught:
        load(spec(FOLDS, file=name, offset="start", length="samples"), root, cache)
    assert len(caught.value.problems) < 3, "once, not for every row"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"file": "a.flac"}, "needs offset and length"),
        ({"file": "a.flac", "column": "path", "every": 9}, "not both"),
        ({"column": "path", "offset": "start"}, "go together"),
        ({"column": "path", "every": 9}, "every is for one file"),
        ({"file": "a.flac", "offset": "label", "length": "n"}, "'label' is its offset and also the target"),
    ],
)
def test_settings_that_do_not_fit_are_refused(told: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        spec(**told)


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"column": "fold", "test": ["9"], "valid": ["4"]}, "no row has '9' in column 'fold'"),
        ({"column": "fold", "train": ["1"], "test": ["5"], "valid": ["4"]}, "row 4: 'fold' is '2'; expected '1' or"),
        ({"column": "fold", "test": ["5"], "valid": ["5"]}, "'5' named twice"),
        ({"test": ["5"]}, "name the column"),
    ],
)
def test_values_that_divide_are_checked(tmp_path: Path, cache: Path, split: dict[str, Any], says: str) -> None:
    write(tmp_path, recording(tmp_path))
    with pytest.raises(DataError, match=says):
        load(spec(split), tmp_path, cache)


@needs_data("fsdd")
def test_spoken_digits(cache: Path) -> None:
    audio = {"modality": "audio", "file": "fsdd_8khz_int16.flac", "offset": "offset", "length": "length"}
    told = {"table": "fsdd/index.csv", "inputs": {"audio": audio}, "split": {"column": "split", "valid": 0.2}}
    data = load(DataSpec.parse(told), DATA, cache)
    assert [len(data.rows(split)) for split in ("train+valid", "valid", "test")] == [2700, 540, 300]
    assert data.classes == [str(digit) for digit in range(10)]


@needs_data("esc10")
def test_environmental_sounds(cache: Path) -> None:
    audio = {"modality": "audio", "file": "esc10_8khz_int16.flac", "every": 40000}
    told = {"table": "esc10/index.csv", "inputs": {"audio": audio}, "target": "category", "split": FOLDS}
    data = load(DataSpec.parse(told), DATA, cache)
    assert [len(data.rows(split)) for split in ("all", "train", "valid", "test")] == [400, 240, 80, 80]
    assert np.bincount(data.target).tolist() == [40] * 10
