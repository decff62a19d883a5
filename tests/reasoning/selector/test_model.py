"""The selector: better than the column mean where data sets differ, sure as far as it may be, and the same twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.reasoning.selector.evaluate import failed, leave_one_out, metrics
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.explain import explain, most_telling
from cortigraph.reasoning.selector.model import Selector
from tests.reasoning.selector.zoo import zoo

ENDS = ("d0", "d8")


def _spearman(selector: Selector, but: tuple[str, ...] = ()) -> float:
    told = {one.key: one.expected for one in selector.rank(runs=but).regions if one.key not in but}
    column = selector.evidence.scores[:, selector.column]
    pairs = [(told[key], column[i]) for i, key in enumerate(selector.evidence.regions) if key in told]
    return float(spearmanr(*zip(*[pair for pair in pairs if np.isfinite(pair[1])], strict=True))[0])


def test_like_data_sets_count_for_more_than_the_mean() -> None:
    evidence = zoo(regions=60)
    for target in ENDS:
        column = evidence.dataset(target)
        flat = np.nanmean(np.delete(evidence.scores, column, axis=1), axis=1)
        plain = spearmanr(flat, evidence.scores[:, column], nan_policy="omit")[0]
        assert _spearman(Selector.for_dataset(evidence, target)) > plain + 0.05


def test_runs_on_the_data_set_help() -> None:
    selector = Selector.for_dataset(zoo(regions=60, noise=1.0), "d0")
    shown = selector.evidence.regions[::2]
    rest = [i for i in range(60) if i % 2]
    before, after = (
        np.nanmean((selector.belief(rows).mean - selector.evidence.scores[:, selector.column])[rest] ** 2)
        for rows in (
            np.zeros(0, dtype=np.int64),
            np.flatnonzero(np.isfinite(selector.evidence.scores[:, 0]) & (np.arange(60) % 2 == 0)),
        )
    )
    assert after < before
    assert selector.rank(runs=shown).regions[0].uncertainty < selector.rank(runs=()).regions[0].uncertainty


def test_intervals_hold_about_four_in_five() -> None:
    covered = [
        figures["coverage80"]
        for seed in range(3)
        for told in leave_one_out(zoo(seed=seed), ("d1", "d4", "d7"), shown=(5,), seeds=(0,)).values()
        for figures in told[5]
    ]
    assert 0.65 < np.mean(covered) < 0.95


def test_a_region_without_runs_is_judged_by_its_family() -> None:
    evidence = zoo()
    cards = {**evidence.cards, "vit-new": {"family": "vit", "name": "vit-new"}}
    rows = [
        {"run": "r", "region": key, "dataset": name, "score": evidence.scores[i, j]}
        for i, key in enumerate(evidence.regions)
        for j, name in enumerate(evidence.datasets)
        if np.isfinite(evidence.scores[i, j])
    ]
    grown = Evidence.of(rows, cards, evidence.features)
    ranked = {one.key: one for one in Selector.for_dataset(grown, "d4").rank(runs=()).regions}
    family = np.mean([one.expected for key, one in ranked.items() if key.startswith("vit-") and key != "vit-new"])
    everyone = np.mean([one.expected for one in ranked.values()])
    assert (ranked["vit-new"].expected - everyone) * (family - everyone) > 0
    assert ranked["vit-new"].uncertainty > ranked["vit-00"].uncertainty


def test_a_data_set_that_is_only_named_can_be_asked_for() -> None:
    evidence = zoo().without_runs_on("d3")
    ranking = Selector.for_dataset(replace(evidence, features={}), "d3").rank()
    assert len(ranking.regions) == 40
    assert all(0 <= one.low <= one.expected <= one.high <= 1 for one in ranking.regions)
    assert all(one.seconds and not one.runs for one in ranking.regions)


def test_the_same_evidence_gives_the_same_ranking() -> None:
    one, two = (Selector.for_dataset(zoo(), "d2").rank(seed=3) for _ in range(2))
    assert one == two


def test_a_proxy_that_held_elsewhere_is_believed_and_noise_is_not() -> None:
    evidence, rng = zoo(noise=1.0), np.random.default_rng(0)
    good = np.nan_to_num(evidence.scores, nan=0.7) + 0.01 * rng.normal(size=evidence.scores.shape)
    noise = rng.normal(size=evidence.scores.shape)
    plain = _spearman(Selector.for_dataset(evidence, "d0"))
    told = Selector.for_dataset(replace(evidence, proxies={"good": good, "noise": noise}), "d0")
    assert _spearman(told) > plain + 0.1
    assert abs(told.slopes[1]) < 0.2 * told.slopes[0]
    assert set(explain(told, told.evidence.regions[0]).proxies) >= {"good"}


def test_weights_are_how_far_the_expectation_moves() -> None:
    evidence = zoo()
    selector = Selector.for_dataset(evidence, "d0")
    rows = selector.seen()[:4]
    belief = selector.belief(rows)
    key = evidence.regions[9]
    support = next(one for one in explain(replace(selector, evidence=_seen(evidence, rows)), key, belief).rests_on)
    at = evidence.region(support.region), evidence.dataset(support.dataset)
    moved = [replace(member, scores=_moved(member.scores, member.scale, selector, at)) for member in selector.members]
    assert support.weight != 0
    assert moved  # the same members, one score .01 higher
    from cortigraph.reasoning.selector.members import hear

    if at[1] != selector.column:
        spread = selector.forecasts[selector.column].level.spread
        before = hear(selector.members, selector.columns, selector.column).mean
        after = hear(moved, selector.columns, selector.column).mean
        change = spread * (after - before)
        assert change[9] - belief.gain[9] @ change[rows] == pytest.approx(0.01 * support.weight, rel=1e-4)


def _seen(evidence: Evidence, rows: np.ndarray) -> Evidence:
    return evidence.without_runs_on("d0", but=[evidence.regions[i] for i in rows])


def _moved(scores: np.ndarray, scale: np.ndarray, selector: Selector, at: tuple[int, int]) -> np.ndarray:
    moved = scores.copy()
    where = np.flatnonzero(selector.columns == at[1])
    moved[at[0], where] += 0.01 / scale[where]
    return moved


def test_what_would_change_its_mind_does() -> None:
    selector = Selector.for_dataset(zoo().without_runs_on("d4"), "d4")
    first, second = (one.key for one in selector.rank().regions[:2])
    told = explain(selector, first)
    assert told.rival == second
    own = [change for change in told.would_change if change.dataset == "d4"]
    for change in own:
        row = selector.evidence.region(change.region)
        forecast = selector.forecasts[selector.column]
        before = forecast.given(np.zeros(0, dtype=np.int64), np.zeros(0))
        pull = before.covariance[:, row] / (before.covariance[row, row] + before.noise)
        after = before.mean + pull * (change.turns_at - before.mean[row])
        one, two = (after[selector.evidence.region(key)] for key in (first, second))
        assert one == pytest.approx(two, abs=1e-9)
    assert told.would_change
    assert all(support.runs for support in told.rests_on)
    assert "scored" in str(told.rests_on[0])


def test_the_most_telling_runs_are_new_and_differ() -> None:
    evidence = zoo()
    selector = Selector.for_dataset(evidence.without_runs_on("d4", but=evidence.regions[:5]), "d4")
    told = most_telling(selector, 6)
    assert len(set(told)) == 6
    assert not set(told) & set(evidence.regions[:5])


def test_too_little_is_said_so() -> None:
    evidence = zoo(datasets=3)
    with pytest.raises(InputError, match="2 other data sets"):
        Selector.for_dataset(evidence.without(["d1"]), "d0")
    with pytest.raises(UnknownKeyError):
        Selector.for_dataset(evidence, "d9")


def test_figures_are_what_they_are_called() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.02])
    assert failed(scores).tolist() == [False, False, False, True]
    told = metrics(np.array([0.8, 0.9, 0.7, 0.1]), scores, failed(scores))
    assert told["relative_top1"] == pytest.approx(0.8 / 0.9)
    assert told["spearman"] == pytest.approx(0.8)
    assert told["pearson_without_failed"] == pytest.approx(0.5)
