"""The results that a card tells, in the form that model hubs use: one row a metric.

model-index:
  - name: m
    results:
      - task: {type: text-classification}
        dataset: {type: glue, name: GLUE MNLI, config: mnli, split: validation_matched}
        metrics:
          - {type: accuracy, value: 0.91}

Several results of one metric on one data set are runs of their own where they differ in configuration, split, revision,
task, arguments or source; that, and not their order, is in the keys of the runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cortigraph.graph.names import Label, property_problem
from cortigraph.graph.plain_yaml import Place, values_of
from cortigraph.ingest.spec.metrics import NO_NUMBER, meant
from cortigraph.ingest.spec.results import REPORTED

__all__ = ["INDEX", "TOLD", "Fault", "results"]

Fault = Callable[[Place, object, str], None]

INDEX = "model-index"
TOLD = ("config", "split", "revision", "task", "args")  # properties of a run
_OWN = {*TOLD, *REPORTED}
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,63}")


def results(front: Mapping[str, Any], fault: Fault) -> list[dict[str, Any]]:
    """The results of a card's front matter.

    Args:
        front: The front matter.
        fault: Told of everything that can't be understood: its place, what is there, and what was expected.

    Returns:
        A row a metric: data set, metric, value, `run` (what tells it from others of the card), its place, and what else
        is known.

    Example:
        >>> told = {"dataset": {"type": "esc10"}, "metrics": [{"type": "Top 1", "value": "90%"}]}
        >>> [row] = results({"model-index": [{"results": [told]}]}, print)
        >>> row["dataset"], row["metric"], row["value"], row["run"]
        ('esc10', 'top_1', 0.9, 'top_1')
    """
    found = list(_metrics(front, fault))
    apart: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in found:
        same = apart.setdefault((row["dataset"], row["metric"]), {})
        first = same.setdefault(row["which"], row)
        if first["value"] != row["value"]:
            fault((*row["place"], "value"), row["value"], f"says another thing than before: {first['value']}")
    for row in found:
        several = len(apart[row["dataset"], row["metric"]]) > 1 and row["which"]
        row["run"] = f"{row['metric']}/{row['which']}" if several else row["metric"]
    return found


def _metrics(front: Mapping[str, Any], fault: Fault) -> Iterator[dict[str, Any]]:
    place: Place = (INDEX,)
    for number, entry in _each(front.get(INDEX), place, fault, optional=True):
        at = (*place, number)
        for each, result in _each(entry.get("results"), (*at, "results"), fault, optional=True):
            yield from _result(result, (*at, "results", each), fault)


def _each(told: Any, place: Place, fault: Fault, *, optional: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """The maps of a list; whatever else is there is a fault."""
    if optional and values_of(told) is None:
        return
    if not isinstance(told, list):
        remedy = "is the dash before its first key missing?" if isinstance(told, dict) else "write one, or leave it out"
        fault(place, told, f"expected a list of maps; {remedy}")
        return
    for number, each in enumerate(told):
        if isinstance(each, dict):
            yield number, each
        else:
            fault((*place, number), each, "expected a map of keys and values; write one, or leave it out")


def _result(result: dict[str, Any], place: Place, fault: Fault) -> Iterator[dict[str, Any]]:
    dataset = _map(result, "dataset", place, fault)
    task = _map(result, "task", place, fault)
    source = _map(result, "source", place, fault)
    if dataset is None or task is None or source is None:
        return
    key = _text(dataset.get("type")) or _text(dataset.get("name"))
    if not key:
        fault((*place, "dataset"), dataset or None, "names no data set; give it a `type`, such as glue")
        return
    known = {name: dataset.get(name) for name in ("config", "split", "revision")}
    known |= {"task": task.get("type"), "args": dataset.get("args")}
    further = {"name": dataset.get("name"), "source": source.get("url") or source.get("name")}
    for number, metric in _each(result.get("metrics"), (*place, "metrics"), fault):
        at = (*place, "metrics", number)
        name, value = _metric(metric, at, fault), meant(metric.get("value"))
        if value is None:
            fault((*at, "value"), metric.get("value"), f"{NO_NUMBER}; write one, or leave the metric out")
        if name is None or value is None:
            continue
        own = {"metric": metric.get("name"), "metric_config": metric.get("config"), "metric_args": metric.get("args")}
        told = {each: _written(known[each]) for each in TOLD}
        which = _which({**known, **further, **own})
        yield {"dataset": key, "metric": name, "value": value, "which": which, "place": at, **told}


def _map(result: dict[str, Any], name: str, place: Place, fault: Fault) -> dict[str, Any] | None:
    told = result.get(name)
    if values_of(told) is None:
        return {}
    if isinstance(told, dict):
        return told
    fault((*place, name), told, "expected a map such as {type: glue, name: GLUE}; write one")
    return None


def _metric(metric: dict[str, Any], place: Place, fault: Fault) -> str | None:
    """The name of the property that holds it."""
    told = _text(metric.get("type")) or _text(metric.get("name"))
    name = re.sub(r"[^a-z0-9]+", "_", told.lower()).strip("_")
    if not _METRIC.fullmatch(name):
        reason = "is no name of a metric; give it one such as accuracy, with a letter first"
    elif name in _OWN or property_problem(name, Label.RUN) is not None:
        reason = "is no name for a metric, as runs have a property of that name; choose another"
    else:
        return name
    fault((*place, "type"), metric.get("type"), reason)
    return None


def _text(told: Any) -> str:
    return told if isinstance(told, str) and values_of(told) is not None else ""


def _written(told: Any) -> str | None:
    """A value as text: as written, or as JSON where it is nested."""
    if values_of(told) is None:
        return None
    return str(told) if isinstance(told, str) else json.dumps(values_of(told), ensure_ascii=False, sort_keys=True)


def _which(known: Mapping[str, Any]) -> str:
    """What tells a result from others, as one text that no two have in common."""
    told = {name: _written(value) for name, value in known.items()}
    return ",".join(f"{name}={_quoted(value)}" for name, value in told.items() if value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,=/"\\]', text) else text
