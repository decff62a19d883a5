"""Five kinds of input, a fifth of the cases each: jobs, tables, model cards, scenes, and words on the command line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from .cases import documents, numbers, tables, texts, values
from .conftest import CASES, SCENE, Ended, World

FUZZ = settings(
    max_examples=max(1, CASES // 5),
    deadline=None,
    derandomize=CASES <= 200,  # `make test` says the same each time; a long run looks further each time
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)
Unchanged = Callable[[Ended], None]

JOBS: list[dict[str, Any]] = [
    {
        "job": "people",
        "sources": {"t": {"path": "t.csv", "types": {"age": "int", "born": "date", "size": "float"}}},
        "nodes": [
            {
                "source": "t", "key": "id", "labels": ["Person"],
                "properties": {"name": "name", "age": "age", "born": "born", "size": "size", "note": {"value": "x"}},
            }
        ],
    },
    {
        "job": "facts",
        "sources": {"t": {"path": ["t.csv"], "delimiter": ",", "missing": ["", "n/a"], "header": None}},
        "relationships": [
            {
                "source": "t", "type": {"column": "name"}, "start": "id", "end": {"column": "age", "before": "a:"},
                "create": True, "properties": {"size": "size"},
            }
        ],
    },
    {
        "job": "results",
        "sources": {"t": {"path": "t.csv"}},
        "results": [
            {"source": "t", "area": "vision.x", "model": "id", "dataset": "name", "metrics": {"accuracy": "size"}}
        ],
    },
    {
        "job": "declared",
        "areas": [
            {
                "key": "vision.made", "name": "Made", "description": "For a test.",
                "accepts": {"image": "image[channel=1,height=*,width=*] float32 raw"},
                "emits": {"logits": "image[class=*] float32 logits"},
            }
        ],
        "regions": [{"like": "vision.recognition/001", "id": "001m", "name": "Made", "arguments": {"width": 4}}],
        "datasets": [],
        "built_in": False,
    },
]  # fmt: skip
TABLE = "id,name,age,born,size\nann,Ann,3,2020-01-01,1.5\nbob,Bob,4,2020-01-02,2.5\n"
CARD: dict[str, Any] = {
    "license": "mit",
    "language": ["no", "en"],
    "tags": ["a", "b"],
    "model-index": [
        {
            "name": "model",
            "results": [
                {
                    "task": {"type": "image-classification"},
                    "dataset": {"name": "pets", "type": "pets", "config": "c", "split": "test"},
                    "metrics": [{"type": "accuracy", "value": 0.9}],
                }
            ],
        }
    ],
}
ASKED = [
    ("ask", texts, texts, "--top", numbers), ("ask", texts, texts, texts), ("ask", texts), ("find", texts),
    ("find", texts, "--label", texts), ("find", texts, "--top", numbers), ("cypher", texts),
    ("cypher", "RETURN $x AS x", "--param", texts), ("cypher", "UNWIND range(1, 9) AS x RETURN x", "--limit", numbers),
    ("cypher", "RETURN 1 AS x", "--format", texts), ("cypher", "RETURN 1 AS x", "--timeout", numbers),
    ("ingest", "revert", texts), ("ingest", "abandon", texts), ("ingest", "plan", texts), ("ingest", "status"),
    ("rank", texts), ("rank", "--dataset", texts, "--area", texts), ("predict", texts, texts),
    ("predict", "lights", texts),
    ("predict", "lights", "photo=0.png", texts), ("regions", texts), ("forget", texts), ("search", "watch", texts),
    ("reason", "list"), ("reason", "refresh", texts), ("reason", "evaluate", texts, "--triples", texts),
    ("reason", "train", "--graph", texts, "--set", texts), ("reason", "train", "--graph", "all", "--reasoner", texts),
    ("reason", "materialise", "--relation", texts), ("reason", "materialise", "--least", numbers),
    ("db", "check"), ("solve", texts, "--dry-run"), ("solve", "lights.yaml", "--dry-run", "--seconds", numbers),
    (texts,), (texts, texts),
]  # fmt: skip


def _document(folder: Path, name: str, document: Any) -> Path:
    """Written as YAML; what has no form in it is written as text, as somebody would who has no care."""
    path = folder / name
    try:
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    except (yaml.YAMLError, UnicodeError):
        path.write_bytes(repr(document).encode("utf-8", "surrogatepass"))
    return path


def _table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", escapechar="\\").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


def _ingested(world: World, unchanged: Unchanged, job: Path) -> None:
    """Planned, run and taken back: each ends well, and afterwards all is as it was."""
    world.run("ingest", "plan", job).check(job.read_bytes())
    before = world.content()
    ended = world.run("ingest", "run", job, "--json").check(job.read_bytes())
    unchanged(ended)
    batch = json.loads(ended.out).get("batch") if ended.code == 0 else None
    if batch:
        assert world.run("ingest", "revert", batch).check(batch).code == 0
        unchanged(Ended(0, "", ""))
        assert world.content() == before


@FUZZ
@given(document=documents(JOBS))
def test_jobs(world: World, unchanged: Unchanged, folder: Path, document: Any) -> None:
    _ingested(world, unchanged, _document(folder, "job.yaml", document))


@FUZZ
@given(rows=tables(["id", "name", "age", "born", "size"]), job=st.sampled_from(JOBS[:3]), form=st.sampled_from("cj"))
def test_tables(
    world: World, unchanged: Unchanged, folder: Path, rows: list[list[str]], job: dict[str, Any], form: str
) -> None:
    if form == "c":
        (folder / "t.csv").write_bytes(_table(rows))
        _ingested(world, unchanged, _document(folder, "job.yaml", job))
        return
    header, *body = rows
    lines = [json.dumps(dict(zip(header, row, strict=False))) for row in body]
    (folder / "t.jsonl").write_text("\n".join(lines))
    source = {key: value for key, value in job["sources"]["t"].items() if key not in ("delimiter", "header")}
    job = {**job, "sources": {"t": {**source, "path": "t.jsonl"}}}
    _ingested(world, unchanged, _document(folder, "job.yaml", job))


@FUZZ
@given(card=st.one_of(documents([CARD]), documents([CARD]), values), text=texts)
def test_cards(world: World, unchanged: Unchanged, folder: Path, card: Any, text: str) -> None:
    cards = folder / "cards"
    cards.mkdir(exist_ok=True)
    front = _document(folder, "front.yaml", card).read_bytes()
    (cards / "model.md").write_bytes(b"---\n" + front + b"---\n" + text.encode("utf-8", "surrogatepass"))
    job = {"job": "cards", "cards": [{"folder": "cards", "area": "vision.cards"}]}
    _ingested(world, unchanged, _document(folder, "job.yaml", job))


@FUZZ
@given(
    scene=st.one_of(documents([SCENE]), st.just(SCENE)),
    rows=st.one_of(st.none(), tables(["photo", "words", "kind"])),
)
def test_scenes(world: World, unchanged: Unchanged, folder: Path, scene: Any, rows: list[list[str]] | None) -> None:
    table = (world.folder / "index.csv").read_bytes()
    if rows is not None:
        table += b"\n".join(_table(rows).splitlines()[1:]) if len(rows) % 2 else b""
        table = table if len(rows) % 2 else _table(rows)
    (folder / "index.csv").write_bytes(table)
    for picture in world.folder.glob("*.png"):
        (folder / picture.name).exists() or (folder / picture.name).symlink_to(picture)
    path = _document(folder, "scene.yaml", scene)
    unchanged(world.run("solve", path, "--dry-run").check((scene, table)))
    unchanged(world.run("predict", world.pathway, folder / "index.csv", "--json").check(table))


@FUZZ
@given(data=st.data(), words=st.sampled_from(ASKED))
def test_words(
    world: World, unchanged: Unchanged, folder: Path, data: st.DataObject, words: tuple[Any, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(world.folder)
    said = [word if isinstance(word, str) else str(data.draw(word)) for word in words]
    said = [word.replace("\0", "").encode("utf-8", "replace").decode() for word in said]  # no shell can give those
    unchanged(world.run(*said).check(said))
