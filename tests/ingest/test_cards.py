"""Model cards as they are in the wild: read whole, or refused by card and line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cortigraph.graph.check import check
from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job
from cortigraph.ingest.plan import plan
from cortigraph.ingest.run import Options, run
from cortigraph.ingest.spec.card_file import columns_of, read_card
from cortigraph.ingest.spec.card_source import read_cards
from cortigraph.tables.rejects import RejectedError, Rejects


def read(text: str | bytes):
    return read_card(text if isinstance(text, bytes) else text.encode(), "c.md", "c", "model_id")


def told(front: str, body: str = "# T\n"):
    return read(f"---\n{front}\n---\n{body}")


def lines(card):
    return [(fault.line, fault.column) for fault in card.faults]


@pytest.mark.parametrize(
    "text",
    ["no", "1.10", "0123456", "12:30:45", "2023-01-02", "1_000", ".5", "~", "0x1F", "1e3", "y", "True", "9" * 30],
)
def test_what_a_card_says_is_kept_as_it_was_written(text):
    card = told(f"one: {text}\nlist: [{text}, en]\nnested: {{a: {text}}}")
    columns = columns_of([card.row])
    assert columns["one"].to_pylist() == [text]
    assert columns["list"].to_pylist() == [[text, "en"]]
    assert json.loads(columns["nested"][0].as_py()) == {"a": text}


def test_numbers_are_numbers_where_every_card_says_one():
    cards = [
        told("size: 3\nrate: 1\nopen: true\nversion: 1.1\nnothing: null"),
        told("size: 4\nrate: 0.5\nversion: 1.10"),
    ]
    columns = {name: column.to_pylist() for name, column in columns_of([card.row for card in cards]).items()}
    assert (columns["size"], columns["rate"], columns["open"]) == ([3, 4], [1.0, 0.5], [True, None])
    assert columns["version"] == ["1.1", "1.10"]
    assert columns["nothing"] == [None, None]


RESULT = "model-index:\n- results:\n  - dataset: {type: d}\n    metrics:\n    - {type: accuracy, value: %s}"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.91", 0.91), ('"92.1"', 92.1), ("88.4%", 0.884), ("'92.1 %'", 0.921), ("1e-3", 0.001), (".5", 0.5), ("7", 7.0)],
)
def test_a_metric_is_the_number_that_is_meant(text, value):
    assert [row["value"] for row in told(RESULT % text).results] == [value]


@pytest.mark.parametrize(
    "text",
    ["'0,91'", "92.1 ± 0.3", "n/a", "null", "", ".nan", "-.inf", "1e400", "true", "[1]", "{a: 1}", "12:30", "1_000"],
)
def test_a_metric_that_is_no_number_is_told_with_its_line(text):
    assert lines(told(RESULT % text)) == [(6, "model-index.0.results.0.metrics.0.value")]


@pytest.mark.parametrize(
    ("front", "line"),
    [
        ("model-index: m", 2),
        ("a: b\nmodel-index: {name: m}", 3),
        ("model-index: [m, {results: r}]", 2),
        ("model-index:\n- results:\n  - d", 4),
        ("model-index:\n- results:\n  - {dataset: squad, metrics: []}", 4),
        ("model-index:\n- results:\n  - dataset: {type: d}", 4),
        ("model-index:\n- results:\n  - dataset: {type: d}\n    metrics:\n      type: accuracy\n      value: 1", 5),
        ("model-index:\n- results:\n  - dataset: {type: d}\n    metrics: [0.9, accuracy]", 5),
        ("model-index:\n- results:\n  - metrics: [{type: accuracy, value: 1}]", 4),
        ("model-index:\n- results:\n  - dataset: {type: d}\n    metrics: [{value: 1}]", 5),
        ("model-index:\n- results:\n  - dataset: {type: d}\n    metrics: [{type: kind, value: 1}]", 5),
        ("model-index:\n- results:\n  - dataset: {type: d}\n    metrics: [{type: '%s', value: 1}]" % ("a" * 99), 5),
        ("a: [1", 3),
        ("\ta: 1", 2),
        ("a: 1\na: 2", 3),
        ("a: !!python/object:os.system x", 2),
        ("a: &a [*a]", 2),
        ("- a", 2),
        ("plain text", 2),
        ("x: 1\n':y': 2", 3),
        ("'': 2", 2),
        ("license: a\nlicence: b", 3),
        ("model_id: [a]", 2),
        ("? [a]\n: b", 2),
    ],
)
def test_what_can_not_be_understood_refuses_the_card_with_its_line(front, line):
    card = told(front)
    assert card.faults
    assert {fault.line for fault in card.faults} == {line}


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"---\na: 1\nb: caf\xe9\n---\n", 3), ("---\na: b\n---\n".encode("utf-16"), 1), (b"---\na: 1\n", 1), (b"---", 1)],
)
def test_other_encodings_and_front_matter_without_an_end_are_refused(data, line):
    assert [fault.line for fault in read(data).faults] == [line]


@pytest.mark.parametrize(
    "text", ["", "# T", "---\n---\n# T", "\ufeff---\r\na: b\r\n---\r\n# T\r\n", "----\na\n", "\n---\na: 1\n---\n"]
)
def test_plain_cards_need_no_front_matter(text):
    assert read(text).faults == []


def test_a_long_line_or_many_blank_ones_take_no_time():
    card = read("# " + " " * 400_000 + "x" + "\n" * 400_000 + " #" * 400_000)
    assert card.faults == []


wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["d", "accuracy", "n/a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "dataset", "metrics", "type", "name", "value", "args", "task"]), inner
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    front=st.dictionaries(st.text(max_size=4) | st.just("model_id"), wild, max_size=3), index=wild, quote=st.booleans()
)
def test_any_front_matter_is_a_card_or_has_faults(front, index, quote):
    text = yaml.safe_dump({**front, "model-index": index}, allow_unicode=True, default_style='"' if quote else None)
    card = told(text)
    assert card.faults or card.key
    columns_of([card.row])
    assert all(fault.line for fault in card.faults)


@settings(deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_a_card_or_have_faults(data, fenced):
    card = read(b"---\n" + data + b"\n---\n" if fenced else data)
    assert card.faults or card.row["key"]


def job(folder: Path, **more) -> Job:
    return Job.parse({"job": "cards", "cards": [{"folder": "c", "area": "v.c", "embed": False}], **more}, folder)


def runs(store):
    query = "MATCH (r:Run)-[:ON]->(d:Dataset) RETURN r.key AS key, r.accuracy AS value, r.config AS config ORDER BY key"
    return [tuple(row.values()) for row in store.read(query)]


ONE = """---
model-index:
- results:
  - dataset: {type: glue, config: mnli, split: test}
    metrics: [{type: accuracy, value: .9}]
