"""A folder of classes: one sub-folder a class, whatever lies in it, at any depth; or that once for each split.

    pets/cat/1.png  pets/dog/2.png                      the sub-folders are the classes
    pets/train/cat/1.png  pets/test/dog/2.png  …        they are the split, and theirs are the classes

Hidden files and folders are not looked at, and neither are those that file managers leave behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortigraph.train.data.problems import DataError, Problems

__all__ = ["SPLIT_NAMES", "Sample", "folders_in", "list_folder"]

SPLIT_NAMES = {"train": 0, "training": 0, "valid": 1, "val": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
_LEFT_BEHIND = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Sample:
    """A file of a folder of classes.

    Args:
        path: Relative to the folder, with `/`.
        label: Its class.
        split: The split's folder; empty where there is none.
    """

    path: str
    label: str
    split: str


def list_folder(source: Path) -> list[Sample]:
    """The files of a folder of classes, sorted by path.

    Args:
        source: The folder.

    Returns:
        One sample per file.

    Raises:
        DataError: There is no such folder, or it has no classes, or one without files, or splits and classes side
            by side.

    Example:
        `[sample.label for sample in list_folder(Path("pets"))]`
    """
    if not source.is_dir():
        raise DataError(f"data.folder: no folder {source}")
    names = _folders(source)
    if not names:
        raise DataError(f"data.folder: {source} has no sub-folders; expected one per class, with its files inside")
    problems = Problems()
    splits = _splits(source, names, problems)
    problems.check()
    listed = [sample for split in splits for sample in _classes(source, split)]
    for place, label in _empty(source, splits, listed):
        problems.add(f"data.folder: {place} holds no files; add samples of class {label!r} or remove the folder")
    for sample in listed:
        if not _encodable(sample.path):  # as unpacked from a ZIP file in an encoding of its own
            problems.add(f"data.folder: {sample.path!r} in {source} is a name that is not UTF-8; rename it")
    problems.check()
    return listed


def folders_in(source: Path) -> list[str]:
    """A folder and all folders in it: adding a file to one of them changes its time."""
    found = [str(source)]
    for name in _folders(source):
        found += _walk(source / name, set())[1]
    return found


def _splits(source: Path, names: list[str], problems: Problems) -> list[str]:
    """The folders that are splits; one empty name where there are none."""
    known = [name for name in names if name.lower() in SPLIT_NAMES]
    # A class may be called `test`. Splits are told by one for training that holds folders and nothing else.
    train = [name for name in known if SPLIT_NAMES[name.lower()] == 0]
    if not any(_folders(source / name) and not _files(source / name) for name in train):
        return [""]
    other = [name for name in names if name not in known]
    if other:
        shown = ", ".join(other[:5])
        problems.add(
            f"data.folder: {source} has {shown} beside {', '.join(known)}; expected splits or classes, not both"
        )
    for name in known:
        loose = _files(source / name)
        if loose:
            problems.add(f"data.folder: {source / name} has files outside its classes, such as {loose[0]!r}")
    return known


def _classes(source: Path, split: str) -> Iterator[Sample]:
    for label in _folders(source / split):
        inside = Path(split, label)
        for file in sorted(_walk(source / inside, set())[0]):
            yield Sample(Path(file).relative_to(source).as_posix(), label, split)


def _empty(source: Path, splits: list[str], listed: list[Sample]) -> Iterator[tuple[Path, str]]:
    # A class may well be absent from one split: what that means is said when the splits are checked.
    filled = {sample.label for sample in listed}
    told: set[str] = set()
    for split in splits:
        for label in _folders(source / split):
            if label not in filled and label not in told:
                told.add(label)
                yield source / split / label, label


def _encodable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(folder: Path, seen: set[str]) -> tuple[list[str], list[str]]:
    """Files and folders in a folder, at any depth; a link that leads back to where one came from ends there."""
    real = os.path.realpath(folder)
    if real in seen:
        return [], []
    files, folders = [str(folder / name) for name in _files(folder)], [str(folder)]
    for name in _folders(folder):
        more = _walk(folder / name, seen | {real})
        files += more[0]
        folders += more[1]
    return files, folders


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and _meant(entry.name))


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir() and _meant(entry.name))


def _meant(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _LEFT_BEHIND
