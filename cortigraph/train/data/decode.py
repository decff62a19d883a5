"""From files and texts to standardised arrays: what happens to one input, stored so that new samples get the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.audio import AudioDecoder
from cortigraph.train.data.clips import Clip
from cortigraph.train.data.contents import Content
from cortigraph.train.data.files import Progress, in_threads
from cortigraph.train.data.image import ImageDecoder
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.spec import InputSpec
from cortigraph.train.data.table import Listing
from cortigraph.train.data.text import TextDecoder

__all__ = ["Decoder", "Source", "Transform", "decode_all", "decode_one", "settle", "standardise"]

Source = Path | Clip | Content | str
Decoder = ImageDecoder | AudioDecoder | TextDecoder
_DECODERS: dict[str, type[Decoder]] = {"image": ImageDecoder, "audio": AudioDecoder, "text": TextDecoder}
_CHUNK = 256  # rows handled at once when a whole array is gone through: it may be larger than memory


@dataclass(frozen=True)
class Transform:
    """All that happens to one input between its file and the network.

    Args:
        column: Where a table holds it.
        decoder: File or text → array.
        mean: Per channel, of the train rows; empty where values are not standardised (text).
        std: Likewise.
    """

    column: str
    decoder: Decoder
    mean: tuple[float, ...] = field(default=())
    std: tuple[float, ...] = field(default=())

    def __call__(self, source: Source) -> NDArray[Any]:
        """One sample, decoded and standardised: of `decoder.shape`.

        Raises:
            DataError: It cannot be decoded.
        """
        sample: NDArray[Any] = self.scale(decode_one(self.decoder, source)[None])[0]
        return sample

    def scale(self, values: NDArray[Any]) -> NDArray[Any]:
        """Standardises decoded values, (samples, channel, …)."""
        if not self.mean:
            return values
        mean, std = self._aligned(values.ndim)
        return np.asarray((values - mean) / std)

    def unscale(self, values: NDArray[Any]) -> NDArray[Any]:
        """Undoes `scale`."""
        if not self.mean:
            return values
        mean, std = self._aligned(values.ndim)
        return np.asarray(values * std + mean)

    def _aligned(self, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        along = (1, -1) + (1,) * (dimensions - 2)
        return np.array(self.mean, np.float32).reshape(along), np.array(self.std, np.float32).reshape(along)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` takes."""
        return {
            "column": self.column,
            "modality": self.decoder.modality,
            "decoder": self.decoder.to_json(),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Transform:
        """The transform that gave these values."""
        decoder = _DECODERS[values["modality"]].from_json(values["decoder"])
        return cls(values["column"], decoder, tuple(values["mean"]), tuple(values["std"]))


def settle(
    spec: InputSpec, sources: Sequence[Any], train: NDArray[np.int64], progress: Progress
) -> tuple[Decoder, list[str]]:
    """The decoder of an input, with what the user left out taken from the files.

    Args:
        spec: What the user wrote.
        sources: One per row, or None; empty for texts of a table.
        train: Rows of the train split: of pictures, no other row may say how they are scaled.
        progress: Told how far it is.

    Returns:
        The decoder, and what the user should know of it.
    """
    if spec.modality == "image":
        return ImageDecoder.settle(spec, sources, train, progress)
    if spec.modality == "audio":
        return AudioDecoder.settle(spec, [each for each in sources if each is not None]), []
    return TextDecoder.settle(spec), []


def decode_one(decoder: Decoder, source: Source) -> NDArray[Any]:
    """One sample.

    Raises:
        DataError: It cannot be decoded, or is a clip where the decoder knows none.
    """
    if isinstance(decoder, AudioDecoder):
        return decoder.decode(source)
    if isinstance(decoder, TextDecoder):
        return decoder.decode(str(source))
    if isinstance(source, Clip):
        raise DataError(f"{source} is a clip of a sound, but the input takes {decoder.modality}")
    return decoder.decode(source)


def decode_all(
    decoder: Decoder,
    sources: Sequence[Source | None],
    listing: Listing,
    out: NDArray[Any],
    problems: Problems,
    progress: Progress,
) -> None:
    """Decodes every row into `out`, in threads.

    Args:
        decoder: What turns one source into an array.
        sources: One per row; None is left as it is.
        listing: The samples, for messages.
        out: (samples, *decoder.shape), filled here.
        problems: Takes each row that cannot be decoded.
        progress: Told how far it is.
    """

    def one(row: int) -> list[str]:
        source = sources[row]
        try:
            if source is not None:
                out[row] = decode_one(decoder, source)
        except DataError as error:
            return [f"{listing.where(row)}: {problem}" for problem in error.problems]
        return []

    for found in in_threads(one, range(len(sources)), f"decoding {decoder.modality}", progress):
        for problem in found:
            problems.add(problem)


def standardise(column: str, decoder: Decoder, values: NDArray[Any], train: NDArray[np.int64]) -> Transform:
    """Standardises an array in place and says how, so that new samples get the same.

    Args:
        column: Where a table holds the input.
        decoder: What gave the values.
        values: (samples, channel, …); changed in place unless they are not floats.
        train: Rows that mean and deviation are taken from; no other row may tell the network anything.

    Returns:
        The transform.
    """
    if values.dtype != np.float32:
        return Transform(column, decoder)
    axes = (0, *range(2, values.ndim))
    count, total, squares = 0, np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for start in range(0, len(train), _CHUNK):
        part = values[train[start : start + _CHUNK]].astype(np.float64)
        count += part.size // part.shape[1]
        total += part.sum(axis=axes)
        squares += (part**2).sum(axis=axes)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    std[std < 1e-6] = 1.0  # a channel that never changes stays at zero instead of being blown up
    transform = Transform(column, decoder, tuple(mean.tolist()), tuple(std.tolist()))
    for start in range(0, len(values), _CHUNK):
        values[start : start + _CHUNK] = transform.scale(values[start : start + _CHUNK])
    return transform
