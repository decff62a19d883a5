"""Recall: what an ingestion job brought is evidence, and the runs that a ranking rests on have names in the graph."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.ingest.job import Job, load_job
from cortigraph.ingest.run import run
from cortigraph.reasoning.selector.advisor import Advisor
from cortigraph.reasoning.selector.recall import recall_evidence
from tests.reasoning.selector.zoo import zoo
from tests.train.real_data import DATA, needs_data

JOB = {
    "job": "made-up",
    "results": [
        {
            "source": "runs",
            "area": "vision.made_up",
            "model": "region",
            "dataset": "dataset",
            "metrics": {"accuracy": "score"},
            "properties": {"seconds": "seconds"},
        }
    ],
}


@pytest.fixture
def filled(clean_store, home):
    evidence = zoo(regions=20, datasets=5, gaps=0)
    rows = [
        {"region": key, "dataset": name, "score": evidence.scores[i, j], "seconds": evidence.seconds[i, j]}
        for i, key in enumerate(evidence.regions)
        for j, name in enumerate(evidence.datasets)
    ]
    run(clean_store, home, Job.parse(JOB), tables={"runs": pd.DataFrame(rows)})
    return clean_store


def test_a_ranking_from_the_graph_names_runs_of_the_graph(filled) -> None:
    advice = Advisor(filled).for_dataset("d2")
    assert list(advice) == ["vision.made_up"]
    first = advice["vision.made_up"].regions[0]
    assert len(advice["vision.made_up"].regions) == 20
    assert first.runs
    named = [key for support in advice["vision.made_up"].why(first.key).rests_on for key in support.runs]
    assert filled.read("MATCH (r:Run) WHERE r.key IN $keys RETURN count(r) AS n", keys=named)[0]["n"] == len(named) > 0


def test_what_is_not_there_is_said_so(filled) -> None:
    with pytest.raises(InputError, match="'speed'"):
        recall_evidence(filled, metric="speed")
    with pytest.raises(InputError, match="audio"):
        recall_evidence(filled, area="audio")
    with pytest.raises(UnknownKeyError):
        Advisor(filled).for_dataset("d77")


@needs_data("model_zoo/transfergraph/image")
def test_a_held_out_data_set_is_ranked_and_explained(clean_store, home, monkeypatch) -> None:
    monkeypatch.setenv("CORTIGRAPH_DATA", str(DATA))
    run(clean_store, home, load_job(Path(__file__).parents[3] / "examples/zoo/transfergraph.yaml"))
    clean_store.write("MATCH (r:Run)-[:ON]->(:Dataset {key: 'pets'}) DETACH DELETE r")
    evidence = recall_evidence(clean_store, area="vision.transfer")
    assert {"LOG_ME", "REG_H_SCORE"} <= set(evidence.proxies)
    assert evidence.likeness["pets"]["imagenet"] == pytest.approx(5.483, abs=0.01)
    advisor = Advisor(clean_store)
    advice = advisor.for_dataset("pets")["vision.transfer"]
    assert all(advice.why(one.key).rests_on[0].runs for one in advice.regions[:3])
    assert len(advice.regions) >= 180
    assert all(one.runs == () and one.seconds for one in advice.regions)
    assert advice.regions[0].cost["parameters"] > 1e6
    assert advisor.for_dataset("pets")["vision.transfer"] is advice  # the graph is as it was
