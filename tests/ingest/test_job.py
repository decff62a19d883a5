"""Jobs as files: what is read, and what is wrong with them, by line."""

import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.ingest.job import Job, load_job

from .conftest import PORT, pictures, written


def problems(folder, text):
    with pytest.raises(InputError) as caught:
        load_job(written(folder, text))
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_job_is_read(bars):
    job = load_job(bars)
    assert job.job == "bars"
    assert job.regions[0].key == "fusion/calm"
    assert job.datasets[0].spec().folder.name == "bars"
    assert job.origin.key == str(bars)
    assert job.origin.base == bars.parent
    assert job.origin.digest.startswith("sha256:")
    assert job.where(("regions", 0, "id")) == f"{bars}:4: regions.0.id"


def test_the_standard_job_comes_with_the_package():
    job = load_job("standard")
    assert job.built_in
    assert job.origin.key == "standard"


def test_ports_are_lines():
    told = {"area": "a", "id": "1", "name": "N", "builder": "lenet3", "accepts": {"x": PORT}, "emits": {"y": PORT}}
    region = Job.parse({"job": "j", "regions": [told]}).regions[0].region()
    assert [(port.name, str(port)) for port in (*region.accepts, *region.emits)] == [("x", PORT), ("y", PORT)]


def test_no_such_job(tmp_path):
    with pytest.raises(UnknownKeyError, match="did you mean standard"):
        load_job("standart")
    with pytest.raises(InputError, match=r"none\.yaml does not exist"):
        load_job(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("job: a\nregion: []\n", 2, "region: is not known here"),
        ("job: a b\n", 1, "job: String should match"),
        ("job: j\nareas:\n  - {key: Vision, name: V}\n", 3, "areas.0.key: String should match"),
        ('job: j\nregions:\n  - {id: "1"}\n', 3, "area, name, builder, accepts, emits missing"),
        ("job: j\nregions:\n  - {like: a/b, id: b}\n", 3, "a/b is like itself"),
        ("job: j\ndatasets:\n  - {key: d, inputs: {image: {modality: image}}}\n", 3, "give either table"),
        (
            "job: j\ndatasets:\n  - key: d\n    folder: none\n    inputs: {image: {modality: image}}\n",
            4,
            "datasets.0.folder: no folder",
        ),
        (
            "job: j\ndatasets:\n  - key: d\n    table: t.csv\n    inputs:\n      x: {modality: image, column: pic}\n",
            6,
            "t.csv has no column 'pic'; there are: image, label",
        ),
        (
            "job: j\ndatasets:\n  - key: d\n    table: t.csv\n    inputs: {x: {modality: image, column: image}}\n",
            3,
            "t.csv row 1: no file",
        ),
        (
            "job: j\nareas:\n  - {key: a, name: A}\n  - {key: b, name: B}\n  - {key: a, name: C}\n",
            5,
            "'a' is declared twice, first at job.yaml:3",
        ),
        (
            "job: j\nbuilt_in: true\nareas:\n  - {key: fusion, name: F}\n",
            4,
            "'fusion' is declared twice, first at `built_in`",
        ),
    ],
)
def test_each_problem_has_its_line(tmp_path, monkeypatch, text, line, told):
    written(tmp_path, "image,label\nnone.png,a\n", "t.csv")
    written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_job("job.yaml")
    [problem] = caught.value.problems
    assert problem.startswith(f"job.yaml:{line}: ")
    assert told in problem


def test_all_problems_at_once(tmp_path):
    pictures(tmp_path / "bars", 1)
    found = problems(
        tmp_path,
        """
        job: wrong
        regions:
          - area: vision.recognition
            id: "9"
            name: Nine
            builder: lenet33
            accepts:
              image: image[channel=1,heigth] flaot32 raw
            emits:
              logits: image[class=*] float32 logits
          - area: vision.recognition
            id: "10"
            name: Ten
            builder: lenet33
            accepts: {image: "image[channel=1,height=*,width=*] float32 raw"}
            emits: {logits: "image[class=*] float32 logits"}
          - area: vision.recognition
            id: "11"
            name: Eleven
            builder: lenet3
            arguments:
              widht: 8
            accepts: {image: "image[channel=1,height=*,width=*] float32 raw"}
            emits: {logits: "image[class=*] float32 logits"}
          - {like: fusion/average, id: x}
          - {like: fusion/average, id: x}
        datasets:
          - key: bars
            folder: bars
            inputs: {image: {modality: imgae}}
          - key: none
            folder: nowhere
            inputs: {image: {modality: image}}
        """,
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "job.yaml:8",
        "job.yaml:30",
        "job.yaml:26",
        "job.yaml:6",
        "job.yaml:14",
        "job.yaml:21",
        "job.yaml:32",
    ]
    told = "\n".join(found)
    for part in (
        "regions.0.accepts.image: unknown dtype 'flaot32'",
        "expected an axis such as height=28 or height=*, got 'heigth'",
        "datasets.0.inputs.image.modality",
        "'fusion/x' is declared twice",
        "no builder 'lenet33'; did you mean lenet3",
        "no argument 'widht'; did you mean width?",
        "datasets.1.folder: no folder",
    ):
        assert part in told


def test_a_job_made_in_python_is_checked_too(tmp_path):
    with pytest.raises(InputError, match=r"job 'j': datasets\.0\.folder: no folder"):
        Job.parse(
            {"job": "j", "datasets": [{"key": "d", "folder": "d", "inputs": {"x": {"modality": "image"}}}]}, tmp_path
        )
