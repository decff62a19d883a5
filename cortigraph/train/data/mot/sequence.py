"""The sequences of a MOTChallenge folder: each with its facts, its ground truth and what detectors saw.

MOT17/MOT17-02/seqinfo.ini              name, frames, rate, size
               gt/gt.txt[.gz]           ground truth; a test sequence has none
               det/det-DPM.txt[.gz]     any number of detectors
               img1/000001.jpg          frames, or img1.tar; may be absent
"""

from __future__ import annotations

import configparser
import hashlib
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cortigraph.train.data.mot.rows import Boxes, parse_boxes, read_bytes
from cortigraph.train.data.problems import DataError, Problems

__all__ = ["MotSequence", "files_of", "folders_of", "read_mot"]

_INFO = "seqinfo.ini"
_WANTED: dict[str, Callable[[str], float]] = {"frameRate": float, "seqLength": int, "imWidth": int, "imHeight": int}
_DETECTOR = re.compile(r"^det[-_]?(?P<name>.*?)\.txt(\.gz)?$")
_FRAME = re.compile(r"^0*(?P<number>\d+)$")


@dataclass(frozen=True)
class MotSequence:
    """One video, without its pixels.

    Args:
        name: Of its folder.
        folder: Where it lies.
        length: How many frames it has.
        rate: Frames a second.
        size: Width and height in pixels.
        truth: Ground truth, all rows; `truth.evaluated()` are those that count. Empty for a test sequence.
        detections: Detector → what it saw.
        images: Folder or tar archive of the frames; None where they are absent.
        missing: Frames that `images` lacks.
        digest: 64 hexadecimal digits, of all the above; the same whether files are packed or not.
    """

    name: str
    folder: Path
    length: int
    rate: float
    size: tuple[int, int]
    truth: Boxes
    detections: dict[str, Boxes]
    images: Path | None
    missing: tuple[int, ...]
    digest: str


def read_mot(folder: Path) -> list[MotSequence]:
    """Reads a folder of sequences, or one that is a sequence itself.

    Args:
        folder: Where it lies.

    Returns:
        The sequences, sorted by name.

    Raises:
        DataError: Everything that is wrong with it, by file and line.

    Example:
        `[(each.name, len(each.truth.evaluated())) for each in read_mot(Path("mot/MOT17"))]`
    """
    problems = Problems()
    found = [problems.attempt(lambda place=place: _read(place)) for place in folders_of(folder)]  # type: ignore[misc]
    problems.check()
    return [each for each in found if each is not None]


def folders_of(folder: Path) -> list[Path]:
    """The folder of each sequence.

    Raises:
        DataError: There is none.
    """
    if not folder.is_dir():
        raise DataError(f"data.motchallenge: no folder {folder}")
    if any((folder / name).exists() for name in (_INFO, "gt", "det")):
        return [folder]
    inside = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    if not inside:
        raise DataError(f"data.motchallenge: {folder} has no sequences; expected a folder each, with {_INFO}")
    return inside


def files_of(place: Path) -> list[Path]:
    """The files of a sequence that are read, and the folders whose time tells that one came or went."""
    inside = [place, place / _INFO, place / "gt", place / "det", place / "img1", place / "img1.tar"]
    return [*inside, *sorted((place / "gt").glob("gt.txt*")), *sorted((place / "det").glob("det*.txt*"))]


