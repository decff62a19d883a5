"""Selection: what is expected of a region follows from runs of like regions on like data, and says how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from cortigraph.reasoning.experience import Experience
from cortigraph.reasoning.selection import Question, rank_by_experience
from cortigraph.regions import vision

REGIONS = list(vision.REGIONS)
KEYS = [region.key for region in REGIONS]


def _unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=float)
    return vector / np.linalg.norm(vector)


VECTORS = {key: _unit(*np.eye(4)[i]) for i, key in enumerate(KEYS)}
DATA = {"like": _unit(1, 0.1, 0), "unlike": _unit(-1, 0, 0.3)}
HERE = Question(_unit(1, 0, 0, 0), _unit(1, 0, 0), REGIONS)


def _experience(*records: tuple[int, str, float]) -> Experience:
    return Experience(
        runs=[f"run{i}" for i in range(len(records))],
        regions=[KEYS[region] for region, _, _ in records],
        datasets=[data for _, data, _ in records],
        scores=np.array([score for *_, score in records], dtype=float),
        seconds=np.full(len(records), 2.0),
        region_embeddings=VECTORS,
        dataset_embeddings=DATA,
    )


def test_what_did_well_on_like_data_comes_first() -> None:
    ranked = rank_by_experience(HERE, "image", _experience((2, "like", 0.9), (0, "like", 0.5), (1, "like", 0.7)))
    assert next(region.key for region in ranked) == KEYS[2]
    assert ranked[0].expected == pytest.approx(0.9, abs=0.05)
    assert "scored 0.900 on like" in ranked[0].reasons[0]
    assert ranked[0].seconds == 2.0


def test_unlike_data_says_little() -> None:
    ranked = {r.key: r for r in rank_by_experience(HERE, "image", _experience((2, "unlike", 0.9), (0, "like", 0.5)))}
    assert ranked[KEYS[0]].uncertainty < 0.1 < ranked[KEYS[2]].uncertainty


def test_alike_regions_share_what_is_known() -> None:
    near = {**VECTORS, KEYS[3]: _unit(0, 0, 1, 0.1)}  # 003 and 004 behave alike
    told = _experience((2, "like", 0.95), (0, "like", 0.4), (1, "like", 0.4))
    ranked = rank_by_experience(HERE, "image", Experience(**{**told.__dict__, "region_embeddings": near}))
    assert [region.key for region in ranked[:2]] == [KEYS[2], KEYS[3]]


def test_without_runs_words_decide_and_nothing_is_sure() -> None:
    ranked = rank_by_experience(HERE, "image", _experience())
    assert ranked[0].key == KEYS[0]  # its card says what the scene says
    assert all(region.uncertainty > 0.15 and region.seconds is None for region in ranked)
    assert ranked[0].reasons == ()


def test_more_runs_make_it_surer() -> None:
    one = rank_by_experience(HERE, "image", _experience((0, "like", 0.8)))
    many = rank_by_experience(HERE, "image", _experience(*[(0, "like", 0.8)] * 5))
    assert {r.key: r for r in many}[KEYS[0]].uncertainty < {r.key: r for r in one}[KEYS[0]].uncertainty
