"""Where an element is from: file, line, column and value, for what only the server finds wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cortigraph.ingest.elements import EdgeKind, Kind, NodeKind, identity, properties
from cortigraph.ingest.spec.card_source import CardsSource
from cortigraph.ingest.spec.cells import Cell
from cortigraph.ingest.spec.mapping import EdgeMapping, NodeMapping

if TYPE_CHECKING:
    from cortigraph.ingest.batches.changes import Change
    from cortigraph.ingest.staging.stage import Staged
    from cortigraph.tables.base import Source

__all__ = ["Origins", "place_of"]


class Origins:
    """Finds elements in the sources of a job again.

    Args:
        staged: What the job asserts.
        sources: By name.
        mappings: Of the job.
    """

    def __init__(
        self,
        staged: Staged,
        sources: Mapping[str, Source],
        mappings: tuple[list[NodeMapping], list[EdgeMapping]],
    ) -> None:
        self._staged, self._sources, self._mappings = staged, sources, mappings

    def __call__(self, row: Change, why: str) -> str:
        """The place of an element, to begin a message with; empty for what no source brings.

        Args:
            row: It alone.
            why: The server refuses it; a property that this names is told with its column and value.
        """
        import pyarrow.compute as pc

        table = self._staged.origins.get(row.kind)
        if table is None:
            return ""
        at = np.flatnonzero(pc.equal(identity(row.kind, table), identity(row.kind, row.table)[0]).to_numpy(False))
        if not len(at) or table[":source"][at[0]].as_py() is None:
            return ""
        source = self._sources[list(self._sources)[table[":source"][at[0]].as_py()]]
        file = self._staged.files[table[":file"][at[0]].as_py()][1]
        record = int(table[":record"][at[0]].as_py())
        line = source.locate(file, [record])[record][0]
        place = f"{file}, record {record + 1}" if line is None else f"{file}:{line}"
        return f"{place}: {self._column(row, source.name, why)}"

    def _column(self, row: Change, source: str, why: str) -> str:
        for name in properties(row.table):
            value = row.table[name][0].as_py()
            if f"`{name}`" in why and value is not None:
                cell = self._cell(row.kind, source, name)
                return f"column {cell or name}, value {value!r}: "
        return ""

    def _cell(self, kind: Kind, source: str, name: str) -> Cell | None:
        mappings: list[NodeMapping | EdgeMapping] = [*self._mappings[0], *self._mappings[1]]
        for mapping in mappings:
            if mapping.source == source and _kind(mapping) == kind and name in mapping.properties:
                return mapping.properties[name]
        return None


def place_of(source: Source, file: str, record: int) -> tuple[str, int]:
    """The file and the record that a message names: cards are read as one block, and each is a file."""
    return source.card(record) if isinstance(source, CardsSource) else (file, record)


def _kind(mapping: NodeMapping | EdgeMapping) -> Kind:
    if isinstance(mapping, NodeMapping):
        return NodeKind(mapping.label)
    return EdgeKind(mapping.start.label, mapping.end.label)