def _read(place: Path) -> MotSequence:
    problems, digest = Problems(), hashlib.sha256()
    info = _info(place, problems)
    problems.check()  # without the length no row can be judged
    length = int(info["seqLength"])
    truth = Boxes.none()
    truths, detectors = _packed_or_not(place, "gt/gt.txt*", problems), _detectors(place, problems)
    if not (truths or detectors):
        problems.add(f"{place}: neither gt/gt.txt nor det/det*.txt, plain or with .gz; there is nothing in it")
    for path in truths:
        truth = _boxes(place, path, length, problems, digest, truth=True)
    detections = {name: _boxes(place, path, length, problems, digest, truth=False) for name, path in detectors.items()}
    images, missing = _images(place, info["imDir"], length, problems)
    problems.check()
    told = [place.name, length, float(info["frameRate"]), info["imWidth"], info["imHeight"], sorted(detections)]
    digest.update(repr([*told, images is not None, missing]).encode())
    size = (int(info["imWidth"]), int(info["imHeight"]))
    rate = float(info["frameRate"])
    return MotSequence(place.name, place, length, rate, size, truth, detections, images, missing, digest.hexdigest())


def _info(place: Path, problems: Problems) -> dict[str, str]:
    path = place / _INFO
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if not path.is_file():
            raise DataError(f"{place}: no {_INFO}; expected [Sequence] with {', '.join(_WANTED)}")
        _within(place, path)
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        told = dict(parser["Sequence"])
    except DataError as error:
        problems.add(str(error))
        return {}
    except KeyError:
        problems.add(f"{path}: no section [Sequence]")
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        problems.add(f"{path} cannot be read: {' '.join(str(error).split())}")
        return {}
    for key, number in _WANTED.items():
        value = told.get(key.lower())  # the parser makes keys lower case
        if value is None or not _positive(value, number):
            problems.add(f"{path}: {key} is {value if value is None else repr(value)}; expected a number above 0")
    return {key: told.get(key.lower(), "") for key in _WANTED} | {"imDir": told.get("imdir") or "img1"}


def _positive(text: str, number: Callable[[str], float]) -> bool:
    try:
        return 0 < number(text) < 1e9
    except ValueError:
        return False


def _detectors(place: Path, problems: Problems) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted((place / "det").glob("det*.txt*")):
        match = _DETECTOR.match(path.name)
        if match is None:
            continue
        name = match["name"] or "det"
        if name in found:
            problems.add(f"{path}: {found[name].name} says the same detector {name!r}; keep one of them")
        found[name] = path
    return found


def _packed_or_not(place: Path, pattern: str, problems: Problems) -> list[Path]:
    found = [path for path in sorted(place.glob(pattern)) if path.name in ("gt.txt", "gt.txt.gz")]
    if len(found) > 1:
        problems.add(f"{place}: gt.txt and gt.txt.gz are both there; keep one of them")
    return found[:1]


def _boxes(place: Path, path: Path, length: int, problems: Problems, digest: hashlib._Hash, *, truth: bool) -> Boxes:
    def read() -> bytes:
        _within(place, path)
        return read_bytes(path)

    told = problems.attempt(read)
    if told is None:
        return Boxes.none()
    digest.update(f"{path.name.removesuffix('.gz')}\0{len(told)}\0".encode() + told)
    return parse_boxes(told, path, length, problems, truth=truth)


def _images(place: Path, named: str, length: int, problems: Problems) -> tuple[Path | None, tuple[int, ...]]:
    """Where the frames are, and which are not there."""
    folder, archive = place / named, place / f"{named}.tar"
    try:
        if folder.is_dir():
            _within(place, folder)
            names, images = [each.name for each in folder.iterdir()], folder
        elif archive.is_file():
            _within(place, archive)
            with tarfile.open(archive) as opened:  # names only: nothing is unpacked
                names, images = [Path(each).name for each in opened.getnames()], archive
        else:
            return None, ()
    except DataError as error:
        problems.add(str(error))
        return None, ()
    except (OSError, tarfile.TarError) as error:
        problems.add(f"{archive} cannot be read: {error}")
        return None, ()
    matches = [_FRAME.match(Path(name).stem) for name in names if not name.startswith(".")]
    there = {int(match["number"]) for match in matches if match is not None}
    return images, tuple(sorted(set(range(1, length + 1)) - there))


def _within(place: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(place.resolve()):
        raise DataError(f"{path} leads out of {place}")
