"""What a user writes about a data set: where samples lie, what feeds which input, what the target is, how to split.

table: samples.csv            # one row a sample; or  folder: digits/  with one sub-folder a class
inputs:
  image: {modality: image, column: image}
  audio: {modality: audio, column: sound}
target: label
split: {column: split}        # or {group: speaker, fractions: [.6, .2, .2], seed: 0}
                              # or {column: fold, test: ["5"], valid: ["4"]}

Sounds may be clips of longer files: {modality: audio, file: all.flac, offset: start, length: samples}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cortigraph.tables.table_spec import TableSpec
from cortigraph.train.data.problems import explain_validation
from cortigraph.train.data.split_spec import SPLITS, SplitSpec

__all__ = ["FILE", "Colour", "DataSpec", "InputName", "InputSpec", "Modality", "ground_of"]

Modality = Literal["image", "audio", "text"]
InputName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
FILE = "file"  # the column that a folder of classes stands for

Colour = tuple[int, int, int]  # red, green, blue in 0…255

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[int, Field(gt=0, le=4096)]
_TAKES: dict[str, set[str]] = {
    "image": {"size", "channels", "range", "background"},
    "audio": {"size", "sample_rate", "seconds", "file", "offset", "length", "every"},
    "text": {"tokens"},
}
_CLIPS = ("file", "offset", "length", "every")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Frozen):
    """One input of the network. Whatever is left out is taken from the data.

    Args:
        modality: `image`, `audio` or `text`.
        column: Column that holds a file's path, or for text the text itself. Not used with `folder`.
        size: Image: height and width in pixels (left out: the images' own, at most 64). Audio: mel bands and frames
            of the spectrogram (left out: 64 and 64).
        channels: Image only: 1 or 3 (left out: 1 if every image is grey, else 3).
        range: Image only: which values become 0 and 1, in the files' own units, whatever their depth (left out:
            pictures of 8 bits are 0…255, deeper ones as far as the training rows' go).
        background: Image only: what transparent pixels are laid on, `white`, `black` or `#rrggbb` (left out: white, or
            black where what is seen in the training rows is light).
        sample_rate: Audio only, in Hz (left out: the files' own, at most 16,000).
        seconds: Audio only: longer clips are cut, shorter ones padded with silence (left out: the length that
            95 % of the clips fit in, at most 10 s).
        tokens: Text only: longer texts are cut (left out: 64).
        file: Audio only: one file that holds the clips of all rows, instead of a column of paths; relative to the
            table's own folder.
        offset: Audio only: column with the place of a row's clip in its file, in samples.
        length: Audio only: column with the length of the clip, in samples.
        every: Audio only, with `file`: instead of both; the clip of row k (from 0) starts at sample k × `every` and
            is as long.
    """

    modality: Modality
    column: str = FILE
    size: tuple[_Positive, _Positive] | None = None
    channels: Literal[1, 3] | None = None
    range: tuple[_Finite, _Finite] | None = None
    background: Annotated[str, Field(pattern=r"^(white|black|#[0-9a-fA-F]{6})$")] | None = None
    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] | None = None
    seconds: Annotated[float, Field(ge=0.01, le=600, allow_inf_nan=False)] | None = None
    tokens: Annotated[int, Field(ge=2, le=512)] | None = None
    file: Path | None = None
    offset: str | None = None
    length: str | None = None
    every: Annotated[int, Field(gt=0)] | None = None

    @property
    def clips(self) -> bool:
        """Whether a sample is a part of a file."""
        return any(getattr(self, name) is not None for name in _CLIPS)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of a table that are read for it: which setting names it → the column."""
        told = {"column": None if self.file else self.column, "offset": self.offset, "length": self.length}
        return {place: column for place, column in told.items() if column is not None}

    @model_validator(mode="after")
    def _only_its_own(self) -> InputSpec:
        given = self.model_fields_set - {"modality", "column"}
        foreign = sorted(name for name in given - _TAKES[self.modality] if getattr(self, name) is not None)
        if foreign:
            takes = ", ".join(sorted(_TAKES[self.modality]))
            raise ValueError(f"{', '.join(foreign)} is not for modality {self.modality!r}, which takes {takes}")
        return self

    @model_validator(mode="after")
    def _range_rises(self) -> InputSpec:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range is [low, high], such as [0, 255]; got {list(self.range)}")
        return self

    @model_validator(mode="after")
    def _one_way_to_clips(self) -> InputSpec:
        if self.file is not None and "column" in self.model_fields_set:
            raise ValueError("give either column (a path in each row) or file (one file for all rows), not both")
        if (self.offset is None) != (self.length is None):
            raise ValueError("offset and length go together: columns that say where a clip starts and how long it is")
        if self.every is not None and (self.offset is not None or self.file is None):
            raise ValueError("every is for one file whose clips are all as long: give file, and no offset and length")
        if self.file is not None and self.every is None and self.offset is None:
            raise ValueError("one file for all rows needs offset and length (columns), or every (samples a clip)")
        return self


def ground_of(background: str) -> Colour:
    """What is meant by `background`.

    Example:
        >>> ground_of("white"), ground_of("#ff8000")
        ((255, 255, 255), (255, 128, 0))
    """
    told = {"white": "#ffffff", "black": "#000000"}.get(background, background)
    return int(told[1:3], 16), int(told[3:5], 16), int(told[5:7], 16)


class DataSpec(TableSpec):
    """Where samples lie and what they mean.

    Args:
        table: CSV, TSV, JSON (lines) or Parquet file with one row per sample; paths in it are relative to its own
            folder.
        folder: Folder with one sub-folder per class, instead of a table; then there is exactly one input. Where its
            sub-folders are `train`, `valid` and `test`, each with one per class, they are the split.
        inputs: Input name → what feeds it.
        target: Column with the class of each sample.
        split: How samples are divided; left out: drawn 60/20/20.
        allow_outside: Whether the table may name files outside its own folder.

    How the table is read (`delimiter`, `missing`, `header` and so on) is said as for a source of a job.

    Example:
        >>> spec = DataSpec.parse({"folder": "digits", "inputs": {"image": {"modality": "image"}}})
        >>> spec.split.fractions
        (0.6, 0.2, 0.2)
    """

    table: Path | None = None
    folder: Path | None = None
    inputs: dict[InputName, InputSpec] = Field(min_length=1)
    target: str = "label"
    split: SplitSpec = SplitSpec()
    allow_outside: bool = False

    @model_validator(mode="after")
    def _whole(self) -> DataSpec:
        wrong = [*self._source_problems(), *self._column_problems()]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _source_problems(self) -> list[str]:
        if (self.table is None) == (self.folder is None):
            return ["give either table (a file that lists samples) or folder (one sub-folder per class)"]
        if self.folder is None:
            return [*self.problems(), *self._clip_problems(), *self._split_problems()]
        told = sorted(self.model_fields_set & set(TableSpec.model_fields))
        wrong = [f"{', '.join(told)}: a folder of classes has no table"] if told else []
        wrong += [] if len(self.inputs) == 1 else [f"a folder of classes feeds one input, not {len(self.inputs)}"]
        if self.split.column or self.split.group or self.split.values:
            wrong.append("a folder of classes has no columns to split by; use a table")
        if any(item.clips for item in self.inputs.values()):
            wrong.append("a folder of classes holds one sample a file; clips of longer files need a table")
        return wrong

    def _clip_problems(self) -> list[str]:
        taken = {self.target, *(item.column for item in self.inputs.values() if item.file is None)}
        return [
            f"input {name!r}: {column!r} is its {place} and also the target or the content of an input"
            for name, item in self.inputs.items()
            for place, column in item.columns.items()
            if place != "column" and column in taken
        ]

    def _split_problems(self) -> list[str]:
        if self.split.column is None and (self.split.values or self.split.share):
            return ["split: train, valid and test are values of a column; name the column"]
        return []

    def _column_problems(self) -> list[str]:
        if self.table is None:
            return []
        wrong = [
            f"input {name!r} needs a column"
            for name, item in self.inputs.items()
            if item.column == FILE and "column" not in item.model_fields_set and item.file is None
        ]
        used = {item.column: name for name, item in self.inputs.items() if item.file is None}
        wrong += (
            [
                f"column {self.target!r} is the target and also feeds input {used[self.target]!r}: the network "
                "would be given the answer"
            ]
            if self.target in used
            else []
        )
        return wrong

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> DataSpec:
        """A spec from plain data, for instance a YAML file.

        Raises:
            DataError: Everything that is wrong with it, at once.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise explain_validation(error, "data") from None

    def meaning(self) -> dict[str, Any]:
        """The spec without the places: what data is made of it, wherever the data lies."""
        read = set(TableSpec.model_fields)  # what is read counts, not how
        told = self.model_dump(mode="json", exclude={"table", "folder", "allow_outside", *read})
        # Told only where they are used: what was decoded before they were known keeps its fingerprint.
        for item in told["inputs"].values():
            item.pop("file")
            for name in ("offset", "length", "every", "range", "background"):
                if item[name] is None:
                    item.pop(name)
        for name in SPLITS:
            if not told["split"][name]:
                told["split"].pop(name)
        return told
