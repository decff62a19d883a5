"""The demo's data: real handwritten digits, seen badly, and the same digits spoken, heard badly.

    python examples/digits/data.py OUT --scene first --seed 0

writes `OUT/image/*.png`, `OUT/audio/*.wav` and `OUT/index.csv`, an ordinary folder such as a user would bring.

Images are the 1,797 digits that scikit-learn ships (8×8, real handwriting), enlarged to 28×28. Nothing leaks: a digit
belongs to one split in every scene, because the splits are blocks of consecutive digits (the set is ordered by writer);
a voice belongs to one split of one scene.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from scipy.signal import resample_poly
from sklearn.datasets import load_digits
from voices import SAMPLE_RATE, WORDS, Speaker, Voice, all_voices

SIDE = 28
RATE = 8_000
SECONDS = 0.75
SPLITS = ("train", "valid", "test")
FRACTIONS = (0.50, 0.26, 0.24)
BLOCK = 60  # consecutive digits that stay together: a writer filled about 130


@dataclass(frozen=True, kw_only=True)
class Hardship:
    """How badly a scene is seen and heard."""

    energy_removed: float = 0.0  # share of the images' variance taken away, leading components first
    grain: float = 0.0  # standard deviation of pixel noise, full scale 1
    holes: float = 0.0  # share of pixels lost in square holes
    blur: float = 0.0  # pixels
    noise: str = "white"  # white | pink
    snr: tuple[float, float] = (0.0, 0.0)  # dB, drawn uniformly per utterance


SCENES = {
    "first": Hardship(energy_removed=0.5, grain=0.35, noise="white", snr=(-10.0, 0.0)),
    "second": Hardship(energy_removed=0.35, grain=0.25, holes=0.2, blur=0.6, noise="pink", snr=(-11.5, -1.5)),
}


def splits_of_digits(count: int, seed: int) -> np.ndarray:
    """The split of each digit, (count,), by blocks of consecutive digits; the same for both scenes."""
    generator = np.random.default_rng([seed, 1])
    blocks = generator.permutation(-(-count // BLOCK))
    edges = np.round(np.cumsum(FRACTIONS) * len(blocks)).astype(int)
    split_of_block = np.empty(len(blocks), dtype=int)
    split_of_block[blocks] = np.searchsorted(edges, np.arange(len(blocks)), side="right")
    return split_of_block[np.arange(count) // BLOCK]


def voices_of(scene: str, seed: int) -> list[list[Voice]]:
    """The voices of each split; no voice is in two splits, or in both scenes.

    Each timbre speaks six accents: they are dealt out at random, one to each split of each scene.
    """
    hands: list[list[Voice]] = [[] for _ in range(len(SCENES) * len(SPLITS))]
    rng = np.random.default_rng([seed, 2])
    for _, speakers in groupby(all_voices(), key=lambda voice: voice.timbre):
        for hand, voice in zip(hands, rng.permutation(np.array(list(speakers), dtype=object)), strict=True):
            hand.append(voice)
    mine = sorted(SCENES).index(scene) * len(SPLITS)
    return hands[mine : mine + len(SPLITS)]


def degrade_images(images: np.ndarray, train: np.ndarray, how: Hardship, rng: np.random.Generator) -> np.ndarray:
    """(n, 28, 28) in 0 … 1 → the same, worse. Components are found on the training rows alone."""
    flat = images.reshape(len(images), -1)
    mean = flat[train].mean(axis=0)
    _, strength, components = np.linalg.svd(flat[train] - mean, full_matrices=False)
    energy = np.cumsum(strength**2) / np.sum(strength**2)
    leading = components[: int(np.searchsorted(energy, how.energy_removed))]
    worse = flat - (flat - mean) @ leading.T @ leading if how.energy_removed else flat
    worse = worse.reshape(images.shape)
    if how.blur:
        worse = gaussian_filter(worse, sigma=(0, how.blur, how.blur))
    worse = worse + rng.normal(0.0, how.grain, worse.shape)
    holes = zoom(rng.random((len(images), 7, 7)), (1, 4, 4), order=0) < how.holes
    return np.clip(np.where(holes, 0.5, worse * 0.6 + 0.2), 0.0, 1.0)


def coloured_noise(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) samples of unit power: white, or pink (power falls as 1 / frequency)."""
    white = rng.normal(size=count)
    if kind == "white":
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum, count)
    return pink / pink.std()


def spoken(speaker: Speaker, digit: int, voice: Voice, how: Hardship, rng: np.random.Generator) -> np.ndarray:
    """One utterance at 8 kHz, placed at random in `SECONDS`, with noise: float32 in -1 … 1."""
    pace, pitch = int(rng.integers(150, 260)), int(rng.integers(20, 80))
    speech = resample_poly(speaker.say(WORDS[digit], voice, pace=pace, pitch=pitch), RATE, SAMPLE_RATE)
    length = int(SECONDS * RATE)
    speech = speech[:length]
    start = int(rng.integers(0, length - len(speech) + 1))
    power = float(np.mean(speech**2))
    noise = coloured_noise(how.noise, length, rng) * np.sqrt(power / 10 ** (rng.uniform(*how.snr) / 10))
    noise[start : start + len(speech)] += speech
    return (noise / np.abs(noise).max() * 0.9).astype(np.float32)


def write(out: Path, scene: str, seed: int) -> Path:
    """Write one scene's folder and return its index. The same arguments give the same bytes."""
    how, digits = SCENES[scene], load_digits()
    rng = np.random.default_rng([seed, 3, sorted(SCENES).index(scene)])
    split = splits_of_digits(len(digits.target), seed)
    clean = np.clip(zoom(digits.images / 16.0, (1, SIDE / 8, SIDE / 8), order=1), 0.0, 1.0)
    images = degrade_images(clean, split == 0, how, rng)
    voices, speaker = voices_of(scene, seed), Speaker()
    for folder in ("image", "audio"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    with (out / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "audio", "digit", "voice", "split"])
        for row, (image, digit) in enumerate(zip(images, digits.target, strict=True)):
            voice = voices[split[row]][int(rng.integers(len(voices[split[row]])))]
            Image.fromarray((image * 255).astype(np.uint8)).save(out / "image" / f"{row:04}.png")
            sound = spoken(speaker, int(digit), voice, how, rng)
            soundfile.write(out / "audio" / f"{row:04}.wav", sound, RATE, subtype="PCM_16")
            table.writerow([f"image/{row:04}.png", f"audio/{row:04}.wav", digit, voice.name, SPLITS[split[row]]])
    return out / "index.csv"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scene", choices=sorted(SCENES), default="first")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(write(arguments.out, arguments.scene, arguments.seed))
