"""The made-up medicine of the examples: as facts with a reasoner trained once, and in the store with that reasoner."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cortigraph.brain import Brain
from cortigraph.graph import cypher
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store
from cortigraph.reasoning.asking import shelf
from cortigraph.reasoning.reasoners.calibration import Calibration, calibrate
from cortigraph.reasoning.reasoners.facts import Facts
from cortigraph.reasoning.reasoners.path.reasoner import PathReasoner
from cortigraph.reasoning.reasoners.path.settings import PathSettings
from cortigraph.reasoning.reasoners.path.training import train_path
from cortigraph.reasoning.reasoners.structure import Rows
from tests.reasoning.reasoners.made import table

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "medicine"))
import made

JOB = {
    "job": "medicine",
    "nodes": [{"source": "names", "key": "key", "properties": {"name": "name"}}],
    "relationships": [
        {"source": "facts", "type": {"column": "relation"}, "start": "head", "end": "tail", "create": True}
    ],
}


class Medicine:
    """Facts told, those held back in two halves, and a reasoner that learned from the first."""

    def __init__(self) -> None:
        self.told, self.held_back = made.facts()
        self.facts = Facts.of(table(*self.told))
        keys = [(h, r, t) for h, r, t in self.held_back]
        rows = np.array([(self._row(h), self.facts.relation(r), self._row(t)) for h, r, t in keys], dtype=np.int64)
        self.valid: Rows = rows[::2]
        self.test: Rows = rows[1::2]
        settings = PathSettings(
            layers=3, width=16, epochs=8, batch=64, learning_rate=2e-2, watched=40, way="everywhere"
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # steps as small as these only wait for another thread
        try:
            self.reasoner: PathReasoner = train_path(self.facts, self.valid, settings)
        finally:
            torch.set_num_threads(threads)
        self.calibration: Calibration = calibrate(self.reasoner, self.facts, self.valid, also=self.test)

    def _row(self, key: str) -> int:
        return int(self.facts.entities.row(key))


@pytest.fixture(scope="session")
def medicine() -> Medicine:
    return Medicine()


def tables(facts: list[made.Fact]) -> dict[str, pd.DataFrame]:
    return {
        "names": pd.DataFrame(made.names().items(), columns=["key", "name"]),
        "facts": pd.DataFrame(facts, columns=["head", "relation", "tail"]),
    }


@pytest.fixture(scope="module")
def brain(store: Store, home: Home, medicine: Medicine) -> Iterator[Brain]:
    """A store of the module's own, with the medicine in it, and its reasoner on the shelf."""
    while store.write(cypher.DELETE_SOME).rows[0]["deleted"]:
        pass
    brain = Brain(store, home)
    brain.ingest(JOB, tables=tables(medicine.told))
    about = {"graph": "all", "calibration": medicine.calibration.to_json(), "trained_at": "2026-01-01T00:00:00+00:00"}
    about["settings"] = medicine.reasoner.settings.model_dump()
    shelf.keep(store, home, medicine.reasoner, "medicine", about)
    yield brain
    store.write("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
