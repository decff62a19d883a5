"""Pictures and sounds inside Parquet, as Hugging Face data sets hold them, are those that files would hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from cortigraph.train.data import DataError, Dataset, DataSpec, load
from cortigraph.train.data.kinds import check_any, seconds_to_load

from .conftest import RATE, Maker

Make = Callable[[], Maker]


def hugging(cells: Sequence[bytes | None], paths: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    """A column of `{bytes, path}`."""
    rows = [{"bytes": data, "path": path} for data, path in zip(cells, paths, strict=True)]
    return pa.array(rows, pa.struct({"bytes": kind, "path": pa.string()}))


def arrays(files: Sequence[Path]) -> pa.Array:
    """A column of decoded sounds."""
    rows = [{"array": soundfile.read(file)[0], "path": None, "sampling_rate": RATE} for file in files]
    kind = pa.struct({"array": pa.list_(pa.float64()), "path": pa.string(), "sampling_rate": pa.int64()})
    return pa.array(rows, kind)


WAYS: dict[str, Callable[[list[bytes], list[str]], pa.Array]] = {
    "struct": lambda cells, names: hugging(cells, names, pa.binary()),
    "large struct": lambda cells, names: hugging(cells, [None] * len(names), pa.large_binary()),
    "paths": lambda cells, names: hugging([None] * len(cells), names, pa.binary()),
    "some paths": lambda cells, names: hugging([c if i % 2 else None for i, c in enumerate(cells)], names, pa.binary()),
    "binary": lambda cells, names: pa.array(cells, pa.binary()),
    "large binary": lambda cells, names: pa.array(cells, pa.large_binary()),
    "whole numbers": lambda cells, names: pa.array([list(cell) for cell in cells], pa.list_(pa.int64())),
    "list": lambda cells, names: pa.array([list(cell) for cell in cells], pa.list_(pa.uint8())),
}


def table(made: Maker, column: pa.Array, metadata: dict[str, Any] | None = None) -> Path:
    """The samples' labels and this column, as Parquet."""
    found = pa.table({"held": column, "label": pa.array([int(row["label"]) for row in made.rows])})
    if metadata is not None:
        found = found.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(found, made.root / "t.parquet", row_group_size=7)
    return made.root / "t.parquet"


def loaded(made: Maker, cache: Path, name: str, **more: Any) -> Dataset:
    told = {"image": {"modality": "image"}, "audio": {"modality": "audio", "size": [16, 16]}}[name]
    spec = DataSpec.parse({"table": "t.parquet", "inputs": {name: {**told, "column": "held"}}, **more})
    check_any(spec, made.root)
    assert seconds_to_load(spec, made.root) > 0
    return load(spec, made.root, cache)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["image", "audio"])
def test_contents_are_what_files_would_hold(name: str, way: str, maker: Make, cache: Path) -> None:
    made = maker().samples(24)
    made.write()
    names = [row["image" if name == "image" else "sound"] for row in made.rows]
    table(made, WAYS[way]([(made.root / file).read_bytes() for file in names], names))
    found, files = loaded(made, cache, name), load(made.spec(name), made.root, cache)
    np.testing.assert_array_equal(found.inputs[name], files.inputs[name])
    assert found.classes == files.classes
    assert [path.name for path in cache.iterdir() if path.is_file() and path.suffix != ".lock"] == []


def test_decoded_sounds_are_taken(maker: Make, cache: Path) -> None:
    made = maker().samples(24)
    made.write()
    table(made, arrays([made.root / row["sound"] for row in made.rows]))
    files = load(made.spec("audio"), made.root, cache)
    np.testing.assert_allclose(loaded(made, cache, "audio").inputs["audio"], files.inputs["audio"], atol=1e-5)


