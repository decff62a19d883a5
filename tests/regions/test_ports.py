"""Ports: their text form, and what fits what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.regions.ports import Axis, Port, check

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
AXES = st.lists(st.tuples(NAMES, st.none() | st.integers(1, 10**6)), max_size=4, unique_by=lambda axis: axis[0])
PORTS = st.builds(
    Port,
    name=NAMES,
    modality=st.sampled_from(["image", "audio", "text", "any"]),
    axes=AXES.map(lambda axes: tuple(Axis(name=name, size=size) for name, size in axes)),
    dtype=st.sampled_from(["float32", "int64"]),
    semantics=st.sampled_from(["raw", "map", "features", "logits"]),
)


@given(PORTS)
def test_text_round_trip(port):
    assert Port.parse(port.name, str(port)) == port


@given(PORTS)
def test_json_round_trip_and_fits_itself(port):
    assert Port.model_validate_json(port.model_dump_json()) == port
    assert port.fits(port)


def test_spaces_are_free():
    tight = Port.parse("x", "image[channel=1,height=*] float32 raw")
    assert Port.parse("x", "  image [ channel=1 ,  height=* ]  float32   raw ") == tight
    assert Port.parse("x", "any[] float32 features").axes == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image", "expected modality["),
        ("", "expected modality["),
        ("image[channel=1] float32", "expected modality["),
        ("video[channel=1] float32 raw", "unknown modality 'video'; choose one of image, audio, text, any"),
        ("image[channel=1] float16 raw", "unknown dtype 'float16'"),
        ("image[channel=1] float32 boxes", "unknown semantics 'boxes'"),
        ("image[channel=0] float32 raw", "got 'channel=0'"),
        ("image[channel=-1] float32 raw", "got 'channel=-1'"),
        ("image[channel] float32 raw", "got 'channel'"),
        ("image[a=1,] float32 raw", "got ''"),
        ("image[a=1,a=2] float32 raw", "the axis 'a' is there twice"),
    ],
)
def test_parse_says_what_is_wrong(text, told):
    with pytest.raises(InputError, match="port 'x'") as caught:
        Port.parse("x", text)
    assert told in str(caught.value)


def test_parse_lists_every_problem():
    with pytest.raises(InputError) as caught:
        Port.parse("x", "video[channel=no] float8 boxes")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("offered", "wanted", "told"),
    [
        ("audio[a=1] float32 raw", "image[a=1] float32 raw", "expected image, got audio"),
        ("any[a=1] float32 raw", "image[a=1] float32 raw", "expected image, got any"),
        ("image[a=1] float32 raw", "image[a=1] float32 features", "expected features, got raw"),
        ("image[a=1] int64 raw", "image[a=1] float32 raw", "expected float32, got int64"),
        ("image[a=1,b=2] float32 raw", "image[a=1] float32 raw", "expected the axes [a], got [a, b]"),
        ("image[b=1] float32 raw", "image[a=1] float32 raw", "expected the axes [a], got [b]"),
        ("image[a=2] float32 raw", "image[a=1] float32 raw", "expected a=1, got a=2"),
    ],
)
def test_misfits(offered, wanted, told):
    offered, wanted = Port.parse("o", offered), Port.parse("w", wanted)
    problems = check(offered, wanted, "node 'head'")
    assert len(problems) == 1
    assert problems[0].startswith(f"node 'head': {told}")
    assert ";" in problems[0]
    assert not offered.fits(wanted)


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        ("image[a=1] float32 raw", "image[a=*] float32 raw"),
        ("image[a=*] float32 raw", "image[a=1] float32 raw"),
        ("audio[class=10] float32 logits", "any[class=*] float32 logits"),
    ],
)
def test_fits(offered, wanted):
    assert Port.parse("o", offered).fits(Port.parse("w", wanted))


def test_sized():
    port = Port.parse("x", "image[channel=1,height=*,width=*] float32 raw")
    assert port.sized((1, 5, 6)).sizes == (1, 5, 6)
    with pytest.raises(InputError, match="3 axes"):
        port.sized((1, 5))
    with pytest.raises(InputError, match="expected channel=1, got channel=3"):
        port.sized((3, 5, 6))


def test_axes_differ():
    with pytest.raises(ValueError, match="its own name"):
        Port(name="x", modality="any", axes=(Axis(name="a"), Axis(name="a")))