"""
TWO = ONE + "  - dataset: {type: glue, config: sst2, split: test}\n    metrics: [{type: accuracy, value: .8}]\n"


def test_configurations_of_a_data_set_are_runs_of_their_own(clean_store, home, tmp_path):
    card = tmp_path / "c" / "m.md"
    card.parent.mkdir()
    card.write_text(ONE + "---\n")
    run(clean_store, home, job(tmp_path))
    assert runs(clean_store) == [("cards/m/glue/accuracy", 0.9, "mnli")]  # as it always was
    card.write_text(TWO + TWO.partition("results:\n")[2] + "---\n")  # each of them twice
    report = run(clean_store, home, job(tmp_path), Options(prune=True))
    wanted = [
        ("cards/m/glue/accuracy/config=mnli,split=test", 0.9, "mnli"),
        ("cards/m/glue/accuracy/config=sst2,split=test", 0.8, "sst2"),
    ]
    assert runs(clean_store) == wanted
    assert report.folded == {"Run": 2}
    assert run(clean_store, home, job(tmp_path)).batch is None
    card.write_text(ONE + ONE.partition("results:\n")[2].replace(".9", ".7") + "---\n")
    with pytest.raises(RejectedError, match=r"c/m\.md:7: .*says another thing than before: 0\.9"):
        plan(clean_store, home, job(tmp_path))
    assert runs(clean_store) == wanted
    assert check(clean_store) == []


def test_cards_that_can_not_be_used_are_left_out_and_told(clean_store, home, tmp_path):
    folder = tmp_path / "c"
    (folder / "dir.md").mkdir(parents=True)
    (folder / "good.md").write_text("---\nlanguage: no\n---\n# Good\n")
    (folder / "gone.md").symlink_to(folder / "nowhere")
    (folder / "index.md").write_text("---\nmodel-index: m\na: [1, 2\n---\n")
    (folder / "list.md").write_text("---\nlanguage: no\nmodel-index: m\n---\n")
    (folder / "latin.md").write_bytes(b"caf\xe9")
    (folder / "twin.md").write_text("---\nmodel_id: good\n---\n")
    with pytest.raises(RejectedError) as caught:
        run(clean_store, home, job(tmp_path))
    places = [problem.split(": ")[0] for problem in caught.value.problems[:-1]]
    assert places == ["c/gone.md, record 1", "c/index.md:4", "c/latin.md:1", "c/list.md:3", "c/twin.md:1"]
    assert plan(clean_store, home, job(tmp_path), Options(max_rejects=5)).rejected == 5
    report = run(clean_store, home, job(tmp_path, max_rejects=5))
    assert report.rejected == 5
    assert clean_store.read("MATCH (r:Region) RETURN r.key AS key, r.language AS language") == [
        {"key": "v.c/good", "language": "no"}
    ]
    mended = Path(report.rejects[0]).parent
    for name in ("gone.md", "index.md", "latin.md", "twin.md"):
        (folder / name).unlink()
    (folder / "list.md").write_text("# List\n")
    run(clean_store, home, job(tmp_path), Options(mended=mended))
    assert clean_store.read("MATCH (r:Region) RETURN count(r) AS n") == [{"n": 2}]


def test_what_a_card_and_a_source_contradict_names_the_card(clean_store, home, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "m.md").write_text("---\nsize: 3\n---\n")
    (tmp_path / "t.csv").write_text("m,size\nm,4\n")
    mapping = {"source": "t", "label": "Region", "area": "v.c", "key": "m", "properties": {"size": "size"}}
    both = {"sources": {"t": {"path": "t.csv", "types": {"size": "int"}}}, "nodes": [mapping]}
    with pytest.raises(RejectedError, match=r"c/m\.md:1: column size: says another thing than t\.csv:2 .*: 4"):
        run(clean_store, home, job(tmp_path, **both))


def test_files_whose_names_are_not_utf_8_and_twins_of_cards_that_are_not_used(tmp_path):
    (tmp_path / "a.md").write_text("---\nmodel_id: m\nmodel-index: m\n---\n")
    (tmp_path / "b.md").write_text("---\nmodel_id: m\n---\n")
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("# Coffee")
    models, *_ = read_cards("c", "r", tmp_path, "c", "model_id")
    assert models.values("key") == ["m"]
    with pytest.raises(RejectedError) as caught:
        list(models.blocks(Rejects()))
    assert [problem.split(": ")[0] for problem in caught.value.problems[:-1]] == [
        "c/a.md:3",
        "c/caf\\udce9.md, record 1",
    ]


def test_a_folder_without_cards_is_told_with_its_line(clean_store, home, tmp_path):
    with pytest.raises(InputError, match=r"cards\.0: no folder .*c;"):
        run(clean_store, home, job(tmp_path))
