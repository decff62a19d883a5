"""What a job document says: text as it was written, constants that the store can hold, and no traceback."""

from __future__ import annotations

import copy
import datetime
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job, load_job
from cortigraph.reasoning.pathway.scene import Scene

from .conftest import written

# What YAML has ideas about.
IDEAS = ["no", "on", "y", "1.10", "0123456", "12:30:45", "2023-01-02", "1_000", ".5", "0x1F", "1e3", "~", "null", "007"]


@pytest.mark.parametrize("text", IDEAS)
def test_text_is_as_it_was_written_wherever_text_is_meant(tmp_path, text):
    job = load_job(
        written(
            tmp_path,
            f"""
            job: ideas
            sources:
              s:
                {{path: [{text}], header: [{text}], missing: [{text}], types: {{{text}: text}},
                 unpivot: {{keep: [{text}], name: b, value: c}}}}
            nodes:
              - source: s
                key: id
                labels: [{text}]
                embed: [{text}]
                having: [{text}]
                where: {{{text}: [{text}]}}
                properties: {{{text}: {{column: a, map: {{{text}: {text}}}}}}}
            relationships:
              - {{source: s, type: T, types: [{text}], start: a, end: b}}
            """,
        )
    )
    source, [node], [edge] = job.sources["s"], job.nodes, job.relationships
    assert source.path == source.header == source.missing == [text]
    assert source.types == {text: "text"}
    assert source.unpivot.keep == [text]
    assert node.labels == node.embed == node.having == edge.types == (text,)
    assert node.where == {text: (text,)}
    assert node.properties[text].map == {text: text}


def test_ids_names_and_splits_need_no_quotes(tmp_path):
    job = load_job(
        written(
            tmp_path,
            "job: 007\nmax_rejects: 10\nbuilt_in: false\n"
            "regions:\n  - {like: fusion/average, id: 001, name: 1.10, description: ~}\n",
        )
    )
    [region] = job.regions
    assert (job.job, job.max_rejects, region.key, region.name, region.description) == (
        "007", 10, "fusion/001", "1.10", None,
    )  # fmt: skip


def test_numbers_are_numbers_where_a_number_is_meant(tmp_path):
    job = load_job(
        written(
            tmp_path,
            "job: j\nmax_rejects: '3'\nregions:\n"
            "  - {like: vision.recognition/001, id: 9, arguments: {width: 16}, trainable: no, shapes: [[1, 28, 28]]}\n",
        )
    )
    [region] = job.regions
    assert (job.max_rejects, region.arguments, region.trainable, region.shapes) == (
        3,
        {"width": 16},
        False,
        ((1, 28, 28),),
    )


def test_a_scene_takes_text_as_written(tmp_path):
    path = written(
        tmp_path,
        """
        text: 1.10
        data:
          table: t.csv
          inputs: {image: {modality: image, column: on, channels: 3, size: [8, 8]}}
          target: no
          split: {column: 2, test: [no, 05], valid: 0.2}
        regions: {image: [001]}
        budget: {trials: 3}
        """,
        "scene.yaml",
    )
    scene = Scene.load(path)
    assert (scene.text, scene.regions, scene.budget.trials) == ("1.10", {"image": ("001",)}, 3)
    assert scene.data is not None
    assert (scene.data.target, scene.data.split.test, scene.data.split.share) == ("no", ("no", "05"), 0.2)
    assert (scene.data.inputs["image"].column, scene.data.inputs["image"].channels) == ("on", 3)


JOB = "job: j\nsources: {a: {path: a.csv}}\nnodes:\n  - source: a\n    key: id\n    properties:\n      n: {value: %s}\n"


