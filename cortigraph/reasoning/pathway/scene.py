"""Scenes: a task asked of the system, in words and data.

text: recognise a digit that is seen and heard, both badly
data:                      # or  dataset: the key of a data set that the graph knows
  table: index.csv
  inputs:
    image: {modality: image, column: image}
    audio: {modality: audio, column: audio}
  target: digit
budget: {trials: 12}
"""

from __future__ import annotations

import hashlib
import string
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from cortigraph.graph.errors import InputError
from cortigraph.regions import document
from cortigraph.train.data.spec import DataSpec
from cortigraph.train.settings import TrainSettings

__all__ = ["Budget", "Scene", "key_of"]

_LONGEST = 64  # characters; and in UTF-8, as keys name files
_LONGEST_BYTES = 180


def key_of(name: str) -> str:
    """The key that a name gives, in whatever alphabet: other names have other keys, but for their blanks and marks.

    Example:
        >>> key_of("my scene"), key_of("птицы"), key_of("鸟 2"), key_of("---")
        ('my-scene', 'птицы', '鸟-2', 'scene-cb3f91d5')
    """
    told = unicodedata.normalize("NFC", name)
    kept = "".join(c if (c.isprintable() and ord(c) > 127) or c in _PLAIN else " " for c in told)
    key = "-".join(kept.split()).strip("-.")
    if key and len(key) <= _LONGEST and len(key.encode()) <= _LONGEST_BYTES:
        return key
    digest = hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:8]
    short = key[: _LONGEST // 2].encode()[: _LONGEST_BYTES // 2].decode(errors="ignore").strip("-.")
    return f"{short or 'scene'}-{digest}"


def _checked(key: str) -> str:
    told = unicodedata.normalize("NFC", key)
    if told != key_of(told):
        raise ValueError(
            "expected up to 64 letters of any alphabet, digits and . _ -, not beginning or ending with . or -; "
            f"write {key_of(told)!r}"
        )
    return told


_PLAIN = frozenset(string.ascii_letters + string.digits + "._-")
_Key = Annotated[str, AfterValidator(_checked)]


class Budget(BaseModel):
    """How much a search may cost. It stops at whichever comes first.

    Args:
        trials: Candidates that are trained and scored.
        seconds: For all of it, over all sessions of a search that was interrupted: what is being trained when there is
            only time left to choose and to test is kept as it is then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: Annotated[int, Field(ge=1, le=100_000)] = 12
    seconds: Annotated[float, Field(gt=0)] | None = None


class Scene(BaseModel):
    """A task: what is wanted, over which data, scored how, at what cost.

    Args:
        key: Names the scene for ever, in any alphabet; a file's name when it is left out.
        text: What is wanted, in words.
        dataset: The key of a data set in the graph; or
        data: where the samples lie, relative to the scene's file.
        metric: What is maximised.
        budget: What the search may cost.
        regions: Input name → IDs of the regions that may serve it; the input `fusion` restricts the fusion cells.
            Every region that fits may, when left out.
        training: Settings of every training of the search.
        search: The strategy.
        seed: Of everything that is drawn.
        base: The folder that relative paths start from.

    Example:
        >>> Scene.parse({"key": "digits", "text": "read a digit", "dataset": "digits"}).budget.trials
        12
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: _Key
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    dataset: str | None = None
    data: DataSpec | None = None
    metric: Literal["accuracy"] = "accuracy"
    budget: Budget = Budget()
    regions: dict[str, tuple[str, ...]] = {}
    training: TrainSettings = TrainSettings(noise=0.2, shift=2)
    search: str = "evolution"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    base: Path = Field(default=Path(), exclude=True)
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """The file that it was read from."""
        return self._file

    @model_validator(mode="after")
    def _one_source(self) -> Scene:
        if (self.dataset is None) == (self.data is None):
            raise ValueError("give either data (where the samples lie) or dataset (the key of one in the graph)")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Scene:
        """Reads a scene file.

        Args:
            path: YAML; paths inside it are relative to its folder.

        Raises:
            InputError: Everything that is wrong with it, by line.
        """
        path = Path(path)
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError:
            raise InputError(f"{str(path.resolve())!a} is a name that is not UTF-8; rename it") from None
        told = document.read(path)
        if not isinstance(told.data, dict):
            raise InputError(f"{path}: expected keys and values, such as text, data and budget; got {told.data!r}")
        told.data.setdefault("key", key_of(path.stem))
        told.data.pop("base", None)
        scene = told.into(cls).model_copy(update={"base": path.parent.resolve()})
        scene._file = path.resolve()
        return scene

    @classmethod
    def parse(cls, values: dict[str, Any], base: str | Path = ".") -> Scene:
        """A scene from plain data.

        Raises:
            InputError: Everything that is wrong with it.
        """
        read = document.Document(Path("scene"), values, {})
        return read.into(cls).model_copy(update={"base": Path(base).resolve()})
