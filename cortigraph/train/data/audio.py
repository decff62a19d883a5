"""Sound files to arrays: any format that libsndfile reads, to a log-mel spectrogram.

Its axes are called channel, height (frequency) and width (time), so that networks for maps take it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.clips import Clip
from cortigraph.train.data.contents import Content
from cortigraph.train.data.problems import DataError
from cortigraph.train.data.sound import measure, opened, whole
from cortigraph.train.data.spec import InputSpec

__all__ = ["AudioDecoder", "log_mel", "mel_filters"]

_SIZE = (64, 64)  # mel bands, frames when the user names no size
_RATE = 16_000  # Hz, at most, when the user names no rate
_LONGEST = 10.0  # seconds, at most, when the user names no length
_LARGEST_TERM = 100_000
_LOUDEST = 1e12  # beyond, the power of a window overflows in float32
_FLOOR = 1e-5  # power below which it is silence: its logarithm would only tell rounding errors apart


@dataclass(frozen=True)
class AudioDecoder:
    """How one sound file becomes a spectrogram.

    Args:
        size: Mel bands and frames.
        sample_rate: In Hz; files of another rate are resampled.
        seconds: Longer clips are cut at their end, shorter ones padded with silence.
    """

    size: tuple[int, int]
    sample_rate: int
    seconds: float

    modality: ClassVar[str] = "audio"
    axes: ClassVar[tuple[str, ...]] = ("channel", "height", "width")  # frequency upwards, time along
    dtype: ClassVar[str] = "float32"
    from_file: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, mel bands, frames)."""
        return (1, *self.size)

    @classmethod
    def settle(cls, spec: InputSpec, files: Sequence[Path | Clip | Content]) -> AudioDecoder:
        """Fills in what the user left out, from the files' headers."""
        if spec.sample_rate is not None and spec.seconds is not None:
            return cls(spec.size or _SIZE, spec.sample_rate, spec.seconds)
        heads = _headers(files) or [(_RATE, 1.0)]
        rate = spec.sample_rate or min(_RATE, int(median(head[0] for head in heads)))
        lengths = sorted(head[1] for head in heads)
        fits_most = lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]
        seconds = spec.seconds or min(_LONGEST, max(0.1, math.ceil(fits_most * 100) / 100))
        return cls(spec.size or _SIZE, rate, seconds)

    def decode(self, source: Path | Clip | Content | str) -> NDArray[np.float32]:
        """One sound.

        Args:
            source: Its path, the part of a file that it is, or its content.

        Returns:
            (1, mel bands, frames): natural logarithm of the power.

        Raises:
            DataError: The file is not a sound that can be read, has no samples, or holds NaN or infinity.
        """
        sound = Path(source) if isinstance(source, str) else source
        try:
            wave, rate = sound.read() if isinstance(sound, Clip) else _read(sound)
        except DataError as error:
            raise DataError(f"{sound} is not a sound that can be read ({error}){_guess(sound)}") from None
        if not wave.size:
            raise DataError(f"{sound} holds no sound: 0 samples")
        mono = wave.mean(axis=1)
        if not np.isfinite(mono).all():
            raise DataError(f"{sound} holds {int((~np.isfinite(mono)).sum())} samples that are NaN or infinite")
        if np.abs(mono).max() > _LOUDEST:
            raise DataError(
                f"{sound} holds samples up to {np.abs(mono).max():.3g}, whose power can't be told; expected -1 to 1; "
                "scale it"
            )
        return log_mel(self._fitted(mono, rate), self.sample_rate, self.size)[None]

    def _fitted(self, mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        from scipy.signal import resample_poly

        needed = round(self.seconds * self.sample_rate)
        mono = mono[: math.ceil(self.seconds * rate) + rate]  # what is cut anyway need not be resampled
        if rate != self.sample_rate:
            # of rates that share no divisor, a fraction that is as good as equal: the filter is as long as its terms
            ratio = Fraction(self.sample_rate, rate).limit_denominator(_LARGEST_TERM)
            mono = resample_poly(mono, ratio.numerator, ratio.denominator).astype(np.float32)
        mono = mono[:needed]
        return np.pad(mono, (0, needed - len(mono)))

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes."""
        return {"size": list(self.size), "sample_rate": self.sample_rate, "seconds": self.seconds}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AudioDecoder:
        """The decoder that gave these values."""
        return cls((values["size"][0], values["size"][1]), values["sample_rate"], values["seconds"])


def log_mel(wave: NDArray[np.float32], rate: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """The spectrogram of a wave, with exactly the frames that are asked for.

    Args:
        wave: (samples,) in -1…1.
        rate: Samples per second.
        size: Mel bands and frames; the hop follows from the frames, so nothing is resized afterwards.

    Returns:
        (bands, frames): natural logarithm of the power per band.
    """
    bands, frames = size
    # 32 ms see the pitch of a voice; longer where the frames would otherwise leave gaps
    window = max(round(0.032 * rate), math.ceil(len(wave) / frames))
    starts = np.linspace(0, len(wave), frames, endpoint=False).round().astype(np.int64)
    padded = np.pad(wave, (window // 2, window))  # frames are centred on their start
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[starts]  # (frames, window)
    points = _fft_points(window, rate, bands)
    weights, filters = _hann(window), _sparse_filters(bands, points, rate)
    power = np.abs(np.fft.rfft(pieces * weights, points, axis=1)) ** 2 / float((weights**2).sum())
    spectrum: NDArray[np.float32] = np.log(_FLOOR + filters @ power.T).astype(np.float32)
    return spectrum


def _fft_points(window: int, rate: int, bands: int) -> int:
    # Enough points that the narrowest (lowest) band covers one: the mel scale is about linear there.
    narrowest = 700.0 * (math.exp(_mel(rate / 2) / (bands + 1) / 1127.0) - 1)
    return 1 << max(window, math.ceil(rate / narrowest)).bit_length()


@lru_cache(maxsize=16)
def mel_filters(bands: int, points: int, rate: int) -> NDArray[np.float32]:
    """Triangles that gather Fourier bins into bands as the ear does.

    Args:
        bands: How many.
        points: Length of the Fourier transform.
        rate: Samples per second.

    Returns:
        (bands, points // 2 + 1), each row with sum 1.
    """
    edges = 700.0 * (np.exp(np.linspace(0, _mel(rate / 2), bands + 2) / 1127.0) - 1)  # Hz
    bins = np.fft.rfftfreq(points, 1 / rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


@lru_cache(maxsize=16)
def _sparse_filters(bands: int, points: int, rate: int) -> Any:
    from scipy import sparse

    # Almost all zero; and a dense product would start threads of its own inside each of ours, at forty times the cost.
    return sparse.csr_array(mel_filters(bands, points, rate))


def _mel(hertz: float) -> float:
    return 1127.0 * math.log1p(hertz / 700.0)


@lru_cache(maxsize=16)
def _hann(window: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def _headers(sources: Sequence[Path | Clip | Content]) -> list[tuple[int, float]]:
    """Samples per second, and seconds, of each that can be read; a file is opened once for all its clips."""
    heads = lru_cache(maxsize=None)(_header)
    found = []
    for each in sources:
        head = _header(each) if isinstance(each, Content) else heads(each.path if isinstance(each, Clip) else each)
        if head is not None:
            found.append((head[0], each.length / head[0] if isinstance(each, Clip) else head[1]))
    return found


def _header(source: Path | Content) -> tuple[int, float] | None:
    try:
        samples, rate = measure(source)
    except DataError:
        return None  # reported, with its row, when it is decoded
    return rate, samples / rate


def _read(source: Path | Content) -> tuple[NDArray[np.float32], int]:
    with opened(source) as sound:
        return whole(sound), int(sound.samplerate)


def _guess(source: Path | Clip | Content) -> str:
    pictures = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
    return "; its name says picture: is the modality image?" if source.suffix.lower() in pictures else ""
