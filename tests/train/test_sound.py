"""Sounds are read as they are, in whatever form; one that is not all there, or no sound, is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cortigraph.train.data import DataError, load
from cortigraph.train.data.audio import AudioDecoder
from cortigraph.train.data.contents import Content
from cortigraph.train.data.sound import measure, opened, whole

from .conftest import RATE, Maker, tone

Make = Callable[[], Maker]
WAVE = tone(1, 0, seconds=4.0)
FORMS = [
    ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "PCM_32", 1e-7), ("WAV", "PCM_U8", 1e-2),
    ("WAV", "FLOAT", 0), ("WAV", "DOUBLE", 0), ("WAV", "ALAW", 0.05), ("WAV", "ULAW", 0.05), ("WAVEX", "PCM_16", 1e-4),
    ("AIFF", "PCM_16", 1e-4), ("AU", "PCM_16", 1e-4), ("W64", "PCM_16", 1e-4), ("RF64", "PCM_16", 1e-4),
    ("CAF", "PCM_16", 1e-4), ("FLAC", "PCM_16", 1e-4), ("OGG", "VORBIS", 0.2), ("MP3", "MPEG_LAYER_III", 0.2),
    ("NIST", "PCM_16", 1e-4), ("VOC", "PCM_16", 1e-4), ("SVX", "PCM_16", 1e-4), ("AVR", "PCM_16", 1e-4),
    ("MAT4", "PCM_16", 1e-4), ("MAT5", "DOUBLE", 0), ("MPC2K", "PCM_16", 1e-4), ("HTK", "PCM_16", 1e-4),
    ("WVE", "ALAW", 0.05),
]  # fmt: skip


def written(form: str, kind: str, wave: np.ndarray = WAVE, rate: int = RATE) -> bytes:
    """A sound as libsndfile writes it."""
    file = BytesIO()
    soundfile.write(file, wave, rate, format=form, subtype=kind)
    return file.getvalue()


def read(source: Path | Content) -> np.ndarray:
    with opened(source) as sound:
        return whole(sound)


@pytest.mark.parametrize(("form", "kind", "off"), FORMS)
def test_every_form_is_read_whole_and_told_when_cut(form: str, kind: str, off: float, tmp_path: Path) -> None:
    content = written(form, kind)
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(content)
    for source in (path, Content(content, "a")):
        assert measure(source) == (len(WAVE), RATE)
        np.testing.assert_allclose(read(source)[:, 0], WAVE, atol=off)
    for share in (0.9, 0.6, 0.3):
        path.write_bytes(content[: round(len(content) * share)])
        for source in (path, Content(path.read_bytes(), "a")):
            with pytest.raises(DataError, match=r"cut short|malformed|lost sync|unknown format"):
                read(source)


def test_a_sound_cut_short_is_told_with_its_row(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    made.write()
    whole_file = (made.root / "3.wav").read_bytes()
    (made.root / "3.wav").write_bytes(whole_file[: len(whole_file) // 2])
    with pytest.raises(
        DataError, match=r"row 4: .*3\.wav is not a sound that can be read \(its header says 3200 bytes"
    ):
        load(made.spec("audio"), made.root, cache)


def test_a_stream_that_did_not_know_its_length_is_read(tmp_path: Path) -> None:
    content = bytearray(written("WAV", "PCM_16"))
    at = content.find(b"data") + 4
    for length in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"):
        content[at : at + 4] = length
        np.testing.assert_allclose(read(Content(bytes(content), "a"))[:, 0], WAVE, atol=1e-4)


@pytest.mark.parametrize("suffix", ["raw", "vox", "gsm", "mp3", "flac", ""])
def test_what_a_sound_is_called_counts_for_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(written("WAV", "FLOAT"))
    np.testing.assert_array_equal(read(path)[:, 0], WAVE)


def test_a_sound_that_can_only_be_read_onward_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written("WAV", "GSM610"))
    assert len(read(tmp_path / "a.wav")) == pytest.approx(len(WAVE), abs=320)


@pytest.mark.parametrize("name", ["text.mp3", "text.wav", "text.flac", "text.raw", "text.vox", "text"])
def test_text_is_no_sound(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("not a sound\n")
    with pytest.raises(DataError, match=rf"{name} is not a sound that can be read \(unknown format\)"):
        AudioDecoder((8, 8), RATE, 0.5).decode(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_no_library_speaks_for_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = written("MP3", "MPEG_LAYER_III")
    spoiled = bytearray(content)
    spoiled[2000:2400] = bytes(400)
    for index, bad in enumerate((content[: len(content) // 2], bytes(spoiled), content[:300], b"ID3" + content[3:])):
        (tmp_path / f"{index}.mp3").write_bytes(bad)
        with suppress(DataError):
            AudioDecoder((8, 8), RATE, 0.5).decode(tmp_path / f"{index}.mp3")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rate", [1, 99, 1_000_001, 10_000_000])
def test_a_rate_that_no_sound_has_is_told(rate: int, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written("WAV", "PCM_16", rate=rate))
    with pytest.raises(DataError, match=f"its header says {rate:,} samples a second; expected 100 to 1,000,000"):
        AudioDecoder((8, 8), RATE, 0.5).decode(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [100, 44_101, 999_983])
def test_odd_rates_are_resampled(rate: int, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written("WAV", "PCM_16", rate=rate))
    assert np.isfinite(AudioDecoder((8, 8), RATE, 0.5).decode(tmp_path / "a.wav")).all()


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.where(np.arange(900) % 300, 0.1, np.nan), "holds 3 samples that are NaN or infinite"),
        (np.full(9, 1e300), "holds 9 samples that are NaN or infinite"),
        (np.full(9, 1e30), r"holds samples up to 1e\+30, whose power can't be told; expected -1 to 1"),
        (np.zeros(0), "holds no sound: 0 samples"),
    ],
)
def test_what_is_no_number_is_told(wave: np.ndarray, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(written("WAV", "DOUBLE", wave))
    with pytest.raises(DataError, match=reason):
        AudioDecoder((8, 8), RATE, 0.5).decode(tmp_path / "a.wav")


def test_many_channels_are_mixed_down(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(written("WAV", "FLOAT"))
    (tmp_path / "many.wav").write_bytes(written("WAV", "FLOAT", np.stack([WAVE] * 48, axis=1)))
    decoder = AudioDecoder((8, 8), RATE, 0.5)
    one, many = decoder.decode(tmp_path / "one.wav"), decoder.decode(tmp_path / "many.wav")
    np.testing.assert_allclose(many, one, atol=1e-3)
