from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortigraph.graph.errors import InputError
from cortigraph.graph.find import Hit, escape, find, fuse, text, vector
from cortigraph.graph.schema import REGION_DIMENSION, TEXT_DIMENSION, Label
from cortigraph.graph.write import merge_nodes


def axis(number: int, dimension: int = REGION_DIMENSION) -> list[float]:
    return [float(i == number) for i in range(dimension)]


@pytest.fixture
def filled(clean_store):
    regions = [
        {"key": f"vision/{i}", "name": name, "embedding": axis(i)}
        for i, name in enumerate(["fast detector", "slow detector", "classifier (fast!)"])
    ]
    merge_nodes(clean_store, Label.REGION, regions)
    merge_nodes(
        clean_store, Label.SCENE, [{"key": "s", "text": "count fast cars", "embedding": axis(0, TEXT_DIMENSION)}]
    )
    return clean_store


def test_the_nearest_vector_comes_first(filled):
    hits = vector(filled, Label.REGION, axis(1), top=2)
    assert hits[0].key == "vision/1"
    assert hits[0].score == pytest.approx(1.0, abs=1e-4)
    assert len(hits) == 2


def test_words_are_found_and_labels_narrow_the_search(filled):
    assert {hit.key for hit in text(filled, "fast")} == {"vision/0", "vision/2", "s"}
    assert {hit.label for hit in text(filled, "fast", labels=[Label.SCENE])} == {"Scene"}
    assert len(text(filled, "fast", top=1)) == 1


def test_what_words_and_vectors_both_find_comes_first(filled):
    hits = find(filled, "detector", {Label.REGION: axis(1)}, top=2)
    assert hits[0].key == "vision/1"
    assert hits[0].name == "slow detector"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equal_scores_share_a_rank_whatever_their_order():
    a, b = (Hit(key, "Region", 0.5, key) for key in "ab")
    best = Hit("b", "Region", 0.9, "b")
    assert [hit.key for hit in fuse([[a, b], [best, a]])] == ["b", "a"]
    assert fuse([[a, b]]) == fuse([[b, a]])


def test_a_new_node_is_found_at_once(filled):
    merge_nodes(filled, Label.AREA, [{"key": "new", "description": "zebrafish"}])
    assert [hit.key for hit in text(filled, "zebrafish")] == ["new"]


def test_a_vector_of_the_wrong_length_names_both_numbers(store):
    with pytest.raises(InputError, match=f"Region has {REGION_DIMENSION} numbers, got 3"):
        vector(store, Label.REGION, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("label", "numbers", "said"),
    [
        (Label.REGION, [float("nan")] * REGION_DIMENSION, "finite"),
        (Label.REGION, ["x"] * REGION_DIMENSION, "numbers only"),
        (Label.AREA, [1.0], "has no embedding"),
    ],
)
def test_a_vector_that_is_none(store, label, numbers, said):
    with pytest.raises(InputError, match=said):
        vector(store, label, numbers)


def test_labels_and_top_are_checked(store):
    with pytest.raises(InputError, match="Run can't be searched by words"):
        text(store, "x", labels=[Label.RUN])
    with pytest.raises(InputError, match="top must be at least 1"):
        text(store, "x", top=0)


@pytest.mark.parametrize(
    "words", ["", "  ", "AND", "!!", '"', "(", "* ?", "a AND", "NOT a", "a:b", "a~2^3", "[a TO b]", "\\"]
)
def test_nothing_a_user_types_is_an_operator(filled, words):
    assert isinstance(text(filled, words), list)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_nothing_at_all_breaks_the_search(store, words):
    text(store, words)


def test_special_characters_are_escaped():
    assert escape('name:"x" AND (y') == 'name\\:\\"x\\" and \\(y'
