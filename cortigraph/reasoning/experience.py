"""Experience: what the graph remembers about regions on data sets, as columns.

One record says that a region scored so much on a data set: a branch that was trained alone, or, for a fusion cell, a
candidate that used it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortigraph.graph.store import Store

__all__ = ["Experience", "recall_experience"]

# Pathways are scored on validation data, like branches: test data never guides a choice.
_RUNS = """
MATCH (run:Run {kind: 'branch'})-[:OF]->(region:Region), (run)-[:ON]->(data:Dataset)
WHERE run.accuracy IS NOT NULL AND ($scenes IS NULL OR run.scene IN $scenes)
RETURN run.key AS run, region.key AS region, data.key AS dataset, run.accuracy AS score, run.seconds AS seconds
UNION ALL
MATCH (c:Candidate {state: 'done'})-[:USES {slot: 'fusion'}]->(region:Region),
      (c)-[:IN_SEARCH]->(:Search)-[:FOR_SCENE]->(s:Scene)-[:POSED_ON]->(data:Dataset)
WHERE $scenes IS NULL OR s.key IN $scenes
RETURN c.key AS run, region.key AS region, data.key AS dataset, c.accuracy AS score, c.seconds AS seconds
"""
_EMBEDDINGS = """
MATCH (n) WHERE (n:Region OR n:Dataset) AND n.embedding IS NOT NULL
RETURN n.key AS key, labels(n)[0] AS label, n.embedding AS embedding
"""


@dataclass(frozen=True)
class Experience:
    """Records as columns, all of the same length.

    Args:
        runs: What each record is called in the graph.
        regions: Region keys.
        datasets: Data set keys.
        scores: Between 0 and 1, on validation data.
        seconds: What it cost.
        region_embeddings: Region key → unit vector.
        dataset_embeddings: Data set key → unit vector.
    """

    runs: Sequence[str]
    regions: Sequence[str]
    datasets: Sequence[str]
    scores: NDArray[np.float64]
    seconds: NDArray[np.float64]
    region_embeddings: dict[str, NDArray[np.float64]]
    dataset_embeddings: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.runs)


def recall_experience(store: Store, scenes: Sequence[str] | None = None) -> Experience:
    """Reads what is remembered.

    Args:
        store: The store.
        scenes: Only what was learned for these scenes; all of it when left out, nothing when empty.
    """
    told = store.columns(_RUNS, scenes=None if scenes is None else list(scenes))
    vectors = store.columns(_EMBEDDINGS)
    found: dict[str, dict[str, NDArray[np.float64]]] = {"Region": {}, "Dataset": {}}
    for key, label, embedding in zip(vectors["key"], vectors["label"], vectors["embedding"], strict=True):
        found[label][key] = np.asarray(embedding, dtype=np.float64)
    return Experience(
        runs=told["run"],
        regions=told["region"],
        datasets=told["dataset"],
        scores=np.array(told["score"], dtype=np.float64),
        seconds=np.array([value or 0.0 for value in told["seconds"]], dtype=np.float64),
        region_embeddings=found["Region"],
        dataset_embeddings=found["Dataset"],
    )
