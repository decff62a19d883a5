"""`load`: from what a user describes to a `Dataset`, checked as a whole, decoded once, found again in milliseconds."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cortigraph.train.data.clips import Clip, hash_clips
from cortigraph.train.data.dataset import FORMAT, Dataset
from cortigraph.train.data.decode import Decoder, Source, decode_all, settle, standardise
from cortigraph.train.data.files import Progress, signature
from cortigraph.train.data.folder import folders_in
from cortigraph.train.data.image import ImageDecoder
from cortigraph.train.data.problems import DataError, Problems
from cortigraph.train.data.sources import find_sources, hash_sources, paths_in
from cortigraph.train.data.spec import DataSpec, InputSpec
from cortigraph.train.data.split import assign_splits, check_classes, check_leaks
from cortigraph.train.data.split_spec import SPLITS
from cortigraph.train.data.statistics import LENGTH, describe
from cortigraph.train.data.table import Listing, check_cells, list_samples, source_of

__all__ = ["load"]

_PRINT = 1  # of fingerprints; a data set whose meaning a new version does not change keeps its own
_ROWS = 1 << 16  # of a column that are handled at once
_LOG = logging.getLogger(__name__)


def load(spec: DataSpec, base: Path, cache: Path, progress: Progress | None = None) -> Dataset:
    """Checks, decodes and caches what a spec describes.

    A second call looks only whether a file has changed. Safe in several processes at once.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in it start from.
        cache: Folder for decoded data sets; may be deleted at any time.
        progress: Told what is done, how many are done, of how many.

    Returns:
        The data set.

    Raises:
        DataError: Everything that is wrong with the data, at once.

    Example:
        `load(DataSpec.parse({"folder": "digits", "inputs": {"image": {"modality": "image"}}}), Path("."), cache)`
    """
    base, cache = base.resolve(), cache.resolve()
    known = _recall(spec, base, cache)
    if known is not None:
        return known
    # What the file system says is noted before anything is read: a file that changes meanwhile is then read again.
    watch = _Watch.of_source(spec, base)
    cache.mkdir(parents=True, exist_ok=True)
    samples = _Samples(spec, list_samples(spec, base, cache), progress or (lambda what, done, whole: None))
    watch.add(samples.seen, samples.signature)
    fingerprint = samples.fingerprint()
    folder = cache / fingerprint[:20]
    with FileLock(f"{folder}.lock"):  # the system lets go of it when its holder is killed
        dataset = _opened(folder) or _build(samples, folder, fingerprint)
    watch.write(_index(spec, base, cache), folder)
    return dataset


class _Samples:
    """A listing with its files found, its labels read and its splits drawn; problems so far are kept, not raised."""

    def __init__(self, spec: DataSpec, listing: Listing, progress: Progress) -> None:
        self.spec, self.listing, self.progress = spec, listing, progress
        self.problems = Problems()
        check_cells(listing, self.problems)
        self.files = find_sources(spec, listing, self.problems)
        self.seen = sorted({str(path) for sources in self.files.values() for path in paths_in(sources)})
        self.signature = signature(self.seen)
        self.hashes = {name: self._hashes(name) for name in self.files}
        self.classes, self.target = _labels(listing.columns[spec.target])
        self._split()
        self.notes = [*listing.notes]
        self.decoders = {name: self._settled(name, item) for name, item in spec.inputs.items()}

    def _hashes(self, name: str) -> list[str]:
        sources = self.files[name]
        if not sources:
            return self._texts(name)
        if self.spec.inputs[name].clips:
            clips = [each if isinstance(each, Clip) else None for each in sources]
            return hash_clips(self.listing, clips, self.problems, self.progress)
        return hash_sources(self.listing, sources, self.problems, self.progress)

    def _texts(self, name: str) -> list[str]:
        cells = self.listing.columns[self.spec.inputs[name].column]
        return [hashlib.sha256(cell.encode()).hexdigest() if cell else "" for cell in cells]

    def _split(self) -> None:
        # The same words may well be said of two pictures: where there are files, they are the sample.
        with_files = [name for name, files in self.files.items() if files] or list(self.files)
        same = {name: self.hashes[name] for name in with_files}
        self.codes = assign_splits(self.spec.split, self.listing, self.target, same, self.problems)
        check_classes(self.listing, self.spec.target, self.classes, self.target, self.codes, self.problems)
        names = {name: self._names(name) for name in with_files}
        check_leaks(self.listing, same, names, self.codes, self.problems)

    def _names(self, name: str) -> Sequence[str]:
        """What a message calls the content of each row."""
        if self.spec.inputs[name].clips:
            return [f"{each.path.name} at {each.start}" if isinstance(each, Clip) else "" for each in self.files[name]]
        return self.listing.columns[self.spec.inputs[name].column]

    def _settled(self, name: str, item: InputSpec) -> Decoder:
        decoder, notes = settle(item, self.files[name], np.flatnonzero(self.codes == 0), self.progress)
        self.notes += [f"{name}: {note}" for note in notes]
        return decoder

    def fingerprint(self) -> str:
        """A hash of everything that the data set depends on, and of nothing else: not of where files lie."""
        digest = hashlib.sha256(json.dumps([_PRINT, self.spec.meaning()], sort_keys=True).encode())
        for column in sorted(self.listing.columns):
            for piece in _as_json(column, self.listing.columns[column]):
                digest.update(piece.encode())
        for name in sorted(self.hashes):
            digest.update(json.dumps([name, self.hashes[name]]).encode())
        for name, decoder in sorted(self.decoders.items()):
            if isinstance(decoder, ImageDecoder) and decoder.rules:
                digest.update(json.dumps([name, decoder.rules]).encode())
        return digest.hexdigest()

    def sources(self, name: str) -> Sequence[Source | None]:
        """What the decoder of an input is given, row by row."""
        files = self.files[name]
        if not files:
            return self.listing.columns[self.spec.inputs[name].column]
        if self.spec.inputs[name].modality != "text":
            return files
        return [self._read_text(row, path) if isinstance(path, Path) else None for row, path in enumerate(files)]

    def _read_text(self, row: int, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.add(f"{self.listing.where(row)}: {path} is not UTF-8 text ({error})")
            return None


def _as_json(column: str, cells: Sequence[str]) -> Iterator[str]:
    """`json.dumps([column, cells])`, some rows at a time."""
    yield f"[{json.dumps(column)}, ["
    for start in range(0, len(cells), _ROWS):
        yield (", " if start else "") + json.dumps(list(cells[start : start + _ROWS]))[1:-1]
    yield "]]"


def _labels(cells: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    names = {cell for cell in cells if cell}
    try:
        classes = sorted(names, key=lambda name: (int(name), name))  # 2 before 10
    except ValueError:
        classes = sorted(names)
    index = {name: number for number, name in enumerate(classes)}
    return classes, np.array([index.get(cell, -1) for cell in cells], dtype=np.int64)


def _build(samples: _Samples, folder: Path, fingerprint: str) -> Dataset:
    partial = folder.with_name(f".partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed: we hold its lock
    partial.mkdir()
    try:
        _fill(samples, partial, fingerprint)
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or it would have been opened
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Dataset.open(folder)


def _fill(samples: _Samples, folder: Path, fingerprint: str) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    decoders = samples.decoders
    for name, decoder in decoders.items():
        shape = (len(samples.listing), *decoder.shape)
        arrays[name] = np.lib.format.open_memmap(folder / f"input.{name}.npy", "w+", np.dtype(decoder.dtype), shape)
        sources = samples.sources(name)
        decode_all(decoder, sources, samples.listing, arrays[name], samples.problems, samples.progress)
    samples.problems.check()
    train = np.flatnonzero(samples.codes == 0)
    columns = {name: item.column for name, item in samples.spec.inputs.items()}
    transforms = {name: standardise(columns[name], decoders[name], arrays[name], train) for name in arrays}
    numbers = describe(arrays, transforms, samples.target, len(samples.classes), train)
    assert numbers.shape == (LENGTH,)
    assert len(SPLITS) > samples.codes.max()
    made = (samples.target, samples.classes, transforms, samples.codes, numbers, fingerprint, tuple(samples.notes))
    Dataset(folder, arrays, *made).write()


def _opened(folder: Path) -> Dataset | None:
    try:
        return Dataset.open(folder, [FORMAT]) if folder.exists() else None
    except DataError as error:
        _LOG.warning("%s", error)
        return None  # damaged, or of an older version: it is made again from the files


def _index(spec: DataSpec, base: Path, cache: Path) -> Path:
    key = json.dumps([FORMAT, str(base), spec.model_dump(mode="json")], sort_keys=True)
    return cache / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"


class _Watch:
    """What the file system said when a data set was read, so that the next call need not read a byte of it."""

    def __init__(self) -> None:
        self.groups: list[tuple[list[str], str]] = []

    @classmethod
    def of_source(cls, spec: DataSpec, base: Path) -> _Watch:
        source = source_of(spec, base)
        watched = folders_in(source) if source.is_dir() else [str(source)]  # a new file changes its folder's time
        watch = cls()
        watch.add(watched, signature(watched))
        return watch

    def add(self, paths: list[str], told: str) -> None:
        self.groups.append((paths, told))

    def write(self, index: Path, folder: Path) -> None:
        index.parent.mkdir(exist_ok=True)
        partial = index.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"folder": folder.name, "groups": self.groups}), encoding="utf-8")
        partial.replace(index)


def _recall(spec: DataSpec, base: Path, cache: Path) -> Dataset | None:
    try:
        told = json.loads(_index(spec, base, cache).read_text(encoding="utf-8"))
        if any(signature(paths) != before for paths, before in told["groups"]):
            return None
        return _opened(cache / told["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
