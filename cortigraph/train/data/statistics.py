"""64 numbers that say what a data set is like, so that like data sets lie near each other.

Every number has its fixed place, whatever the inputs are called:

    0…9     size, classes, their balance, number of inputs
    10…27   images      28…45   sounds      46…63   texts

A modality that is absent leaves its places at zero; sequences for tracking (`mot.tracking`) have numbers about boxes in
those of sounds and texts, and say so at 8. All numbers are roughly within -3…3.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cortigraph.train.data.decode import Transform

__all__ = ["LENGTH", "describe"]

LENGTH = 64
_START = {"image": 10, "audio": 28, "text": 46}
_WIDTH = 18
_SEEN = 256  # train rows looked at, evenly spaced: enough for moments, and quick for any size

Vector = NDArray[np.float64]


def describe(
    inputs: Mapping[str, NDArray[np.generic]],
    transforms: Mapping[str, Transform],
    target: NDArray[np.int64],
    classes: int,
    train: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The numbers of a data set. Deterministic; only train rows are looked at, except for the size.

    Args:
        inputs: Input name → standardised array, samples first.
        transforms: Input name → its transform, to undo the standardisation.
        target: (samples,) of class indices.
        classes: How many classes there are.
        train: Rows of the train split.

    Returns:
        (64,)
    """
    numbers = np.zeros(LENGTH)
    numbers[:10] = _general(target, classes, train, len(inputs))
    seen = train[np.linspace(0, len(train) - 1, min(_SEEN, len(train))).round().astype(np.int64)]
    found: dict[str, list[Vector]] = {}
    for name, transform in transforms.items():
        values = transform.unscale(np.asarray(inputs[name][seen]))
        modality = transform.decoder.modality
        view = _text(values, target[seen]) if modality == "text" else _dense(values, target[seen])
        found.setdefault(modality, []).append(view)
    for modality, views in found.items():
        start = _START[modality]
        numbers[start : start + _WIDTH] = np.mean(views, axis=0)
    return numbers.astype(np.float32)


def _general(target: NDArray[np.int64], classes: int, train: NDArray[np.int64], inputs: int) -> Vector:
    share = np.bincount(target, minlength=classes) / len(target)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    return np.array(
        [
            np.log10(len(target)) / 2,
            np.log2(classes) / 3,
            entropy / max(np.log2(classes), 1),
            share.max(),
            share.min() * classes,
            np.log10(len(target) / classes) / 2,
            len(train) / len(target),
            inputs / 2,
            0.0,
            0.0,
        ]
    )


def _dense(values: NDArray[np.generic], target: NDArray[np.int64]) -> Vector:
    """Moments, quantiles, edges, spectrum, how far classes lie apart, size: of (samples, channel, height, width)."""
    data = values.astype(np.float64)
    mean, std = data.mean(), data.std() + 1e-9
    scaled = (data - mean) / std
    moments = [
        1.0,
        np.tanh(mean / 4) * 2,
        np.log10(std) / 2,
        np.tanh((scaled**3).mean() / 3),
        np.tanh((scaled**4).mean() / 10),
    ]
    quantiles = np.quantile(scaled[:, :, ::2, ::2], [0.02, 0.25, 0.5, 0.75, 0.98]) / 2
    edges = [np.abs(np.diff(scaled, axis=axis)).mean() if scaled.shape[axis] > 1 else 0.0 for axis in (2, 3)]
    size = [np.log10(values.shape[2] * values.shape[3]) / 4]
    return np.array([*moments, *quantiles, *edges, *_spectrum(scaled), _apart(scaled, target), *size])


def _spectrum(scaled: Vector) -> list[float]:
    # Shares of the energy in four rings of spatial frequency: fine texture, or large shapes.
    energy = (np.abs(np.fft.fft2(scaled)) ** 2).mean(axis=(0, 1))
    rows, columns = (np.fft.fftfreq(size)[:, None] for size in energy.shape)
    radius = np.hypot(rows, columns.T)
    energy[0, 0] = 0
    rings = np.digitize(radius, [0.08, 0.16, 0.3])
    shares = np.bincount(rings.ravel(), weights=energy.ravel(), minlength=4) / (energy.sum() + 1e-12)
    return [float(share) for share in shares]


def _apart(scaled: Vector, target: NDArray[np.int64]) -> float:
    # Share of the variance that lies between classes: how much a linear look already tells.
    flat = scaled.reshape(len(scaled), -1)
    centre = flat.mean(axis=0)
    kinds, counts = np.unique(target, return_counts=True)
    between = sum(
        count * ((flat[target == kind].mean(axis=0) - centre) ** 2).sum()
        for kind, count in zip(kinds, counts, strict=True)
    )
    return float(between / (((flat - centre) ** 2).sum() + 1e-12))


def _text(values: NDArray[np.generic], target: NDArray[np.int64]) -> Vector:
    """Lengths and vocabulary of (samples, 2, tokens), ids and mask."""
    ids, mask = values[:, 0].astype(np.int64), values[:, 1].astype(bool)
    lengths = mask.sum(axis=1)
    words = ids[mask]
    quantiles = np.log2(np.quantile(lengths, [0.02, 0.25, 0.5, 0.75, 0.98])) / 4
    # Which words occur, in eight buckets that a multiplicative hash fills evenly.
    buckets = np.bincount((words * 2_654_435_761 >> 16) % 8, minlength=8) / len(words)
    spread = np.zeros((len(ids), 64))
    np.add.at(spread, (np.nonzero(mask)[0], (words * 2_654_435_761 >> 16) % 64), 1.0)
    rest = [len(np.unique(words)) / len(words), np.log2(lengths.std() + 1) / 4, _apart(spread, target)]
    return np.array([1.0, *quantiles, *buckets, *rest, np.log2(values.shape[2]) / 8])
