"""Evidence: rows become a grid, and runs can be hidden without losing what is known of the data set."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.selector.evidence import Evidence

RUNS = [
    {"run": "r1", "region": "a", "dataset": "x", "score": 0.5, "seconds": 10},
    {"run": "r2", "region": "a", "dataset": "x", "score": 0.7, "seconds": None},
    {"run": "r3", "region": "b", "dataset": "y", "score": 0.9},
]


def test_runs_of_one_cell_are_averaged_and_named() -> None:
    evidence = Evidence.of(RUNS, {"c": {}}, {"z": {"samples": 3}})
    assert evidence.regions == ("a", "b", "c")
    assert evidence.datasets == ("x", "y", "z")
    assert evidence.scores[0, 0] == pytest.approx(0.6)
    assert evidence.seconds[0, 0] == 10
    assert evidence.runs["a", "x"] == ("r1", "r2")
    assert np.isnan(evidence.scores[2]).all()


def test_hidden_runs_leave_the_rest() -> None:
    evidence = Evidence.of([*RUNS, {**RUNS[2], "dataset": "x"}], proxies=[_proxy("a", "x")])
    hidden = evidence.without_runs_on("x", but=["b"])
    assert np.isnan(hidden.scores[0, 0])
    assert hidden.scores[1, 0] == 0.9
    assert hidden.proxies["LOG_ME"][0, 0] == 1.0
    assert not np.isnan(evidence.scores[0, 0])


def test_data_sets_can_be_left_out() -> None:
    left = Evidence.of(RUNS, proxies=[_proxy("a", "y")]).without(["x"])
    assert left.datasets == ("y",)
    assert set(left.runs) == {("b", "y")}
    assert left.proxies["LOG_ME"].shape == (2, 1)


def test_likeness_counts_both_ways() -> None:
    evidence = Evidence.of(RUNS, likeness=[{"dataset": "x", "other": "imagenet", "value": 2.0}])
    assert evidence.likeness["imagenet"]["x"] == evidence.likeness["x"]["imagenet"] == 2.0


def test_what_is_no_number_is_told_at_once() -> None:
    with pytest.raises(InputError, match="2 problems") as caught:
        Evidence.of([{**RUNS[0], "score": "high"}, {**RUNS[1], "score": float("nan")}])
    assert "a on x" in str(caught.value)


def test_unknown_keys_have_near_ones() -> None:
    evidence = Evidence.of([{**RUNS[0], "dataset": "flowers"}])
    with pytest.raises(UnknownKeyError, match="did you mean flowers"):
        evidence.dataset("flower")


def _proxy(region: str, dataset: str) -> dict[str, object]:
    return {"region": region, "dataset": dataset, "proxy": "LOG_ME", "value": 1.0}
