"""Pictures keep their values, whatever their depth; what is transparent lies on a ground that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cortigraph.graph.sums import SUMS
from cortigraph.train.data import DataError, Dataset, DataSpec, load
from cortigraph.train.data.image import ImageDecoder
from cortigraph.train.data.pixels import look_at, read_picture

from .images import encoded, noise, png16, rgb, tiff

DEEP = [
    ("16-bit", "grey PNG", png16, noise(3, 5, 1, top=65536, kind="u2")),
    ("16-bit", "RGB PNG", png16, noise(3, 5, 3, top=65536, kind="u2")),
    ("16-bit", "grey TIFF", tiff, noise(3, 5, top=4096, kind="u2")),
    ("16-bit", "RGB TIFF", tiff, noise(3, 5, 3, top=65536, kind="u2")),
    ("16-bit", "signed TIFF", tiff, noise(3, 5, top=60000).astype("i4").astype("i2")),
    ("32-bit", "unsigned TIFF", tiff, noise(3, 5, top=1 << 32, kind="u4")),
    ("32-bit", "signed TIFF", tiff, noise(3, 5, top=1 << 31, kind="i4") - (1 << 30)),
    ("float", "TIFF", tiff, noise(3, 5, top=1000).astype("f4") / 7 - 50),
]


@pytest.mark.parametrize(("depth", "what", "write", "pixels"), DEEP, ids=lambda value: str(value)[:12])
def test_deep_pictures_are_read_as_they_are(
    depth: str, what: str, write: Callable[..., bytes], pixels: np.ndarray
) -> None:
    content = write(pixels)
    picture, look = read_picture(content), look_at(content)
    assert picture.depth == depth
    assert look is not None
    assert (look.depth, look.height, look.width) == (depth, 3, 5)
    np.testing.assert_array_equal(picture.pixels, pixels if pixels.ndim == 3 else pixels[..., None])


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_of_deep_pictures_is_no_colour(channels: int) -> None:
    pixels = noise(3, 5, channels, top=65536, kind="u2")
    picture = read_picture(png16(pixels))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.pixels, pixels[..., : channels - 1])
    np.testing.assert_allclose(picture.alpha, pixels[..., -1] / 65535)


def test_the_levels_of_a_pnm_file_are_its_own() -> None:
    grey, colours = np.array([[0, 512], [1023, 7]]), noise(2, 2, 3, top=1024, kind="i4")
    for magic, pixels in (("P5", grey[..., None]), ("P6", colours)):
        content = f"{magic}\n2 2\n1023\n".encode() + pixels.astype(">u2").tobytes()
        np.testing.assert_array_equal(read_picture(content).pixels, pixels)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(noise(3, 4).astype("i1")), "signed 8-bit"),
        (tiff(noise(3, 4).astype("f8")), "TIFF of a kind that is not known"),
        (tiff(np.array([[0.0, np.nan, np.inf]], "f4")), "NaN or infinite values, 2 of them"),
        (b"P3\n1 1\n1023\n1 2 1023\n", "10 bits a channel"),
        (encoded(rgb(), "PNG")[:90], "truncated"),
        (b"", "unknown format"),
        (b"hello", "unknown format"),
    ],
)
def test_what_would_lose_values_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_picture(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr"])
def test_eight_bits_decode_as_pillow_converts_them(mode: str, tmp_path: Path) -> None:
    image = rgb().convert(mode)
    form = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    (tmp_path / "a").write_bytes(encoded(image, form))
    with Image.open(tmp_path / "a") as opened:
        for channels, to in ((1, "L"), (3, "RGB")):
            expected = np.asarray(opened.convert(to), np.float32) / 255
            decoded = ImageDecoder((8, 8), channels, "8-bit").decode(tmp_path / "a")
            np.testing.assert_allclose(
                decoded, expected[None] if channels == 1 else expected.transpose(2, 0, 1), atol=1e-6
            )


def test_a_turned_picture_stands_upright(tmp_path: Path) -> None:
    turn = Image.Exif()
    turn[0x0112] = 6
    upright = np.rot90(noise(8, 4, top=65536, kind="u2"), -1)
    for form in ("PNG", "TIFF"):
        content = encoded(Image.fromarray(noise(8, 4, top=65536, kind="u2")), form, exif=turn)
        np.testing.assert_array_equal(read_picture(content).pixels[..., 0], upright)


def described(folder: Path, pictures: Sequence[bytes], **more: object) -> DataSpec:
    """A data set of these pictures, two classes in turn; the split is told so that it is known."""
    lines = ["photo,label,split"]
    for index, content in enumerate(pictures):
        (folder / f"{index}.img").write_bytes(content)
        lines.append(f"{index}.img,{'ab'[index % 2]},{('train', 'train', 'valid', 'test')[index // 2 % 4]}")
    (folder / "t.csv").write_text("\n".join(lines))
    inputs = {"image": {"modality": "image", "column": "photo", **more}}
    return DataSpec.parse({"table": "t.csv", "inputs": inputs, "split": {"column": "split"}})


def loaded(folder: Path, cache: Path, pictures: Sequence[bytes], **more: object) -> Dataset:
    return load(described(folder, pictures, **more), folder, cache)


VALUES = [noise(6, 6, top=200 + index).astype("f4") for index in range(16)]


def test_one_range_holds_for_the_data_set_and_for_what_comes_later(tmp_path: Path, cache: Path) -> None:
    data = loaded(tmp_path, cache, [tiff(values) for values in VALUES])
    train = [VALUES[row] for row in data.rows("train")]
    low, high = min(values.min() for values in train), max(values.max() for values in train)
    assert data.notes == (f"image: float values, of which {low:.6g}…{high:.6g} (training rows) becomes 0…1",)
    given = data.transforms["image"].unscale(np.asarray(data.inputs["image"]))
    np.testing.assert_allclose(given[:, 0], (np.stack(VALUES) - low) / (high - low), atol=1e-5)
    again = Dataset.open(data.folder).transform_for("image")
    np.testing.assert_array_equal(again(tmp_path / "3.img"), data.inputs["image"][3])


def test_float_and_eight_bits_of_the_same_values_give_the_same(tmp_path: Path, cache: Path) -> None:
    eight = [encoded(Image.fromarray(values.astype("u1")), "PNG") for values in VALUES]
    kinds = {
        "png": eight,
        "tif": [tiff(values) for values in VALUES],
        "deep": [png16(v[..., None] * 16) for v in VALUES],
    }
    found = {}
    for name, pictures in kinds.items():
        (tmp_path / name).mkdir()
        found[name] = np.asarray(loaded(tmp_path / name, cache, pictures).inputs["image"])
    np.testing.assert_allclose(found["tif"], found["png"], atol=1e-4)
    np.testing.assert_allclose(found["deep"], found["png"], atol=1e-4)


def test_a_range_that_is_told_holds_for_all_depths(tmp_path: Path, cache: Path) -> None:
    mixed = [
        tiff(v) if index % 3 else encoded(Image.fromarray(v.astype("u1")), "PNG") for index, v in enumerate(VALUES)
    ]
    with pytest.raises(DataError, match=r"row 1: .*0\.img has 8-bit values, but what was learned from has float"):
        loaded(tmp_path, cache, mixed)
    data = loaded(tmp_path, cache, mixed, range=[0, 250])
    given = data.transforms["image"].unscale(np.asarray(data.inputs["image"]))
    np.testing.assert_allclose(given[:, 0], np.stack(VALUES) / 250, atol=1e-5)
    assert data.notes == ()


def test_another_scale_or_depth_is_told_later(tmp_path: Path, cache: Path) -> None:
    transform = loaded(tmp_path, cache, [tiff(values) for values in VALUES]).transform_for("image")
    for name, content, reason in (
        ("far.tif", tiff(VALUES[0] * 257), "far from the 1…209"),
        ("eight.png", encoded(rgb(), "PNG"), "has 8-bit values, but what was learned from has float"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=reason):
            transform(tmp_path / name)


def drawing(ink: int, index: int, alpha: int = 255) -> bytes:
    """Lines of one grey on a transparent ground, along or across."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    line = (index // 2) % 8
    where = (line, slice(None)) if index % 2 else (slice(None), line)
    pixels[where] = (ink, ink, ink, alpha)
    pixels[index // 4 % 8, index // 8] = (ink, ink, ink, alpha)
    return encoded(Image.fromarray(pixels), "PNG")


@pytest.mark.parametrize(("ink", "ground"), [(0, "white"), (90, "white"), (255, "black"), (200, "black")])
def test_a_drawing_lies_on_what_shows_it(ink: int, ground: str, tmp_path: Path, cache: Path) -> None:
    data = loaded(tmp_path, cache, [drawing(ink, index) for index in range(16)])
    assert data.notes == (
        f"image: transparent pictures are laid on {ground}, which contrasts with what is seen in the training rows",
    )
    given = data.transforms["image"].unscale(np.asarray(data.inputs["image"]))
    behind = {"white": 1.0, "black": 0.0}[ground]
    assert given[0, 0, 7, 7] == pytest.approx(behind, abs=1e-5)
    assert np.abs(given - behind).max() == pytest.approx(abs(ink / 255 - behind), abs=1e-5)


def test_a_ground_that_is_told_is_taken(tmp_path: Path, cache: Path) -> None:
    data = loaded(tmp_path, cache, [drawing(0, index) for index in range(16)], background="#ff0000", channels=3)
    assert data.notes == ("image: transparent pictures are laid on #ff0000, as told",)
    given = data.transforms["image"].unscale(np.asarray(data.inputs["image"]))
    np.testing.assert_allclose(given[0, :, 7, 7], (1, 0, 0), atol=1e-5)


def test_opaque_alpha_changes_nothing(tmp_path: Path, cache: Path) -> None:
    found = []
    for mode in ("RGB", "RGBA"):
        (tmp_path / mode).mkdir()
        pictures = [encoded(Image.fromarray(noise(6, 6, 3, top=90 + n)).convert(mode), "PNG") for n in range(16)]
        data = loaded(tmp_path / mode, cache, pictures)
        assert data.notes == ()
        found.append(np.asarray(data.inputs["image"]))
    np.testing.assert_array_equal(*found)


def test_transparency_that_nothing_told_of_is_refused(tmp_path: Path, cache: Path) -> None:
    opaque = [encoded(Image.fromarray(noise(6, 6, 3, top=90 + n)), "PNG") for n in range(16)]
    spec = described(tmp_path, opaque)
    transform = load(spec, tmp_path, cache).transform_for("image")
    (tmp_path / "clear.png").write_bytes(drawing(0, 1))
    with pytest.raises(DataError, match="has transparent pixels, and no picture of the training rows has"):
        transform(tmp_path / "clear.png")


def test_several_frames_are_told(tmp_path: Path, cache: Path) -> None:
    pictures = [encoded(Image.fromarray(noise(6, 6, 3, top=90 + n)), "GIF") for n in range(16)]
    pictures[2] = encoded(rgb(), "GIF", save_all=True, append_images=[rgb().rotate(90)])
    assert loaded(tmp_path, cache, pictures).notes == ("image: 1 of several frames: the first is used",)


def test_what_was_decoded_before_opens_and_predicts_the_same(tmp_path: Path, cache: Path) -> None:
    spec = described(tmp_path, [png16(v[..., None] * 250) for v in VALUES])
    data = load(spec, tmp_path, cache)
    told = json.loads((data.folder / "dataset.json").read_text())
    told["format"] = 1
    for name in ("depth", "range", "background"):
        del told["transforms"]["image"]["decoder"][name]
    (data.folder / "dataset.json").write_text(json.dumps(told))
    (data.folder / SUMS).unlink()  # as it was before there were any
    before = Dataset.open(data.folder).transform_for("image").decoder
    np.testing.assert_allclose(before.decode(tmp_path / "5.img")[0], VALUES[5] * 250 / 65535, atol=1e-6)
    (tmp_path / "float.tif").write_bytes(tiff(VALUES[0]))
    with pytest.raises(DataError, match="values up to 1"):
        before.decode(tmp_path / "float.tif")
    again = load(spec, tmp_path, cache)
    assert again.transforms == data.transforms, "it is decoded anew"


def test_pictures_of_eight_bits_keep_their_fingerprint(tmp_path: Path, cache: Path) -> None:
    """As it was before there were ranges and grounds: searches and data sets in the graph go by it."""
    data = loaded(tmp_path, cache, [encoded(Image.fromarray(noise(6, 6, top=90 + n)), "PNG") for n in range(16)])
    assert isinstance(data.transforms["image"].decoder, ImageDecoder)
    assert data.transforms["image"].decoder.rules == {}
