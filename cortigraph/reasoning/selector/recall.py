"""Recall: evidence from the graph, whoever brought it: `solve`, or an ingestion job.

(:Run)-[:OF]->(:Region), (:Run)-[:ON]->(:Dataset)      what was scored, and what it cost
properties of Region and Dataset                       cards, sizes
(:Region)-[:SCORED {metric, score}]->(:Dataset)        proxies
(:Dataset)-[:LIKE {similarity}]->(:Dataset)            how like, or how far
"""

from __future__ import annotations

from typing import Any

from cortigraph.graph.errors import InputError
from cortigraph.graph.store import Store
from cortigraph.reasoning.selector.evidence import Evidence
from cortigraph.reasoning.selector.explain import Explanation, explain
from cortigraph.reasoning.selector.model import Ranking, Selector

__all__ = ["rank_for_dataset", "recall_evidence"]

_RUNS = """
MATCH (run:Run)-[:OF]->(region:Region), (run)-[:ON]->(data:Dataset)
WHERE run[$metric] IS NOT NULL AND ($area IS NULL OR region.area = $area)
RETURN run.key AS run, region.key AS region, data.key AS dataset, toFloat(run[$metric]) AS score,
       toFloat(run.seconds) AS seconds
"""
_CARDS = """
MATCH (n:Region) WHERE ($area IS NULL OR n.area = $area) 
  AND (EXISTS { (n)<-[:OF]-(:Run) } OR EXISTS { (n)-[:SCORED]->() })
RETURN n.key AS key, n {.*, embedding: null, text: null} AS told
"""
_DATASETS = "MATCH (n:Dataset) RETURN n.key AS key, n {.*, embedding: null, text: null} AS told"
_PROXIES = """
MATCH (region:Region)-[s:SCORED]->(data:Dataset)
WHERE s.score IS NOT NULL AND ($area IS NULL OR region.area = $area)
RETURN region.key AS region, data.key AS dataset, coalesce(s.metric, 'score') AS proxy, toFloat(s.score) AS value
"""
_LIKENESS = """
MATCH (a:Dataset)-[like:LIKE]->(b:Dataset) WHERE like.similarity IS NOT NULL
RETURN a.key AS dataset, b.key AS other, toFloat(like.similarity) AS value
"""


def recall_evidence(store: Store, *, metric: str = "accuracy", area: str | None = None) -> Evidence:
    """Reads what the graph holds.

    Args:
        store: The store.
        metric: A property of runs; more is better.
        area: Only regions of this functional area.

    Raises:
        InputError: No run has such a metric.
    """
    runs = _rows(store, _RUNS, metric=metric, area=area)
    if not runs:
        where = f" in {area}" if area else ""
        raise InputError(f"no run{where} has {metric!r}; ingest results, or name another metric or area")
    cards = {row["key"]: _told(row["told"]) for row in _rows(store, _CARDS, area=area)}
    datasets = {row["key"]: _told(row["told"]) for row in _rows(store, _DATASETS)}
    proxies = _rows(store, _PROXIES, area=area)
    likeness = _rows(store, _LIKENESS)
    return Evidence.of(runs, cards, datasets, likeness, proxies)


def rank_for_dataset(
    store: Store, dataset: str, *, metric: str = "accuracy", area: str | None = None, explained: int = 3
) -> tuple[Ranking, list[Explanation]]:
    """Ranks the regions that the graph knows for a data set that it knows.

    Args:
        store: The store.
        dataset: Key. Runs on it, if there are any, count.
        metric: A property of runs; more is better.
        area: Only regions of this functional area.
        explained: How many of the first are explained.

    Returns:
        The ranking, and the explanations of its first regions.

    Raises:
        UnknownKeyError: There is no such data set.
        InputError: There is too little to learn from.
    """
    selector = Selector.for_dataset(recall_evidence(store, metric=metric, area=area), dataset)
    ranking = selector.rank()
    return ranking, [explain(selector, region.key) for region in ranking.regions[:explained]]


def _rows(store: Store, query: str, **parameters: Any) -> list[dict[str, Any]]:
    told = store.columns(query, **parameters)
    return [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)]


def _told(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None and not name.startswith("_")}
