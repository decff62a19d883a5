"""Find by text, in a real Neo4j."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.graph.write import merge_nodes
from cortigraph.ingest.job import Job
from cortigraph.ingest.run import run
from cortigraph.regions import texts
from cortigraph.regions.search import find_text

NODES = {"source": "things", "key": "id", "properties": {"name": "name", "description": "about"}}
JOB = {
    "job": "things",
    "sources": {"things": {"path": "things.csv"}},
    "nodes": [{**NODES, "embed": ["name", "description"]}],
}


@pytest.fixture
def ingest(clean_store, home, tmp_path):
    def go(text):
        (tmp_path / "things.csv").write_text(f"id,name,about\n{text}")
        return run(clean_store, home, Job.parse(JOB, tmp_path))

    return go


def test_words_and_meaning_are_joined_and_keys_come_first(clean_store, ingest):
    ingest("a1,Spoken digits,noisy recordings of people who say numbers\na2,Oak,a tree with acorns\na3,Violin,\n")
    assert find_text(clean_store, "microphone hiss while somebody counts aloud")[0].key == "a1"
    assert find_text(clean_store, "musical instrument", labels=["Entity"])[0].key == "a3"
    assert find_text(clean_store, "a2")[0].key == "a2"
    hit = find_text(clean_store, "acorns")[0]
    assert (hit.key, hit.label, hit.snippet) == ("a2", "Entity", "a tree with acorns")
    assert len(find_text(clean_store, "digits", top=2)) == 2


def test_changed_text_is_found_by_its_new_words_and_only_it_is_embedded(clean_store, ingest, monkeypatch):
    ingest("a1,Spoken digits,\na2,Oak,\n")
    embedded = []
    original = texts.language.embed_text
    monkeypatch.setattr(texts.language, "embed_text", lambda given: embedded.extend(given) or original(given))
    ingest("a1,Zebra fish swim,\na2,Oak,\n")
    assert embedded == ["Zebra fish swim"]
    assert find_text(clean_store, "animals in water")[0].key == "a1"
    assert next(hit.key for hit in find_text(clean_store, "zebra")) == "a1"


def test_an_empty_store_and_what_is_no_label(clean_store):
    assert find_text(clean_store, "anything") == []
    assert find_text(clean_store, "  ") == []
    with pytest.raises(InputError, match="Run can't be searched"):
        find_text(clean_store, "x", labels=["Run"])
    with pytest.raises(InputError, match="at least 1"):
        find_text(clean_store, "x", top=0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_nothing_that_is_typed_breaks_it(store, text):
    find_text(store, text)


def test_areas_are_found_by_words(clean_store):
    merge_nodes(clean_store, "Area", [{"key": "vision.x", "name": "Zebrafish spotting"}])
    assert [hit.label for hit in find_text(clean_store, "zebrafish")] == ["Area"]


@pytest.mark.parametrize(
    ("text", "choices", "said"),
    [
        (5, {}, "must be text, got 5"),
        (None, {}, "must be text, got None"),
        ("x", {"top": "3"}, "top must be a whole number"),
        ("x", {"top": 1.5}, "top must be a whole number"),
        ("x", {"labels": "Region"}, "labels must be a list of names, got 'Region'"),
        ("x", {"labels": [3]}, "labels must be a list of names"),
        ("x", {"labels": 3}, "labels must be a list of names"),
    ],
)
def test_what_is_no_text_or_no_list_is_told(clean_store, text, choices, said):
    with pytest.raises(InputError, match=said):
        find_text(clean_store, text, **choices)
