"""Vectors of the texts that are about to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cortigraph.graph.schema import TEXT_VECTORS
from cortigraph.ingest.batches.changes import Change
from cortigraph.ingest.elements import NodeKind

if TYPE_CHECKING:
    from cortigraph.graph.home import Home
    from cortigraph.ingest.batches.diff import Difference
    from cortigraph.tables.base import Progress

__all__ = ["embed"]


def embed(difference: Difference, home: Home, progress: Progress | None = None) -> None:
    """Puts the vectors of texts in the place of the texts; a text that was embedded before is not embedded again.

    Args:
        difference: Its changes that bring a text are replaced.
        home: Keeps the vectors of texts that were seen before.
        progress: Told how many texts are done.
    """
    for number, change in enumerate(difference.changes):
        if isinstance(change.kind, NodeKind) and ":text" in change.table.column_names:
            difference.changes[number] = _embedded(change, change.kind, home, progress)


def _embedded(change: Change, kind: NodeKind, home: Home, progress: Progress | None) -> Change:
    import pyarrow as pa

    from cortigraph.regions.texts import embed_texts

    texts = change.table[":text"].to_pylist()
    rest = change.table.drop_columns([":text"])
    given = np.array([text is not None for text in texts], dtype=bool)
    if not given.any():
        return Change(change.action, change.kind, rest)
    vectors = embed_texts([text for text in texts if text is not None], home.cache / "texts", progress)
    offsets = np.concatenate([[0], np.cumsum(given * vectors.shape[1])]).astype(np.int32)
    values = pa.array(vectors.reshape(-1).astype(np.float64))
    column = pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~given))
    return Change(change.action, change.kind, rest.append_column(TEXT_VECTORS[kind.label], column))