@pytest.mark.parametrize(
    ("written_so", "value"),
    [
        ("5", 5), ('"5"', "5"), ("-0.5", -0.5), ("true", True), ("no", "no"), ("2023-01-02", "2023-01-02"),
        ("12:30:45", "12:30:45"), ("0123456", "0123456"), ("1_000", "1_000"), ("0x1F", "0x1F"),
        ("[no, en]", ["no", "en"]), ("[1, 2.5]", [1.0, 2.5]), ("[true, false]", [True, False]),
        ("9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_a_constant_is_what_it_says(tmp_path, written_so, value):
    cell = load_job(written(tmp_path, JOB % written_so)).nodes[0].properties["n"]
    assert cell.value == value
    assert type(cell.value) is type(value)


@pytest.mark.parametrize(
    ("written_so", "told"),
    [
        ("12345678901234567890", "does not fit in 64 bits"),
        ("-9223372036854775809", "does not fit in 64 bits"),
        ("9" * 6000, "expected a finite number"),
        ("{a: 1}", "can't hold a map"),
        ("[[1]]", "can't hold a list within a list"),
        ("[{a: 1}]", "can't hold a map"),
        ("[1, a]", "whole numbers and texts"),
        ("[true, 1]", "truth values and whole numbers"),
        ("[]", "an empty list"),
        ("[null]", "can't hold nothing"),
        (".nan", "expected a finite number"),
        ("[-.inf]", "expected a finite number"),
        ("1e400", "expected a finite number"),
        ('"a\\0b"', "NUL"),
        ("x" * 200_000, "up to 100,000 characters"),
        ("1.10", 'write 1.1, or "1.10" in quotes'),
        ("1e3", 'write 1000.0, or "1e3" in quotes'),
        (".5", 'write 0.5, or ".5" in quotes'),
        ("True", 'write true, or "True" in quotes'),
        ("0.1000000000000000055", "write 0.1, or"),
        ("!!binary aGk=", "the tag"),
        ("null", "give one of column, template, value"),
    ],
)
def test_what_a_constant_can_not_be_is_told_with_its_line(tmp_path, written_so, told):
    with pytest.raises(InputError) as caught:
        load_job(written(tmp_path, JOB % written_so))
    [problem] = caught.value.problems
    assert "job.yaml:7: " in problem
    assert told in problem
    assert len(problem) < 500


@pytest.mark.parametrize(
    "value",
    [pytest.param(10**5000, id="huge"), datetime.date(2023, 1, 2), object(), "\ud800", {1: 2}, [b"x"], float("nan")],
)
def test_constants_from_python_are_checked_too(value):
    with pytest.raises(InputError, match=r"job 'j': nodes\.0\.properties\.n\.value"):
        Job.parse({"job": "j", "nodes": [{"source": "a", "key": "id", "properties": {"n": {"value": value}}}]})


WHOLE: dict[str, Any] = {
    "job": "fuzz",
    "description": "",
    "built_in": False,
    "max_rejects": 1,
    "areas": [{"key": "a.b", "name": "A", "accepts": {"x": "image[channel=1] float32 raw"}}],
    "regions": [{"like": "fusion/average", "id": "x", "arguments": {"width": 1}, "shapes": [[1, 2]]}],
    "datasets": [{"key": "d", "folder": "d", "inputs": {"image": {"modality": "image", "size": [8, 8]}}}],
    "sources": {
        "s": {"path": "s.csv", "types": {"a": "int"}, "missing": [""]},
        "u": {"path": "u.csv", "unpivot": {"keep": ["a"], "name": "n", "value": "v"}},
    },
    "nodes": [
        {"source": "s", "key": "{a}/{b}", "labels": ["L"], "properties": {"p": {"value": 1}}, "where": {"a": "x"}},
    ],
    "relationships": [
        {"source": "s", "type": {"column": "t"}, "start": "a", "end": {"label": "Region", "key": "b", "area": "v.x"},
         "key": {"row": True}, "properties": {"w": {"column": "w", "scale": 0.5}}}
    ],
    "results": [{"source": "s", "area": "v.x", "model": "m", "datasets": ["a"], "metric": "accuracy", "scale": 0.01}],
    "cards": [{"folder": "c", "area": "v.x"}],
}  # fmt: skip

ODD = ["", "\x00", "a\x00b", "../..", "~nobody/x", "${NO}", "${", "{", "{a}", "a" * 300, "*", "**"]
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*IDEAS, *ODD])
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [at, *(place for name, each in inner for place in places(each, (*at, name)))]


@st.composite
def documents(draw):
    """A job in which some places hold something else, or have something beside them."""
    job = {name: copy.deepcopy(WHOLE[name]) for name in draw(st.sets(st.sampled_from(sorted(WHOLE)), min_size=1))}
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(places(job)[1:] or [("job",)]))
        into = job
        for step in place[:-1]:
            into = into[step]
        name = place[-1]
        if isinstance(into, dict) and draw(st.booleans()):
            name = draw(st.sampled_from(sorted(WHOLE)) | st.text(max_size=4) | st.just(name))
        into[name] = draw(anything)
    return job


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=documents(), plain=st.booleans())
def test_any_document_is_a_job_or_one_error(tmp_path, document, plain):
    path = tmp_path / "job.yaml"
    path.write_bytes(yaml.safe_dump(document, allow_unicode=True, default_style=None if plain else '"').encode())
    for read in (lambda: load_job(path), lambda: Job.parse(document, tmp_path)):
        with suppress(InputError):
            job = read()
            if not job.cards:
                job.mappings({})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: ("job: j\n" + text).encode("utf-8", "replace")))
def test_any_bytes_are_a_job_or_one_error(tmp_path, data):
    path = tmp_path / "job.yaml"
    path.write_bytes(data)
    with suppress(InputError):
        load_job(path)
