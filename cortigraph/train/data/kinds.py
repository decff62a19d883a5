"""The kinds of data sets, as one: samples with labels, and sequences with boxes. What works on both.

DataSpec → load      → Dataset       images, sounds and texts, each sample with its class
MotSpec  → load_mot  → Tracking      MOTChallenge sequences
"""

from __future__ import annotations

from pathlib import Path

from cortigraph.train.data.dataset import Dataset
from cortigraph.train.data.files import Progress
from cortigraph.train.data.load import load
from cortigraph.train.data.mot.sequence import folders_of
from cortigraph.train.data.mot.tracking import MotSpec, Tracking, load_mot
from cortigraph.train.data.problems import Problems
from cortigraph.train.data.sources import find_sources
from cortigraph.train.data.spec import DataSpec
from cortigraph.train.data.table import check_cells, list_samples

__all__ = ["AnyData", "AnySpec", "check_any", "load_any", "seconds_to_load"]

AnySpec = DataSpec | MotSpec
AnyData = Dataset | Tracking

# Samples a second, measured on two cores, rounded: PNGs of 64 × 64, clips of one second, texts of ten words.
_RATES = {"image": 1000.0, "audio": 300.0, "text": 4000.0}
_SEQUENCE_SECONDS = 0.3  # 46,000 rows of boxes, the mean of MOT17


def load_any(spec: AnySpec, base: Path, cache: Path, progress: Progress | None = None) -> AnyData:
    """Reads and checks what a spec describes.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in it start from.
        cache: Folder for decoded samples; sequences are read anew.
        progress: Told what is done, how many are done, of how many.

    Returns:
        The data set.

    Raises:
        DataError: Everything that is wrong with it, at once.
    """
    if isinstance(spec, MotSpec):
        return load_mot(spec, base)
    return load(spec, base, cache, progress)


def check_any(spec: AnySpec, base: Path) -> None:
    """What shows without decoding: that samples are listed, and their files there; of sequences, everything.

    Args:
        spec: What the user wrote.
        base: Folder that relative paths in it start from.

    Raises:
        DataError: Everything that is wrong with it, at once.
    """
    if isinstance(spec, MotSpec):
        load_mot(spec, base)
        return
    problems = Problems()
    listing = list_samples(spec, base)
    check_cells(listing, problems)
    find_sources(spec, listing, problems)
    problems.check()


def seconds_to_load(spec: AnySpec, base: Path) -> float:
    """How long `load_any` takes if nothing of it was decoded before, by rates that were measured."""
    if isinstance(spec, MotSpec):
        return _SEQUENCE_SECONDS * len(folders_of(base / spec.motchallenge.expanduser()))
    samples = len(list_samples(spec, base))
    return sum(samples / _RATES[item.modality] for item in spec.inputs.values())
