"""Results from tables: metrics are numbers whatever the source, and their names are checked when the job is read."""

from __future__ import annotations

import json

import pytest

from cortigraph.graph.errors import InputError
from cortigraph.ingest.job import Job
from cortigraph.ingest.plan import plan
from cortigraph.ingest.run import run

LONG = {"source": "r", "area": "vision.x", "model": "m", "dataset": "d"}


def _job(folder, item: dict, **source) -> Job:
    told = {"job": "t", "sources": {"r": {"path": "r.csv", **source}}, "results": [{**LONG, **item}]}
    return Job.parse(told, folder)


def _accuracies(store) -> list:
    return [row["a"] for row in store.read("MATCH (r:Run) RETURN r.accuracy AS a ORDER BY r.key")]


@pytest.mark.parametrize(
    ("cell", "value"), [("92.1", 92.1), ("88.4%", 0.884), (" 0.5 ", 0.5), ("+0.5", 0.5), ("1e-3", 0.001), ("", None)]
)
def test_text_that_is_a_number_is_one(clean_store, home, tmp_path, cell, value) -> None:
    (tmp_path / "r.csv").write_text(f"m,d,acc\na,ds,{cell}\n")
    run(clean_store, home, _job(tmp_path, {"metrics": {"accuracy": "acc"}}))
    assert _accuracies(clean_store) == [value]


@pytest.mark.parametrize("cell", ['"1,234"', "n/a", "92.1 ± 0.3", "nan", "inf", "1e400", "0.5f", "yes", "1_000"])
def test_anything_else_refuses_its_row(clean_store, home, tmp_path, cell) -> None:
    (tmp_path / "r.csv").write_text(f"m,d,acc\nb,ds,0.5\na,ds,{cell}\n")
    job = _job(tmp_path, {"metrics": {"accuracy": "acc"}})
    with pytest.raises(InputError, match=r"r\.csv:3: column acc: expected a number such as 0\.884"):
        plan(clean_store, home, job)
    run(clean_store, home, _job(tmp_path, {"metrics": {"accuracy": "acc"}}, missing=["", cell.strip('"')]))
    assert _accuracies(clean_store) == [None, 0.5]


@pytest.mark.parametrize("value", [True, [0.5], "high"])
def test_values_of_other_types_are_refused(clean_store, home, tmp_path, value) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({"m": "a", "d": "ds", "acc": value}) + "\n")
    with pytest.raises(InputError, match=r"r\.jsonl:1: column acc: expected a number"):
        plan(clean_store, home, _job(tmp_path, {"metrics": {"accuracy": "acc"}}, path="r.jsonl"))


def test_per_cent_are_not_scaled_twice(clean_store, home, tmp_path) -> None:
    (tmp_path / "r.csv").write_text("m,cifar,pets\na,92.1,88.4%\n")
    item = {"dataset": None, "datasets": ["cifar", "pets"], "metric": "accuracy", "scale": 0.01}
    with pytest.raises(InputError, match=r"r\.csv:2: column pets: is per cent"):
        plan(clean_store, home, _job(tmp_path, item))
    run(clean_store, home, _job(tmp_path, {**item, "datasets": ["cifar"]}))
    assert _accuracies(clean_store) == [pytest.approx(0.921)]


@pytest.mark.parametrize("name", ["weights", "search", "key", "batches", "embedding", "kind", "reported_by"])
def test_names_that_runs_keep_are_told_where_they_stand(tmp_path, name) -> None:
    for item in ({"metrics": {name: "acc"}}, {"metrics": {"accuracy": "acc"}, "properties": {name: "acc"}}):
        with pytest.raises(InputError, match=f"results.0.*'{name}' is a property that .*give it another name"):
            _job(tmp_path, item)


def test_a_name_is_a_metric_or_another_property_and_constants_are_numbers(tmp_path) -> None:
    both = {"metrics": {"accuracy": "acc"}, "properties": {"accuracy": "acc"}}
    with pytest.raises(InputError, match="can't be a metric and another property"):
        _job(tmp_path, both)
    with pytest.raises(InputError, match="a metric is a number, got 'high'"):
        _job(tmp_path, {"metrics": {"accuracy": {"value": "high"}}})
    with pytest.raises(InputError, match="finite"):
        _job(tmp_path, {"metrics": {"accuracy": "acc"}, "scale": float("nan")})


def test_each_of_several_models_in_a_cell_has_its_own_name(clean_store, home, tmp_path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({"m": ["a", "b"], "d": ["x", "y"], "acc": 0.5}) + "\n")
    run(clean_store, home, _job(tmp_path, {"metrics": {"accuracy": "acc"}}, path="r.jsonl"))
    found = clean_store.read("MATCH (n:Region|Dataset) RETURN n.name AS name ORDER BY name")
    assert [row["name"] for row in found] == ["a", "b", "x", "y"]
