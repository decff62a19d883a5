"""A data set that is ready to learn from: memory-mapped arrays, and how new samples are brought to the same form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.sums import DamagedError, Sums, write_sums
from cortigraph.regions.ports import Axis, Port
from cortigraph.train.data.decode import Transform
from cortigraph.train.data.listed import ListedSamples, Sample
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.split_spec import SPLITS

__all__ = ["FORMAT", "Dataset", "decode_inputs"]

FORMAT = 2  # of the folder. 1 had pictures of more than 8 bits in 8, and transparent ones on black
_READABLE = (1, 2)


@dataclass(frozen=True)
class Dataset:
    """Samples, decoded and standardised. Made by `load`, opened again from its folder.

    The arrays are copy-on-write: changing one never changes the folder.

    Args:
        folder: Where it lies.
        inputs: Input name → (samples, …) as the port of that name says.
        target: (samples,) of indices into `classes`.
        classes: Labels, sorted.
        transforms: Input name → what was done to it.
        splits: (samples,) of indices into train, valid, test.
        statistics: (64,) numbers that lie near those of like data sets.
        fingerprint: 64 hexadecimal digits: equal if and only if rows, files and preprocessing are.
        notes: What a user should know of how it was read.
    """

    folder: Path
    inputs: dict[str, NDArray[Any]]
    target: NDArray[np.int64]
    classes: list[str]
    transforms: dict[str, Transform]
    splits: NDArray[np.int8]
    statistics: NDArray[np.float32]
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split, rising.

        Args:
            split: `train`, `valid`, `test`, `all`, or several joined by `+`.

        Raises:
            DataError: There is no such split.

        Example:
            `dataset.rows("train+valid")`
        """
        parts = SPLITS if split == "all" else tuple(split.split("+"))
        unknown = [part for part in parts if part not in SPLITS]
        if unknown:
            raise DataError(f"no split {unknown[0]!r}; there are: {', '.join(SPLITS)}, all, or several joined by +")
        return np.flatnonzero(np.isin(self.splits, [SPLITS.index(part) for part in parts]))

    @cached_property
    def ports(self) -> dict[str, Port]:
        """The port of each input, with its sizes."""
        return {name: _port(name, transform) for name, transform in self.transforms.items()}

    @property
    def modalities(self) -> dict[str, str]:
        """Input name → `image`, `audio` or `text`."""
        return {name: transform.decoder.modality for name, transform in self.transforms.items()}

    @property
    def description(self) -> str:
        """One line for people.

        Example:
            `1100 samples (660 train, 220 valid, 220 test), 10 classes, image[channel=1,height=28,width=28] …`
        """
        parts = ", ".join(f"{len(self.rows(split))} {split}" for split in SPLITS)
        return f"{len(self)} samples ({parts}), {len(self.classes)} classes, " + ", ".join(
            map(str, self.ports.values())
        )

    def transform_for(self, name: str) -> Transform:
        """What turns a file or text into what input `name` holds.

        Raises:
            DataError: There is no such input.
        """
        if name not in self.transforms:
            raise DataError(f"no input {name!r}; there are: {', '.join(self.transforms)}")
        return self.transforms[name]

    @classmethod
    def open(cls, folder: Path, formats: Sequence[int] = _READABLE) -> Dataset:
        """Opens what `load` has made.

        Args:
            folder: Where it lies.
            formats: Which are taken: all that were ever written, when left out.

        Raises:
            DataError: The folder is not there or damaged.
        """
        try:
            sums = Sums(folder, "it is decoded again from its files when the data set is next loaded")
            told = json.loads(sums.check("dataset.json").read_text(encoding="utf-8"))
            if told["format"] not in formats:
                raise ValueError(f"format {told['format']}, expected {' or '.join(map(str, formats))}")
            transforms = {name: Transform.from_json(values) for name, values in told["transforms"].items()}
            opened = cls(
                folder=folder,
                inputs={name: _map(sums.check(f"input.{name}.npy")) for name in transforms},
                target=_map(sums.check("target.npy")),
                classes=told["classes"],
                transforms=transforms,
                splits=_map(sums.check("splits.npy")),
                statistics=_map(sums.check("statistics.npy")),
                fingerprint=told["fingerprint"],
                notes=tuple(told.get("notes", ())),
            )
        except DamagedError as error:
            raise DataError(str(error)) from None
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"{folder} is not a data set, or damaged ({error}); load it again from its files") from None
        return opened

    def write(self) -> None:
        """Writes all but the inputs, which are filled in place while decoding, and the checksums of all."""
        for values in self.inputs.values():
            if isinstance(values, np.memmap):
                values.flush()
        for name in ("target", "splits", "statistics"):
            np.save(self.folder / f"{name}.npy", getattr(self, name))
        told = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "classes": self.classes,
            "notes": list(self.notes),
            "transforms": {name: transform.to_json() for name, transform in self.transforms.items()},
        }
        (self.folder / "dataset.json").write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
        write_sums(self.folder)


def _map(path: Path) -> NDArray[Any]:
    mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return mapped


def _port(name: str, transform: Transform) -> Port:
    decoder = transform.decoder
    axes = tuple(Axis(name=axis, size=size) for axis, size in zip(decoder.axes, decoder.shape, strict=True))
    return Port.model_validate(
        {"name": name, "modality": decoder.modality, "axes": axes, "dtype": decoder.dtype, "semantics": "raw"}
    )


def decode_inputs(transforms: Mapping[str, Transform], rows: Sequence[Sample]) -> dict[str, NDArray[Any]]:
    """New samples, brought to the form that the data set's own have.

    Args:
        transforms: Input name → what turns its files or texts into values; a data set's, or a pathway's.
        rows: Per sample, input name → path of its file (or, for text, the text); or the rows of a table.

    Returns:
        Input name → (samples, …), standardised.

    Raises:
        DataError: Every input that is missing or cannot be decoded.

    Example:
        `decode_inputs(dataset.transforms, [{"image": "a.png", "audio": "a.wav"}])`
    """
    problems = Problems()
    decoded: dict[str, list[NDArray[Any]]] = {name: [] for name in transforms}
    for number, row in enumerate(rows):
        where = rows.where(number) if isinstance(rows, ListedSamples) else f"sample {number + 1}"
        for name in sorted(set(row) - set(decoded)):
            problems.add(f"{where}: no input {name!r}; there are: {', '.join(decoded)}")
        for name, values in decoded.items():
            if name not in row:
                problems.add(f"{where}: input {name!r} is missing")
                continue
            try:
                values.append(transforms[name](row[name]))
            except DataError as error:
                for problem in error.problems:
                    problems.add(f"{where}: {problem}")
    if not rows:
        problems.add("no samples; expected at least one")
    problems.check()
    return {name: np.stack(values) for name, values in decoded.items()}
