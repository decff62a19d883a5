"""Decoding, splitting, caching."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
from PIL import Image

from cortigraph.graph.sums import SUMS
from cortigraph.train.data import DataError, Dataset, DataSpec, decode_inputs, load
from cortigraph.train.data.audio import AudioDecoder, log_mel, mel_filters
from cortigraph.train.data.image import ImageDecoder
from cortigraph.train.data.text import TextDecoder

from .conftest import Maker, tone

Make = Callable[[], Maker]


def test_three_modalities_come_out_as_their_ports_say(maker: Make, cache: Path) -> None:
    made = maker().samples(30)
    made.write()
    data = load(made.spec("image", "audio", "text"), made.root, cache)
    assert str(data.ports["image"]) == "image[channel=1,height=12,width=12] float32 raw"
    assert str(data.ports["audio"]) == "audio[channel=1,height=16,width=16] float32 raw"
    assert str(data.ports["text"]) == "text[row=2,token=16] int64 raw"
    for name, port in data.ports.items():
        assert data.inputs[name].shape == (30, *port.sizes)
        assert data.inputs[name].dtype == port.dtype
    train = data.rows("train")
    for name in ("image", "audio"):
        assert abs(float(data.inputs[name][train].mean())) < 1e-4
        assert float(data.inputs[name][train].std()) == pytest.approx(1, abs=1e-3)
    assert data.classes == ["0", "1", "2"]
    assert [data.classes[index] for index in data.target[:4]] == ["0", "1", "2", "0"]


def test_an_image_is_decoded_to_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    decoded = ImageDecoder((5, 7), 3).decode(tmp_path / "a.png")
    np.testing.assert_allclose(decoded, pixels.transpose(2, 0, 1) / 255, atol=1e-6)
    assert ImageDecoder((10, 4), 1).decode(tmp_path / "a.png").shape == (1, 10, 4)


def test_sixteen_bits_of_grey_are_not_clipped(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    decoded = ImageDecoder((8, 8), 1).decode(tmp_path / "deep.png")
    np.testing.assert_allclose(decoded[0], deep / 65535, atol=0.005)


def test_a_tone_lights_the_band_of_its_pitch() -> None:
    spectrum = log_mel(tone(1, 0), 8000, (40, 20))  # 800 Hz
    assert spectrum.shape == (40, 20)
    centre = (mel_filters(40, 4096, 8000) @ np.fft.rfftfreq(4096, 1 / 8000))[spectrum[:, 10].argmax()]
    assert centre == pytest.approx(800, rel=0.1)


@pytest.mark.parametrize("bands", [8, 56, 112, 300])
def test_no_band_is_empty(bands: int) -> None:
    spectrum = log_mel(np.random.default_rng(0).normal(0, 1, 8000).astype(np.float32), 8000, (bands, 9))
    assert np.isfinite(spectrum).all()
    assert spectrum.mean(axis=1).min() > -6


def test_sounds_are_mixed_down_resampled_and_fitted(tmp_path: Path) -> None:
    wave = tone(0, 1, seconds=0.5)
    decoder = AudioDecoder((20, 30), 8000, 0.4)
    soundfile.write(tmp_path / "a.wav", wave, 8000)
    soundfile.write(tmp_path / "b.flac", np.stack([wave, wave], axis=1), 8000)
    first = decoder.decode(tmp_path / "a.wav")
    assert first.shape == (1, 20, 30)
    np.testing.assert_allclose(first, decoder.decode(tmp_path / "b.flac"), atol=0.05)
    doubled = np.interp(np.arange(8000) / 16000, np.arange(4000) / 8000, wave).astype(np.float32)
    soundfile.write(tmp_path / "c.wav", doubled, 16000)
    assert np.abs(first - decoder.decode(tmp_path / "c.wav"))[:, :4].mean() < 0.3
    padded = AudioDecoder((20, 30), 8000, 1.0).decode(tmp_path / "a.wav")
    assert padded[0, :, -5:].max() == pytest.approx(np.log(1e-5), abs=0.01)


def test_texts_become_word_pieces() -> None:
    short, cut = TextDecoder(8).decode("a red bird"), TextDecoder(4).decode("one two three four five six")
    assert short[1].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert (short[0, 0], short[0, 4], short[0, 5]) == (101, 102, 0)
    assert cut[1].tolist() == [1, 1, 1, 1]
    assert cut[0, -1] == 102


def test_a_folder_of_classes_needs_no_table(tmp_path: Path, cache: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for index in range(10):
            grey = np.full((9, 9), index + 100 * (label == "dog"), np.uint8)
            Image.fromarray(grey).save(tmp_path / "pets" / label / f"{index}.png")
    spec = DataSpec.parse({"folder": "pets", "inputs": {"image": {"modality": "image"}}})
    data = load(spec, tmp_path, cache)
    assert data.classes == ["cat", "dog"]
    assert [len(data.rows(split)) for split in ("train", "valid", "test", "all")] == [12, 4, 4, 20]
    assert len(data.rows("train+valid")) == 16
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(tmp_path / "pets" / "cat" / "new.png")
    assert len(load(spec, tmp_path, cache)) == 21
    with pytest.raises(DataError, match="no split 'trial'"):
        data.rows("trial")


def test_parquet_and_csv_give_the_same(maker: Make, cache: Path) -> None:
    made = maker().samples(20)
    made.write()
    columns = {name: [row[name] for row in made.rows] for name in ("image", "label")}
    pyarrow.parquet.write_table(pyarrow.table(columns), made.root / "t.parquet")
    spec = {"inputs": {"image": {"modality": "image", "column": "image"}}}
    first = load(DataSpec.parse({"table": "samples.csv", **spec}), made.root, cache)
    second = load(DataSpec.parse({"table": "t.parquet", **spec}), made.root, cache)
    assert first.fingerprint == second.fingerprint


def test_groups_never_straddle_splits(maker: Make, cache: Path) -> None:
    made = maker().samples(90)
    made.write()
    data = load(made.spec("image", split={"group": "speaker", "seed": 3}), made.root, cache)
    speakers = [row["speaker"] for row in made.rows]
    found = [{speakers[row] for row in data.rows(split)} for split in ("train", "valid", "test")]
    assert len(found[0] | found[1] | found[2]) == sum(map(len, found)), "no speaker is in two"
    assert [len(data.rows(split)) for split in ("train", "valid", "test")] == [54, 18, 18]


def test_a_drawn_split_follows_the_classes(maker: Make, cache: Path) -> None:
    made = maker()
    for index in range(50):
        made.sample(index, 0 if index < 40 else 1)
    made.write()
    data = load(made.spec("image"), made.root, cache)
    counts = {split: Counter(data.target[data.rows(split)].tolist()) for split in ("train", "valid", "test")}
    assert counts == {"train": {0: 24, 1: 6}, "valid": {0: 8, 1: 2}, "test": {0: 8, 1: 2}}


def test_equal_samples_are_drawn_into_one_split(maker: Make, cache: Path) -> None:
    made = maker().samples(30)
    made.write()
    for index in (4, 10, 16):
        (made.root / f"{index}.png").write_bytes((made.root / "1.png").read_bytes())
    data = load(made.spec("image"), made.root, cache)
    assert len({int(data.splits[index]) for index in (1, 4, 10, 16)}) == 1


def test_a_second_call_is_quick_and_a_change_is_seen(maker: Make, cache: Path) -> None:
    made = maker().samples(60)
    made.write()
    spec = made.spec("image", "audio")
    reports: list[tuple[str, int, int]] = []
    first = load(spec, made.root, cache, progress=lambda *report: reports.append(report))
    assert {report[0] for report in reports} == {"reading", "decoding image", "decoding audio"}
    began = time.perf_counter()
    assert load(spec, made.root, cache).fingerprint == first.fingerprint
    assert time.perf_counter() - began < 0.1
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(made.root / "8.png")
    changed = load(spec, made.root, cache)
    assert changed.fingerprint != first.fingerprint
    assert not np.array_equal(changed.inputs["image"][8], first.inputs["image"][8])


def test_the_fingerprint_is_of_content_not_of_place(maker: Make, cache: Path, tmp_path: Path) -> None:
    made = maker().samples(12)
    made.write()
    first = load(made.spec("image"), made.root, cache)
    moved = made.root.rename(tmp_path / "moved")
    assert load(made.spec("image"), moved, cache).folder == first.folder


def test_a_damaged_cache_is_made_again(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    first = load(made.spec("image"), made.root, cache)
    (first.folder / "input.image.npy").write_bytes(b"x")
    again = load(made.spec("image"), made.root, cache)
    assert again.inputs["image"].shape == (12, 1, 12, 12)
    with pytest.raises(DataError, match="is not a data set"):
        Dataset.open(made.root)


def test_a_byte_that_changed_is_told_and_mended(maker: Make, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = maker().samples(12)
    made.write()
    first = load(made.spec("image"), made.root, cache)
    whole = np.array(first.inputs["image"]), np.array(first.target), first.classes
    random = np.random.default_rng(0)
    for path in sorted(first.folder.iterdir()):
        content = bytearray(path.read_bytes())
        content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        caplog.clear()
        with pytest.raises(DataError, match="is damaged: expected sha256"):
            Dataset.open(first.folder)
        again = load(made.spec("image"), made.root, cache)
        assert "is damaged: expected sha256" in caplog.text
        assert np.array_equal(again.inputs["image"], whole[0])
        assert np.array_equal(again.target, whole[1])
        assert again.classes == whole[2]
    (first.folder / SUMS).unlink()  # as an earlier version wrote it
    assert np.array_equal(Dataset.open(first.folder).target, whole[1])


def _load_in_child(spec: DataSpec, root: Path, cache: Path) -> str:
    return load(spec, root, cache).fingerprint


def test_two_processes_may_load_at_once(maker: Make, cache: Path) -> None:
    made = maker().samples(40)
    made.write()
    with get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_load_in_child, [(made.spec("image", "audio"), made.root, cache)] * 2)
    assert found[0] == found[1]
    assert not list(cache.glob(".partial*"))


def test_new_samples_get_the_same_preprocessing(maker: Make, cache: Path) -> None:
    made = maker().samples(20)
    made.write()
    data = load(made.spec("image", "audio", "text"), made.root, cache)
    rows = [
        {"image": made.root / f"{n}.png", "audio": made.root / f"{n}.wav", "text": made.rows[n]["words"]}
        for n in (3, 9)
    ]
    for name, values in decode_inputs(data.transforms, rows).items():
        np.testing.assert_array_equal(values, data.inputs[name][[3, 9]])
    with pytest.raises(DataError) as caught:
        decode_inputs(data.transforms, [{"image": made.root / "none.png", "sound": "x", "text": "a"}])
    assert len(caught.value.problems) == 3
    assert data.transform_for("audio").decoder.shape == (1, 16, 16)


def test_like_data_sets_have_like_statistics(tmp_path: Path, cache: Path) -> None:
    found = []
    for place, offset, inputs in (("a", 0, ["image"]), ("b", 1000, ["image"]), ("c", 0, ["audio"])):
        (tmp_path / place).mkdir()
        made = Maker(tmp_path / place)
        for index in range(60):
            made.sample(index + offset, index % 3)
        made.write()
        found.append(load(made.spec(*inputs), made.root, cache).statistics)
    assert all(numbers.shape == (64,) and np.isfinite(numbers).all() for numbers in found)
    assert np.linalg.norm(found[0] - found[1]) < 0.2 * np.linalg.norm(found[0] - found[2])
