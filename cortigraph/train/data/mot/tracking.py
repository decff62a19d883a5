"""A MOTChallenge folder as a data set: what is counted in it, where it lies among others, what is for training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cortigraph.train.data.mot.rows import Boxes
from cortigraph.train.data.mot.sequence import MotSequence, files_of, folders_of, read_mot
from cortigraph.train.data.problems import DataError, explain_validation
from cortigraph.train.data.split_spec import SPLITS, SplitSpec
from cortigraph.train.data.statistics import LENGTH

__all__ = ["MotSpec", "Tracking", "files_to_watch", "load_mot"]

_FORMAT = 1  # part of the fingerprint
_BOXES = 28  # where numbers about boxes begin: those of sounds and texts, which no such set has
_TENTHS = [0.1, 0.5, 0.9]


class MotSpec(BaseModel):
    """Where sequences lie and what they are for.

    Args:
        motchallenge: Folder with one sub-folder per sequence, or of one sequence.
        split: Names of sequences under `train`, `valid` and `test`. Those that nothing names are for training,
            unless training is named: then all must be.

    Example:
        >>> MotSpec.parse({"motchallenge": "mot/MOT17", "split": {"test": ["MOT17-09"]}}).split.values
        {'MOT17-09': 2}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    motchallenge: Path
    split: SplitSpec = SplitSpec()

    @model_validator(mode="after")
    def _by_name(self) -> MotSpec:
        split = self.split
        if split.column or split.group or split.share or split.fractions != SplitSpec().fractions:
            raise ValueError("split: sequences are divided by name: {train: [...], valid: [...], test: [...]}")
        return self

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> MotSpec:
        """A spec from plain data.

        Raises:
            DataError: Everything that is wrong with it, at once.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise explain_validation(error, "data") from None


@dataclass(frozen=True)
class Tracking:
    """A data set of sequences, read and checked.

    Args:
        sequences: Sorted by name.
        splits: Sequence → `train`, `valid` or `test`.
        statistics: (64,) numbers that lie near those of like data sets.
        fingerprint: 64 hexadecimal digits: equal if and only if content and split are. Of frames it is known only
            which are there: their pixels are not read.
    """

    sequences: list[MotSequence]
    splits: dict[str, str]
    statistics: NDArray[np.float32]
    fingerprint: str

    def __len__(self) -> int:
        return sum(each.length for each in self.sequences)

    @property
    def facts(self) -> dict[str, Any]:
        """What is counted, as the graph remembers it: frames, boxes and tracks, in all and by sequence."""
        rows = [_facts(each, self.splits[each.name]) for each in self.sequences]
        return {
            "sequences": [each.name for each in self.sequences],
            **{
                name: sum(row[name] for row in rows)
                for name in ("frames", "boxes", "boxes_all", "tracks", "detections")
            },
            "frames_missing": sum(len(each.missing) for each in self.sequences),
            "detectors": sorted({name for each in self.sequences for name in each.detections}),
            "image_sizes": sorted({f"{each.size[0]}x{each.size[1]}" for each in self.sequences}),
            "frame_rates": sorted({each.rate for each in self.sequences}),
            "by_sequence": json.dumps(rows, ensure_ascii=False),
        }

    @property
    def description(self) -> str:
        """One line for people.

        Example:
            `7 sequences (7 train, 0 valid, 0 test), 5316 frames, 112297 boxes of 546 tracks, detectors DPM, FRCNN`
        """
        told, kept = self.facts, list(self.splits.values())
        parts = ", ".join(f"{kept.count(split)} {split}" for split in SPLITS)
        missing = f" ({told['frames_missing']} without an image)" if told["frames_missing"] else ""
        return (
            f"{len(self.sequences)} sequences ({parts}), {told['frames']} frames{missing}, {told['boxes']} boxes of "
            f"{told['tracks']} tracks, detectors {', '.join(told['detectors']) or 'none'}"
        )


def load_mot(spec: MotSpec, base: Path) -> Tracking:
    """Reads and checks a MOTChallenge folder.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in it start from.

    Returns:
        The data set.

    Raises:
        DataError: Everything that is wrong with it, by file and line.
    """
    sequences = read_mot(base / spec.motchallenge.expanduser())
    splits = _split(spec.split, [each.name for each in sequences])
    told = [_FORMAT, splits, [[each.name, each.digest] for each in sequences]]
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return Tracking(sequences, splits, _statistics(sequences), fingerprint)


def files_to_watch(spec: MotSpec, base: Path) -> list[str]:
    """Files and folders that change when the data set does, for `signature`; not the frames themselves."""
    folder = base / spec.motchallenge.expanduser()
    return [str(folder), *(str(path) for place in folders_of(folder) for path in files_of(place))]


def _split(spec: SplitSpec, names: Iterable[str]) -> dict[str, str]:
    named, present = spec.values, list(names)
    problems = [
        f"data.split: no sequence {name!r}; there are: {', '.join(present)}" for name in named if name not in present
    ]
    if spec.train:
        problems += [f"data.split: sequence {name!r} is in none of them" for name in present if name not in named]
    if problems:
        raise DataError(problems)
    return {name: SPLITS[named.get(name, 0)] for name in present}


def _facts(sequence: MotSequence, split: str) -> dict[str, Any]:
    counted = sequence.truth.evaluated()
    return {
        "name": sequence.name,
        "split": split,
        "frames": sequence.length,
        "rate": sequence.rate,
        "size": list(sequence.size),
        "boxes": len(counted),
        "boxes_all": len(sequence.truth),
        "tracks": len(np.unique(counted.id)),
        "detectors": {name: len(boxes) for name, boxes in sequence.detections.items()},
        "detections": sum(len(boxes) for boxes in sequence.detections.values()),
        "images": sequence.images is not None,
        "missing": list(sequence.missing),
    }


def _statistics(sequences: list[MotSequence]) -> NDArray[np.float32]:
    """Size and frame as an image set has them, then boxes: sizes, shapes, crowds, lengths of tracks, speeds."""
    numbers = np.zeros(LENGTH)
    frames = sum(each.length for each in sequences)
    area = float(np.mean([each.size[0] * each.size[1] for each in sequences]))
    numbers[[0, 7, 8]] = np.log10(frames) / 2, 0.5, 1.0  # size, one input, a set of tracks
    numbers[[10, 27]] = 1.0, np.log10(area) / 4
    parts = np.array([_of_sequence(each) for each in sequences])
    weights = [each.length for each in sequences]
    numbers[_BOXES : _BOXES + parts.shape[1]] = np.average(parts, axis=0, weights=weights)
    return numbers.astype(np.float32)


def _of_sequence(sequence: MotSequence) -> NDArray[np.float64]:
    """(17,): zeros where there is no ground truth, but for what detectors saw."""
    truth, rate = sequence.truth.evaluated(), np.log2(sequence.rate) / 4
    seen = np.mean([len(each) for each in sequence.detections.values()] or [0]) / sequence.length
    if not len(truth):
        return np.array([*np.zeros(15), rate, np.log2(1 + seen) / 4])
    tall = np.log2(np.quantile(truth.h / sequence.size[1], _TENTHS)) / 4
    shape = np.log2(np.quantile(truth.h / truth.w, _TENTHS)) / 2
    crowd = np.quantile(np.bincount(truth.frame, minlength=sequence.length + 1)[1:], _TENTHS)
    tracks = np.unique(truth.id, return_counts=True)[1] / sequence.rate
    lasting, speed = np.log2(np.quantile(tracks, _TENTHS) + 0.1) / 4, _speeds(truth, sequence.rate)
    return np.array([*tall, *shape, *(np.log2(1 + crowd) / 4), *lasting, *speed, rate, np.log2(1 + seen) / 4])


def _speeds(truth: Boxes, rate: float) -> NDArray[np.float64]:
    """Quantiles of how far a box moves in a second, in its own heights."""
    boxes = truth.take(np.lexsort((truth.frame, truth.id)))
    next_to = (np.diff(boxes.id) == 0) & (np.diff(boxes.frame) == 1)
    if not next_to.any():
        return np.zeros(3)
    far = np.hypot(np.diff(boxes.x + boxes.w / 2), np.diff(boxes.y + boxes.h / 2)) / boxes.h[1:]
    speeds: NDArray[np.float64] = np.tanh(np.quantile(far[next_to] * rate, _TENTHS))
    return speeds
