"""A small memory to be asked, and the command line as a user has it: words in; exit code, output and message out."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image

from cortigraph.cli import main
from cortigraph.graph.home import Home
from cortigraph.graph.store import Store

CASES = int(os.environ.get("CORTIGRAPH_FUZZ", "200"))  # of all kinds together; `make faults` runs 10,000

_KNOWN = """
job: known
sources: {facts: {path: facts.csv}}
nodes:
  - {source: facts, key: head, labels: [Person], properties: {name: head}}
relationships:
  - {source: facts, type: {column: relation}, start: head, end: tail, create: true}
"""
# What the ledger writes of a batch that did not come to be is its own affair; all else must be as before.
_CONTENT = """
MATCH (n) WHERE NOT n:Batch AND NOT n:Source AND NOT n:Lease AND NOT n:Migration
RETURN count(n) AS nodes, sum(size(keys(n))) AS properties, sum(size(labels(n))) AS labels"""
_EDGES = """
MATCH (a)-[e]->() WHERE NOT a:Batch AND NOT a:Candidate
RETURN count(e) AS edges, sum(size(keys(e))) AS properties"""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        code: Its exit code.
        out: What it printed.
        err: Its messages.
    """

    code: int
    out: str
    err: str

    def check(self, words: object) -> Ended:
        """Exit code 0 or 2; a refusal is told once, without a traceback."""
        told = f"{words}\nexit code {self.code}\n{self.out[-1000:]}\n{self.err[-3000:]}"
        assert self.code in (0, 2), told
        assert "Traceback" not in self.err + self.out, told
        if self.code == 2:
            assert self.err.strip(), told
            assert self.err.count("error: ") + self.err.count("Error") <= 1, told
        return self


@dataclass(frozen=True)
class World:
    """A home with a small graph, a folder of samples and a scene that is solved.

    Args:
        home: The home.
        store: Its store.
        folder: Where the samples of the scene lie.
        pathway: The scene's key, by which `predict` knows it.
    """

    home: Home
    store: Store
    folder: Path
    pathway: str

    def run(self, *words: object) -> Ended:
        """A command, as a user gives it."""
        out, err = io.StringIO(), io.StringIO()
        argv = ["cortigraph", *map(str, words), "--home", str(self.home.root)]
        code = 0
        with (
            mock.patch.object(sys, "argv", argv),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main.run()
            except SystemExit as leaving:
                code = int(leaving.code or 0) if not isinstance(leaving.code, str) else 1
            except BaseException:
                code = 1
                err.write(traceback.format_exc())
        return Ended(code, out.getvalue(), err.getvalue())

    def content(self) -> Any:
        """How much the graph holds, the ledger aside."""
        return self.store.read(_CONTENT), self.store.read(_EDGES)


def samples(folder: Path) -> Path:
    """Pictures that are light or dark, with a table of them."""
    folder.mkdir(parents=True)
    with (folder / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["photo", "words", "kind"])
        for row in range(30):
            draw = np.random.default_rng(row)
            Image.fromarray((draw.random((8, 8)) * 99 + 150 * (row % 2)).astype(np.uint8)).save(folder / f"{row}.png")
            table.writerow([f"{row}.png", f"seen {row % 2}", ("dark", "light")[row % 2]])
    return folder


SCENE: dict[str, Any] = {
    "key": "lights",
    "text": "is it light",
    "data": {
        "table": "index.csv",
        "inputs": {"photo": {"modality": "image", "column": "photo"}},
        "target": "kind",
    },
    "budget": {"trials": 1},
    "training": {"epochs": 1},
    "regions": {"photo": ["001"]},
}


@pytest.fixture(scope="session")
def world(home: Home, store: Store, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The home of the session, with something in it."""
    folder = samples(tmp_path_factory.mktemp("fuzz") / "samples")
    (folder / "facts.csv").write_text("head,relation,tail\nann,knows,bob\nbob,knows,eve\nann,likes,eve\n")
    (folder / "known.yaml").write_text(_KNOWN)
    (folder / "lights.yaml").write_text(yaml.safe_dump(SCENE))
    found = World(home, store, folder, "lights")
    for words in (("ingest", "run", folder / "known.yaml"), ("solve", folder / "lights.yaml")):
        ended = found.run(*words)
        assert ended.code == 0, ended.err
    return found


@pytest.fixture
def unchanged(world: World) -> Callable[[Ended], None]:
    """Gives a function that checks, of a command that refused, that the graph is as it was before the test's case."""
    before = world.content()

    def check(ended: Ended) -> None:
        nonlocal before
        now = world.content()
        if ended.code:
            assert now == before, ended.err
        before = now

    return check
