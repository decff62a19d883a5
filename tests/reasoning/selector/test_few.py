"""Few runs: what is expected follows from runs of like regions on like data, and says how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.graph.errors import InputError
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.exact import Exact
from cortigraph.reasoning.selector.explain import explain
from cortigraph.reasoning.selector.kernel import Covariance, Spectrum
from cortigraph.reasoning.selector.model import Expected, Selector
from cortigraph.reasoning.selector.process import Process

KEYS = "abcdef"
VECTORS = {key: np.eye(6)[i] for i, key in enumerate(KEYS)}
PLACES = {"like": np.array([1, 0.1, 0]), "unlike": np.array([-1, 0, 0.3])}
HERE, WORDS = np.array([1.0, 0, 0]), np.array([1.0, 0, 0, 0, 0, 0])


def _selector(*runs: tuple[str, str, float], vectors: dict[str, np.ndarray] = VECTORS, **known: object) -> Selector:
    rows = [{"run": f"{r}/{d}", "region": r, "dataset": d, "score": score, "seconds": 2.0} for r, d, score in runs]
    told = Evidence.of(rows, {key: {"parameters": 7} for key in KEYS}, vectors=vectors, places=PLACES)
    return Selector.for_dataset(told.knowing("here", {}, HERE, **known), "here", WORDS)  # type: ignore[arg-type]


def _ranked(selector: Selector) -> dict[str, Expected]:
    return {one.key: one for one in selector.rank().regions}


def test_what_did_well_on_like_data_comes_first() -> None:
    selector = _selector(("c", "like", 0.9), ("a", "like", 0.5), ("b", "like", 0.7))
    first = selector.rank().regions[0]
    assert first.key == selector.rank().choice == "c"
    assert first.expected == pytest.approx(0.9, abs=0.05)
    assert first.seconds == 2.0
    assert first.cost == {"parameters": 7.0}
    support = explain(selector, "c").rests_on[0]
    assert support.path == "(c)<-[:OF]-(c/like)-[:ON]->(like)"
    assert support.weight > 0.9


def test_unlike_data_says_little() -> None:
    ranked = _ranked(_selector(("c", "unlike", 0.9), ("a", "like", 0.5)))
    assert ranked["a"].uncertainty < 0.1 < ranked["c"].uncertainty


def test_alike_regions_share_what_is_known() -> None:
    near = {**VECTORS, "d": np.array([0, 0, 1, 0.1, 0, 0])}  # it behaves like c
    runs = (("c", "like", 0.95), ("a", "like", 0.4), ("b", "like", 0.4))
    assert [one.key for one in _selector(*runs, vectors=near).rank().regions[:2]] == ["c", "d"]


def test_without_runs_words_decide_and_nothing_is_sure() -> None:
    selector = _selector()
    assert selector.rank().regions[0].key == "a"  # its card says what is wanted
    assert all(one.uncertainty > 0.15 and one.seconds is None for one in selector.rank().regions)
    assert explain(selector, "a").rests_on == ()


def test_runs_on_the_data_set_itself_count_for_most() -> None:
    ranked = _ranked(_selector(("c", "like", 0.9), ("a", "like", 0.5), ("b", "like", 0.7), ("a", "here", 0.8)))
    assert ranked["a"].expected == pytest.approx(0.8, abs=0.03)
    assert ranked["a"].runs == ("a/here",)
    assert ranked["c"].expected > ranked["b"].expected


def test_what_was_computed_on_its_samples_moves_the_order() -> None:
    proxies = {"probe": {"a": 0.2, "b": 0.3, "c": 0.4, "d": 0.9}}
    assert _selector(proxies=proxies).rank().regions[0].key == "d"


def test_without_embeddings_it_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="at least 2 other data sets"):
        _selector(("c", "like", 0.9), vectors={})


def test_a_choice_is_good_even_if_things_go_wrong() -> None:
    from cortigraph.reasoning.selector.model import Ranking

    def told(key: str, expected: float, apart: float) -> Expected:
        return Expected(key, expected, 0, 1, apart, apart, None, {}, ())

    assert Ranking("here", (told("bold", 0.9, 0.2), told("sure", 0.88, 0.05))).choice == "sure"


def test_cell_by_cell_and_by_grid_are_the_same_process() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(8, 2))
    likeness = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(-1))
    near = np.exp(-0.5 * (np.arange(4)[:, None] - np.arange(4)[None]) ** 2 / 2)
    covariance = Covariance(0.1 + 0.3 * near, 0.2 + 0.5 * near, 0.15)
    scores = np.where(rng.random((8, 3)) < 0.3, np.nan, rng.normal(size=(8, 3)))
    columns = np.array([0, 1, 3])
    exact = Exact(likeness, covariance, scores, columns)
    grid = Process(Spectrum.of(likeness), covariance, scores, columns)
    assert exact.mean(2) == pytest.approx(grid.mean(2), abs=1e-5)
    mixture = rng.normal(size=8)
    assert exact.weights(mixture, 2) == pytest.approx(grid.weights(mixture, 2), abs=1e-5)
    assert (exact.spread(2).diagonal() < covariance.own[2, 2] + covariance.card[2, 2]).all()
