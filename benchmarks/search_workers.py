"""A search of unequal candidates on two workers, beside the same on one.

    python benchmarks/search_workers.py [--candidates 32] [--workers 2] [--epochs 16] [--samples 1000]

The search is random, so that both try the same candidates. Workers are processes with one thread each, started and
warm before the clock runs: what is measured is how candidates are shared out, and not how long an interpreter takes to
start. The last line is JSON: `speedup`, candidates per second of either, and how unequal the candidates were.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _stage import fresh, last_line, tell
from PIL import Image

from cortigraph.brain import Brain
from cortigraph.reasoning.memory import Memory
from cortigraph.reasoning.pathway.scene import Scene
from cortigraph.reasoning.solving.problem import pose
from cortigraph.reasoning.solving.record import Ledger
from cortigraph.regions import builders, vision
from cortigraph.regions.catalogue import built_in, declare

_COUNT = "MATCH (c:Candidate)-[:IN_SEARCH]->(:Search {key: $search}) RETURN c.state AS state, c.seconds AS seconds"
_POLL = 0.5  # the server shares the cores with the workers: it should not be asked for nothing
_CLASSES = 4


def write_scene(folder: Path, candidates: int, epochs: int, samples: int) -> Path:
    """Pictures of bars at four heights under noise: small networks and large ones may learn them."""
    rng = np.random.default_rng(0)
    for label in range(_CLASSES):
        (folder / "data" / str(label)).mkdir(parents=True)
    for row in range(samples):
        label = row % _CLASSES
        picture = rng.normal(0.4, 0.3, (28, 28))
        picture[6 * label + 2 : 6 * label + 6] += 0.4
        place = folder / "data" / str(label) / f"{row}.png"
        Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).save(place)
    path = folder / "bars.yaml"
    path.write_text(
        "text: how high the bar is\n"
        "data: {folder: data, inputs: {image: {modality: image}}}\n"
        "search: random\n"
        f"budget: {{trials: {candidates}}}\n"
        f"training: {{epochs: {epochs}}}\n"
    )
    return path


def declare_regions(brain: Brain) -> None:
    """Four families of networks in twelve sizes each, so that few candidates share what they train."""
    regions = []
    for region in vision.REGIONS[:4]:
        space = builders.get(region.builder).space
        sizes = [{"width": width, "grid": grid} for width in space["width"] for grid in space["grid"]]
        regions += [
            region.model_copy(update={"id": f"{region.id}-{i:02}", "name": f"{region.name} {i}", "arguments": size})
            for i, size in enumerate(sizes)
        ]
    areas = [area for area in built_in()[0] if area.key == vision.REGIONS[0].area]
    declare(brain.store, areas, regions)


def begin(brain: Brain, path: Path, seed: int, candidates: int) -> str:
    """A search that waits for workers."""
    read = Scene.load(path)
    scene = read.model_copy(update={"seed": seed, "budget": read.budget.model_copy(update={"trials": candidates})})
    problem = pose(brain.store, scene, brain.home.cache)
    search = problem.search_key([])
    Ledger(brain.store, problem, search).begin(Memory(), [])
    return search


def states(brain: Brain, search: str) -> list[dict[str, Any]]:
    return brain.cypher(_COUNT, search=search)


def wait(brain: Brain, search: str, candidates: int) -> list[float]:
    """The seconds of each candidate, once all have their score."""
    while True:
        rows = states(brain, search)
        if len(rows) >= candidates and all(row["state"] in ("done", "failed") for row in rows):
            return [row["seconds"] for row in rows]
        time.sleep(_POLL)


def timed(brain: Brain, path: Path, workers: int, candidates: int) -> tuple[float, list[float]]:
    """Seconds that a number of workers takes for a search, from when all of them are warm; each candidate's own."""
    program = str(Path(sys.executable).parent / "cortigraph")
    command = [program, "worker", "--home", str(brain.home.root), "--threads", "1", "--json"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    crew = [subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL) for _ in range(workers)]
    try:
        warm = begin(brain, path, 1000 + workers, 3 * workers)
        wait(brain, warm, 3 * workers)
        holders = brain.cypher("MATCH (c:Candidate) RETURN count(DISTINCT c.pid) AS n")[0]["n"]
        tell(f"{workers} workers, of whom {holders} have had a candidate before the clock runs")
        brain.forget("bars")
        began = time.perf_counter()
        search = begin(brain, path, 0, candidates)
        seconds = wait(brain, search, candidates)
        return time.perf_counter() - began, seconds
    finally:
        for process in crew:
            process.terminate()
        for process in crew:
            process.wait()
        brain.forget("bars")


def main() -> None:
    """Measures one worker and several, prints the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, fresh() as (store, home):
        brain = Brain(store, home)
        declare_regions(brain)
        path = write_scene(Path(folder), options.candidates, options.epochs, options.samples)
        taken = {count: timed(brain, path, count, options.candidates) for count in (1, options.workers)}
    rates = {count: options.candidates / seconds for count, (seconds, _) in taken.items()}
    own = [one for one in taken[1][1] if one > 0]
    last_line(
        speedup=round(rates[options.workers] / rates[1], 3),
        candidates_per_second={str(count): round(rate, 3) for count, rate in rates.items()},
        candidates=options.candidates,
        trained=len(own),
        longest_over_median=round(float(max(own) / np.median(own)), 2) if own else None,
    )


if __name__ == "__main__":
    main()
