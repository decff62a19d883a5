"""Recall: evidence from the graph, whoever brought it: `solve`, or an ingestion job.

(:Run)-[:OF]->(:Region), (:Run)-[:ON]->(:Dataset)      what was scored, and what it cost
(:Candidate)-[:USES {slot: 'fusion'}]->(:Region)        the same of what joins branches
properties and embeddings of Region and Dataset        cards, sizes, likeness
(:Region)-[:SCORED {metric, score}]->(:Dataset)        proxies
(:Dataset)-[:LIKE {similarity}]->(:Dataset)            how like, or how far
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortigraph.graph.errors import InputError, UnknownKeyError
from cortigraph.graph.store import Store
from cortigraph.reasoning.selector.evidence import Evidence

__all__ = ["areas_for", "recall_evidence"]

# Pathways are scored on validation data, like branches: test data never guides a choice.
_RUNS = """
MATCH (run:Run&!Entity)-[:OF]->(region:Region&!Entity), (run)-[:ON]->(data:Dataset&!Entity)
WHERE run[$metric] IS NOT NULL AND ($areas IS NULL OR region.area IN $areas)
  AND ($scenes IS NULL OR run.scene IN $scenes)
RETURN run.key AS run, region.key AS region, data.key AS dataset, toFloat(run[$metric]) AS score,
       toFloat(run.seconds) AS seconds
UNION ALL
MATCH (c:Candidate&!Entity {state: 'done'})-[:USES {slot: 'fusion'}]->(region:Region&!Entity),
      (c)-[:IN_SEARCH]->(:Search)-[:FOR_SCENE]->(scene:Scene)-[:POSED_ON]->(data:Dataset)
WHERE c[$metric] IS NOT NULL AND ($areas IS NULL OR region.area IN $areas)
  AND ($scenes IS NULL OR scene.key IN $scenes)
RETURN c.key AS run, region.key AS region, data.key AS dataset, toFloat(c[$metric]) AS score,
       toFloat(c.seconds) AS seconds
"""
_CARDS = """
MATCH (n:Region&!Entity) WHERE ($areas IS NULL OR n.area IN $areas)
  AND (n.key IN $keys OR EXISTS { (n)<-[:OF]-(:Run) } OR EXISTS { (n)-[:SCORED]->() })
RETURN n.key AS key, n {.*, embedding: null, text_embedding: null, text: null} AS told, n.embedding AS embedding
"""
_DATASETS = """
MATCH (n:Dataset&!Entity)
RETURN n.key AS key, n {.*, embedding: null, text_embedding: null, text: null} AS told, n.embedding AS embedding
"""
_PROXIES = """
MATCH (region:Region&!Entity)-[s:SCORED]->(data:Dataset&!Entity)
WHERE s.score IS NOT NULL AND ($areas IS NULL OR region.area IN $areas)
RETURN region.key AS region, data.key AS dataset, coalesce(s.metric, 'score') AS proxy, toFloat(s.score) AS value
"""
_LIKENESS = """
MATCH (a:Dataset&!Entity)-[like:LIKE]->(b:Dataset&!Entity) WHERE like.similarity IS NOT NULL
RETURN a.key AS dataset, b.key AS other, toFloat(like.similarity) AS value
"""
# Where regions were run on a data set, or measured on it; else, on what is like it; else, wherever any was run.
_AREAS = (
    """
    MATCH (d:Dataset&!Entity {key: $key})
    CALL (d) { MATCH (d)<-[:SCORED]-(r:Region&!Entity) RETURN r.area AS area
               UNION MATCH (d)<-[:ON]-(run:Run&!Entity)-[:OF]->(r:Region&!Entity) WHERE run[$metric] IS NOT NULL
               RETURN r.area AS area }
    RETURN DISTINCT area ORDER BY area""",
    """
    MATCH (d:Dataset&!Entity {key: $key})-[:LIKE]-(:Dataset&!Entity)<-[:ON]-(run:Run&!Entity)-[:OF]->(r:Region&!Entity)
    WHERE run[$metric] IS NOT NULL
    RETURN DISTINCT r.area AS area ORDER BY area""",
    """
    MATCH (run:Run&!Entity)-[:OF]->(r:Region&!Entity) WHERE run[$metric] IS NOT NULL
    RETURN DISTINCT r.area AS area ORDER BY area""",
)
_KEYS = "MATCH (n:Dataset&!Entity) RETURN n.key AS key"
_METRICS = """
MATCH (run:Run&!Entity)-[:OF]->(:Region&!Entity) WITH run LIMIT 1000 UNWIND keys(run) AS name
WITH DISTINCT name, run[name] AS value WHERE value IS :: FLOAT
RETURN DISTINCT name ORDER BY name
"""


def recall_evidence(
    store: Store,
    *,
    metric: str = "accuracy",
    area: str | Sequence[str] | None = None,
    scenes: Sequence[str] | None = None,
    keys: Sequence[str] = (),
) -> Evidence:
    """Reads what the graph holds; of regions without runs, those that are named.

    Args:
        store: The store.
        metric: A property of runs; more is better.
        area: Only regions of this functional area, or of these.
        scenes: Only what was learned for these scenes; all of it when left out, nothing when empty.
        keys: Regions of the area that are evidence even if nothing was ever run with them.

    Raises:
        InputError: No run has such a metric, and no region is named.
    """
    areas = [area] if isinstance(area, str) else area if area is None else list(area)
    told = None if scenes is None else list(scenes)
    runs = _rows(store, _RUNS, metric=metric, areas=areas, scenes=told)
    if not runs and not keys:
        raise InputError(_nothing(store, metric, areas))
    cards = _rows(store, _CARDS, areas=areas, keys=list(keys))
    datasets = _rows(store, _DATASETS)
    return Evidence.of(
        runs,
        {row["key"]: _told(row["told"]) for row in cards},
        {row["key"]: _told(row["told"]) for row in datasets},
        _rows(store, _LIKENESS),
        _rows(store, _PROXIES, areas=areas),
        vectors={row["key"]: np.asarray(row["embedding"], dtype=np.float64) for row in cards if row["embedding"]},
        places={row["key"]: np.asarray(row["embedding"], dtype=np.float64) for row in datasets if row["embedding"]},
    )


def areas_for(store: Store, dataset: str, metric: str) -> list[str]:
    """The functional areas whose regions may be ranked for a data set: where it is known, else where its like is.

    Args:
        store: The store.
        dataset: Its key.
        metric: A property of runs.

    Raises:
        UnknownKeyError: There is no such data set.
        InputError: No run has such a metric.
    """
    known = store.columns(_KEYS)["key"]
    if dataset not in known:
        raise UnknownKeyError("data set", dataset, known)
    for query in _AREAS:
        found = [str(row["area"]) for row in store.read(query, key=dataset, metric=metric) if row["area"]]
        if found:
            return found
    raise InputError(_nothing(store, metric, None))


def _nothing(store: Store, metric: str, areas: Sequence[str] | None) -> str:
    where = f" in {', '.join(areas)}" if areas else ""
    there = ", ".join(repr(name) for name in store.columns(_METRICS)["name"]) or "none"
    return f"no run{where} has {metric!r}; ingest results, or name another metric or area (runs have: {there})"


def _rows(store: Store, query: str, **parameters: Any) -> list[dict[str, Any]]:
    told = store.columns(query, **parameters)
    return [dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True)]


def _told(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None and not name.startswith("_")}