@pytest.mark.parametrize("cell", [{"array": [[0.0, 1.0], [0.0]]}, {"array": [0.0], "sampling_rate": 0}])
def test_decoded_sounds_that_are_none_are_told(cell: dict[str, Any], maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    table(made, pa.array([{"sampling_rate": RATE, **cell}] * 12))
    with pytest.raises(DataError, match="row 1: the held of row 1 is not a sound that can be read"):
        loaded(made, cache, "audio", split={"fractions": [0.6, 0.2, 0.2]})


def test_names_of_classes_are_read(maker: Make, cache: Path) -> None:
    made = maker().samples(24)
    feature = {"_type": "ClassLabel", "names": ["bird", "cat", "dog"]}
    metadata = {"info": {"features": {"held": {"_type": "Image"}, "label": feature}}}
    table(made, WAYS["struct"]([(made.root / row["image"]).read_bytes() for row in made.rows], [""] * 24), metadata)
    data = loaded(made, cache, "image")
    assert data.classes == ["bird", "cat", "dog"]
    assert data.target[:3].tolist() == [0, 1, 2]
    feature["names"] = ["bird", "cat"]
    table(made, WAYS["struct"]([(made.root / row["image"]).read_bytes() for row in made.rows], [""] * 24), metadata)
    with pytest.raises(DataError, match=r"row 3: 'label' is 2, and the file names classes 0 to 1"):
        loaded(made, cache, "image")


def test_the_same_picture_in_two_splits_is_a_leak(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    cells = [(made.root / row["image"]).read_bytes() for row in made.rows]
    cells[11] = cells[0]
    splits = pa.array(["train"] * 6 + ["valid"] * 3 + ["test"] * 3)
    found = pa.table({"held": cells, "label": [row["label"] for row in made.rows], "split": splits})
    pq.write_table(found, made.root / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet row 1 and row 12: the same image is in two splits"):
        loaded(made, cache, "image", split={"column": "split"})


def test_what_is_wrong_is_told_by_row(maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    cells: list[bytes | None] = [(made.root / row["image"]).read_bytes() for row in made.rows]
    names: list[str | None] = [None] * 12
    cells[1] = b"no picture"
    cells[2], names[2] = cells[2][:70], "cut.png"  # type: ignore[index]
    cells[3] = None
    cells[4], names[4] = None, "../../secret.png"
    cells[5], names[5] = None, "missing.png"
    table(made, hugging(cells, names, pa.binary()))
    with pytest.raises(DataError) as caught:
        loaded(made, cache, "image")
    told = str(caught.value)
    for expected in (
        "row 4: 'held' is empty",
        "row 5: '../../secret.png' leads out of",
        "row 6: no file",
    ):
        assert f"t.parquet {expected}" in told
    for row, name in ((3, "cut.png"), (2, "")):
        cells[row], names[row] = cells[0], name
    for row in (3, 4, 5):
        cells[row], names[row] = (made.root / made.rows[row]["image"]).read_bytes(), None
    cells[2], names[2] = cells[0][:70], "cut.png"  # type: ignore[index]
    table(made, hugging(cells, names, pa.binary()))
    with pytest.raises(DataError) as caught:
        loaded(made, cache, "image")
    told = str(caught.value)
    assert "t.parquet row 2: the held of row 2 is not an image that can be read (unknown format)" in told
    assert "t.parquet row 3: cut.png is not an image that can be read" in told


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1}] * 12),
        pa.array([{"bytes": "text"}] * 12),
        pa.array([[[1.0]]] * 12),
        pa.array([True] * 12),
        pa.array([["x"]] * 12),
    ],
    ids=["struct", "bytes that are none", "lists", "bool", "texts"],
)
def test_a_column_of_something_else_is_told_once(column: pa.Array, maker: Make, cache: Path) -> None:
    made = maker().samples(12)
    table(made, column)
    with pytest.raises(
        DataError, match=r"data.inputs.image.column: t.parquet: column 'held' holds .*expected paths, or"
    ):
        loaded(made, cache, "image")
