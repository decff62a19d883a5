"""Checksums of folders, and the look at all of a home."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from cortigraph.graph.check import damaged
from cortigraph.graph.errors import StoreError
from cortigraph.graph.home import Home
from cortigraph.graph.sums import SUMS, DamagedError, Sums, write_sums
from cortigraph.ingest.batches.archive import Archive, save
from cortigraph.ingest.elements import Elements, NodeKind


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 4
    path.write_bytes(content)


def test_a_folder_says_what_its_files_must_hold(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    assert Sums(tmp_path, "mend it").check("a") == tmp_path / "a"  # of an earlier version
    write_sums(tmp_path)
    digest = hashlib.sha256(b"one").hexdigest()
    assert (tmp_path / SUMS).read_text() == f"{digest}  a\n"
    assert Sums(tmp_path, "mend it").check("a") == tmp_path / "a"
    (tmp_path / "a").write_text("two")
    with pytest.raises(DamagedError, match=f"a is damaged: expected sha256 {digest}, got [0-9a-f]{{64}}; mend it"):
        Sums(tmp_path, "mend it").check("a")
    with pytest.raises(DamagedError, match="is damaged"):
        Sums(tmp_path, "mend it").check(SUMS)  # nothing that it does not speak of


@pytest.mark.parametrize("place", range(0, 68, 5))
def test_damage_to_the_checksums_is_told(tmp_path: Path, place: int) -> None:
    (tmp_path / "a").write_text("one")
    write_sums(tmp_path)
    _flip(tmp_path / SUMS, place)
    with pytest.raises(DamagedError):
        Sums(tmp_path, "mend it").check("a")


@pytest.mark.parametrize("place", range(0, 1000, 83))
def test_the_archive_of_a_batch(tmp_path: Path, place: int) -> None:
    home = Home(tmp_path)
    kind = NodeKind("Entity")
    elements = Elements({kind: pa.table({"key": ["a", "b"], "name": ["A", "B"]})})
    archive = save(home, {"key": "job/1"}, {"asserted": elements})
    archive.note("7")
    assert Archive.open(home, "job/1").version == "7"
    assert damaged(home) == []
    for name in ("manifest.json", "asserted-0.parquet"):
        whole = (archive.folder / name).read_bytes()
        _flip(archive.folder / name, place)
        with pytest.raises(StoreError, match=r"is damaged: expected sha256 .* restore a backup of the home"):
            Archive.open(home, "job/1").table(kind)
        (problem,) = damaged(home)
        assert problem.key == str(archive.folder / name)
        (archive.folder / name).write_bytes(whole)


def test_weights_are_looked_at(tmp_path: Path) -> None:
    home = Home(tmp_path)
    digest = hashlib.sha256(b"weights").hexdigest()
    path = home.weights / digest[:2] / f"{digest}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert damaged(home) == []
    path.write_bytes(b"weighty")
    assert str(damaged(home)[0]).startswith(f"File {path} is damaged: expected sha256 {digest}")
