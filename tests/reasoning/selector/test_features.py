"""Features: whatever cards and data sets say of themselves is used, and what says nothing does no harm."""

from __future__ import annotations

import numpy as np

from cortigraph.reasoning.selector.features import card_likeness, dataset_views, normal_scores


def test_cards_are_alike_by_words_numbers_and_names() -> None:
    cards = {
        "org/vit-base-a": {"family": "vit", "parameters": 86e6},
        "org/vit-base-b": {"family": "vit", "parameters": 87e6},
        "other/tiny-net": {"family": "cnn", "parameters": 1e6},
        "org/vit-base-c": {},
    }
    likeness = card_likeness(list(cards), cards)
    assert np.allclose(np.diag(likeness), 1)
    assert likeness[0, 1] > 0.8 > likeness[0, 3] > likeness[0, 2]
    assert np.linalg.eigvalsh(likeness).min() > -1e-9


def test_regions_without_cards_have_their_names() -> None:
    likeness = card_likeness(["vit-a", "vit-b", "zzz"], {})
    assert likeness[0, 1] > likeness[0, 2]


def test_data_sets_are_placed_by_size_and_likeness() -> None:
    keys = ["a", "b", "c", "d"]
    sizes = {key: {"samples": 10 ** (i + 1), "classes": ["x", "y"]} for i, key in enumerate(keys)}
    near = {key: {"imagenet": float(i)} for i, key in enumerate(keys)}
    views = dataset_views(keys, sizes, near)
    assert [view.shape for view in views] == [(4, 1), (4, 1), (4, 2)]
    assert (np.diff(views[0][:, 0]) > 0).all()
    assert (np.diff(views[1][:, 0]) > 0).all()


def test_other_numbers_place_them_if_nothing_else_does() -> None:
    views = dataset_views(["a", "b"], {"a": {"words": 10}, "b": {"words": 1000}}, {})
    assert views[0][:, 0].tolist() == [-1, 1]


def test_nothing_known_places_all_alike() -> None:
    views = dataset_views(["a", "b"], {"a": {"name": "a"}}, {})
    assert len(views) == 1
    assert not views[0].any()


def test_normal_scores_see_ranks_alone() -> None:
    told = np.array([1.0, 2.0, 3.0, np.nan])
    assert np.array_equal(normal_scores(told), normal_scores(np.exp(told * 5)))
