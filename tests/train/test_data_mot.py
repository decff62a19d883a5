"""MOTChallenge folders: what is read, what is counted, and that everything wrong is told by file and line."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cortigraph.train.data import DataError
from cortigraph.train.data.mot import MotSpec, load_mot, read_mot

from .real_data import DATA, needs_data

INFO = "[Sequence]\nname={name}\nimDir=img1\nframeRate=25\nseqLength={length}\nimWidth=640\nimHeight=480\nimExt=.jpg\n"


def sequence(
    root: Path,
    name: str = "S-01",
    length: int = 5,
    truth: str | None = "1,1,10,20,30,60,1,1,0.5\n2,1,12,20,30,60,1,1,1\n2,2,5,5,9,9,0,7,1\n",
    detections: dict[str, str] | None = None,
) -> Path:
    place = root / name
    for folder in ("gt", "det"):
        (place / folder).mkdir(parents=True)
    (place / "seqinfo.ini").write_text(INFO.format(name=name, length=length))
    if truth is not None:
        (place / "gt" / "gt.txt").write_text(truth)
    for file, told in (detections or {"det.txt": "3,-1,1,2,3,4,0.5\n1,-1,1,2,3,4,0.9\n"}).items():
        (place / "det" / file).write_text(told)
    return place


def said(folder: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_mot(folder)
    return list(caught.value.problems)


def test_columns_are_read_and_sorted_by_frame(tmp_path: Path) -> None:
    sequence(tmp_path, detections={"det-DPM.txt": "3,-1,1,2,3,4,0.5,-1,-1,-1\n1,-1,1.5,2,3,4,-0.4,-1,-1,-1\n"})
    (one,) = read_mot(tmp_path)
    assert (one.name, one.length, one.rate, one.size) == ("S-01", 5, 25.0, (640, 480))
    assert one.truth.frame.tolist() == [1, 2, 2]
    assert len(one.truth.evaluated()) == 2
    assert one.truth.kind.tolist() == [1, 1, 7]
    assert one.truth.visibility.tolist() == [0.5, 1, 1]
    assert one.truth.at(2).id.tolist() == [1, 2]
    assert one.truth.at(1).xywh.tolist() == [[10, 20, 30, 60]]
    assert list(one.detections) == ["DPM"]
    seen = one.detections["DPM"]
    assert (seen.frame.tolist(), seen.score.tolist(), seen.kind.tolist()) == ([1, 3], [-0.4, 0.5], [-1, -1])
    assert len(seen.at(2)) == 0
    assert one.images is None
    assert not one.missing


def test_a_sequence_may_stand_alone_and_files_be_packed(tmp_path: Path) -> None:
    place = sequence(tmp_path)
    plain = read_mot(place)[0].digest
    for path in (place / "gt" / "gt.txt", place / "det" / "det.txt"):
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (packed,) = read_mot(place)
    assert packed.digest == plain, "of content, not of how it is packed"
    assert len(packed.truth) == 3


def test_ten_columns_of_ground_truth_are_pedestrians(tmp_path: Path) -> None:
    sequence(tmp_path, truth="1,1,10,20,30,60,1,-1,-1,-1\n2,1,10,20,30,60,1,-1,-1,-1\n")
    assert len(read_mot(tmp_path)[0].truth.evaluated()) == 2


def test_a_test_sequence_has_no_ground_truth(tmp_path: Path) -> None:
    sequence(tmp_path, truth=None)
    data = load_mot(MotSpec(motchallenge=tmp_path), tmp_path)
    assert (data.facts["boxes"], data.facts["tracks"], data.facts["detections"]) == (0, 0, 2)
    assert np.isfinite(data.statistics).all()


def test_missing_frames_are_told_and_missing_images_allowed(tmp_path: Path) -> None:
    place = sequence(tmp_path)
    (place / "img1").mkdir()
    for frame in (1, 2, 4, 5):
        (place / "img1" / f"{frame:06}.jpg").write_bytes(b"x")
    (one,) = read_mot(tmp_path)
    assert one.missing == (3,)
    assert "5 frames (1 without an image)" in load_mot(MotSpec(motchallenge=tmp_path), tmp_path).description
    packed = sequence(tmp_path, "S-02")
    with tarfile.open(packed / "img1.tar", "w") as archive:
        for frame in (1, 5):
            archive.addfile(tarfile.TarInfo(f"img1/{frame:06}.jpg"), io.BytesIO())
    assert read_mot(tmp_path)[1].missing == (2, 3, 4)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    rows = [
        "1,1,10,20,30,60,1,1,1",
        "",
        "9,1,10,20,30,60,1,1,1",  # beyond the end
        "2,1,10,20,-30,60,1,1,1",  # negative size
        "1,1,11,20,30,60,1,1,1",  # the same track again
        "1.5,2,10,20,30,60,1,1,1",
        "2,nan,10,20,30,60,1,1,1",
        "3,-1,10,20,30,60,1,1,1",
    ]
    gt = sequence(tmp_path, truth="\n".join(rows)) / "gt" / "gt.txt"
    det = sequence(tmp_path, "S-02", detections={"det.txt": "1,-1,1,2,3,4,0.5\n1,-1,x,2,3,4,0.5\n1,-1,1\n"}) / "det"
    (tmp_path / "S-03").mkdir()
    assert said(tmp_path) == [
        f"{gt}:7: a value is not finite",
        f"{gt}:6: frame 1.5 and id 2; expected whole numbers",
        f"{gt}:3: frame 9 is not within 1 to 5",
        f"{gt}:4: size -30 × 60; expected more than 0",
        f"{gt}:8: id -1; expected one from 0, ground truth has tracks",
        f"{gt}:5: id 1 is in frame 1 twice",
        f"{det / 'det.txt'}:2: 'x' is not a number",
        f"{det / 'det.txt'}:3: 3 columns, but line 1 has 7",
        f"{tmp_path / 'S-03'}: no seqinfo.ini; expected [Sequence] with frameRate, seqLength, imWidth, imHeight",
    ]


def test_many_rows_of_one_kind_are_counted(tmp_path: Path) -> None:
    sequence(tmp_path, truth="".join(f"99,{number},1,2,3,4,1,1,1\n" for number in range(1, 51)))
    found = said(tmp_path)
    assert len(found) == 11
    assert found[-1].endswith("gt.txt: 40 more rows like the last")


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ("[Sequence]\nframeRate=25\nimWidth=0\nimHeight=tall\n", "seqLength is None; expected a number above 0"),
        ("[Other]\n", "no section [Sequence]"),
        ("no section", "cannot be read"),
    ],
)
def test_a_wrong_seqinfo_is_told(tmp_path: Path, info: str, says: str) -> None:
    (sequence(tmp_path) / "seqinfo.ini").write_text(info)
    assert any(says in problem for problem in said(tmp_path))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (b"\xff\xfe1,2", "not UTF-8 text"),
        (gzip.compress(b"1,1,10,20,30,60,1,1,1\n" * 50, mtime=0)[:-9], "cannot be read: Compressed file ended"),
        (b"1,1,10,20,30\n", ":1: 5 columns; expected 7 to 10"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, told: bytes, says: str) -> None:
    gt = sequence(tmp_path, truth=None) / "gt"
    (gt / ("gt.txt.gz" if told[:2] == b"\x1f\x8b" else "gt.txt")).write_bytes(told)
    assert len(found := said(tmp_path)) == 1
    assert says in found[0]


def test_two_files_for_one_thing_are_refused(tmp_path: Path) -> None:
    place = sequence(tmp_path, detections={"det-A.txt": "", "det_A.txt": ""})
    (place / "gt" / "gt.txt.gz").write_bytes(gzip.compress(b""))
    found = "\n".join(said(tmp_path))
    assert "gt.txt and gt.txt.gz are both there" in found
    assert "says the same detector 'A'" in found


def test_no_link_leads_out_of_a_sequence(tmp_path: Path) -> None:
    place = sequence(tmp_path / "mot", truth=None)
    (tmp_path / "secret.txt").write_text("1,1,1,1,1,1,1,1,1")
    (place / "gt" / "gt.txt").symlink_to(tmp_path / "secret.txt")
    (place / "seqinfo.ini").write_text(INFO.format(name="x", length=5).replace("img1", "../.."))
    assert sum("leads out of" in problem for problem in said(tmp_path / "mot")) == 2


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    assert "has no sequences" in said(tmp_path)[0]
    assert "no folder" in said(tmp_path / "none")[0]
    place = sequence(tmp_path, truth=None)
    (place / "det" / "det.txt").unlink()
    assert "there is nothing in it" in said(tmp_path)[0]


def test_sequences_are_divided_by_name(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        sequence(tmp_path, f"S-0{number}")
    whole = load_mot(MotSpec.parse({"motchallenge": "."}), tmp_path)
    data = load_mot(MotSpec.parse({"motchallenge": ".", "split": {"valid": ["S-02"], "test": ["S-03"]}}), tmp_path)
    assert data.splits == {"S-01": "train", "S-02": "valid", "S-03": "test"}
    assert data.fingerprint != whole.fingerprint
    with pytest.raises(DataError) as caught:
        load_mot(MotSpec.parse({"motchallenge": ".", "split": {"train": ["S-01"], "test": ["S-9"]}}), tmp_path)
    assert len(caught.value.problems) == 3
    for wrong in ({"column": "x"}, {"valid": 0.2}, {"group": "x"}):
        with pytest.raises(DataError, match="divided by name"):
            MotSpec.parse({"motchallenge": ".", "split": wrong})


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    place = sequence(tmp_path)
    spec = MotSpec(motchallenge=Path())
    before = load_mot(spec, tmp_path).fingerprint
    assert load_mot(spec, tmp_path).fingerprint == before
    gt = place / "gt" / "gt.txt"
    gt.write_text(gt.read_text().replace("12,20", "13,20"))
    assert load_mot(spec, tmp_path).fingerprint != before


@needs_data("mot/MOT17")
def test_mot17_is_counted_as_published() -> None:
    data = load_mot(MotSpec(motchallenge=Path("mot/MOT17")), DATA)
    facts = data.facts
    assert (len(data.sequences), facts["frames"], facts["boxes"], facts["tracks"]) == (7, 5316, 112_297, 546)
    assert facts["boxes_all"] == 204_701
    found = {row["name"]: sorted(row["detectors"]) for row in json.loads(facts["by_sequence"])}
    assert found == {each.name: ["DPM"] + ["FRCNN"] * (each.name[-2:] in ("02", "04")) for each in data.sequences}
    assert all((np.diff(boxes.frame) >= 0).all() for each in data.sequences for boxes in each.detections.values())


@needs_data("mot/PETS09-S2L1")
def test_pets_is_counted_as_published() -> None:
    data = load_mot(MotSpec(motchallenge=Path("mot/PETS09-S2L1")), DATA)
    assert (data.facts["boxes"], data.facts["tracks"], data.facts["frames"]) == (4650, 19, 795)
    assert data.sequences[0].missing == (689,)
    assert data.facts["detectors"] == ["apennisi", "frcnn_sort"]
    assert set(data.sequences[0].detections["apennisi"].score) == {1.0}


@needs_data("mot/MOT17-mini-frames")
def test_frames_without_seqinfo_are_refused() -> None:
    assert len(said(DATA / "mot" / "MOT17-mini-frames")) == 2
